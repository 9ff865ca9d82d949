/* The file in which a pool keeps the CIDs that it has learned: beside the state file, by the name of the pool. What is
 * learned is in it at once, so cidlb may be killed at any moment. Control thread. */
#ifndef CIDLB_CONTROL_LEARNED_FILE_H
#define CIDLB_CONTROL_LEARNED_FILE_H

#include <stdint.h>

#include "base/mapped_file.h"
#include "common/learned.h"

/* Takes up what is in the file of this pool, and makes the file if there is none. A damaged one is set aside, and one
 * for another number of CIDs is replaced by one for max_cids with what it had. What is wrong is logged. -errno: there
 * is no file; then the pool keeps its CIDs in memory alone. */
int learned_file_open(struct mapped_file *out, struct learned *cids, const char *state_file, const char *pool,
		      uint32_t max_cids);

#endif

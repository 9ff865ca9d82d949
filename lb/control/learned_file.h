/* The files in which a pool keeps what it has learned: POOL.cids has the CIDs, POOL.sessions what devices without CIDs
 * resume (path/resumed.h). They are beside the state file. What is learned is in them at once, so cidlb may be killed
 * at any moment. Control thread. */
#ifndef CIDLB_CONTROL_LEARNED_FILE_H
#define CIDLB_CONTROL_LEARNED_FILE_H

#include <stdint.h>

#include "base/mapped_file.h"
#include "common/learned.h"

enum learned_kind { LEARNED_CIDS, LEARNED_SESSIONS, LEARNED_KINDS };

/* Which file, and how much it has room for. */
struct learned_file {
	enum learned_kind kind;
	const char *state_file, *pool;
	uint32_t max;
};

/* Takes up what is in the file, and makes it if there is none. A damaged one is set aside, and one for another number
 * is replaced by one for `max` with what it had. What is wrong is logged. -errno: there is no file; then the pool keeps
 * what it learns in memory alone. */
int learned_file_open(struct mapped_file *out, struct learned *learned, const struct learned_file *file);

#endif

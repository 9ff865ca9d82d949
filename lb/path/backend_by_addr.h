/* Which backend of a pool a datagram comes from, by its address: for modes that have no flow to tell. Immutable, as the
 * snapshot that it is of, which must outlive it. */
#ifndef CIDLB_ORIGINS_H
#define CIDLB_ORIGINS_H

#include <stdint.h>

#include "common/snapshot.h"

struct origins;

/* NULL: out of memory. */
struct origins *origins_new(const struct snapshot_pool *pool);
void origins_free(struct origins *origins);

/* The index of the backend at this address and port (the first, where several are), or SNAPSHOT_NO_BACKEND. */
uint16_t origins_find(const struct origins *origins, const struct addr *from);

#endif

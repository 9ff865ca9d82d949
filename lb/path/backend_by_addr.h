/* Which backend of a pool a datagram comes from, by its address. Modes without flows need it. Immutable, like the
 * snapshot that it belongs to, which must outlive it. */
#ifndef CIDLB_PATH_BACKEND_BY_ADDR_H
#define CIDLB_PATH_BACKEND_BY_ADDR_H

#include <stdint.h>

#include "common/snapshot.h"

struct backend_by_addr;

/* NULL: out of memory. */
struct backend_by_addr *backend_by_addr_new(const struct snapshot_pool *pool);
void backend_by_addr_free(struct backend_by_addr *backend_by_addr);

/* The index of the backend at this address and port, or SNAPSHOT_NO_BACKEND. Of several backends there it is the
 * first. */
uint16_t backend_by_addr_find(const struct backend_by_addr *backend_by_addr, const struct addr *from);

#endif

/* The cache of CIDs that the program of the fast path reads: where those lead that do not show their server id, as the
 * packet path has found out. A CID that is not in it is passed up. Any thread may write. */
#ifndef CIDLB_XDP_CIDS_H
#define CIDLB_XDP_CIDS_H

#include <stddef.h>
#include <stdint.h>

#include "xdp/fast_map.h"

/* The cache, and how its entries are marked: the key and the generation of the table that the CID was routed with. */
struct fast_cids {
	struct fast_cid_set *sets;
	uint64_t key;
	uint16_t generation;
};

/* The CID of `len` (1..FAST_CID_OCTETS) octets, in the pool with this uid, leads to the backend with this uid. It takes
 * the place of one that is free or of another generation, or else of any. */
void fast_cids_put(const struct fast_cids *cids, uint16_t pool, const uint8_t *cid, size_t len, uint16_t backend);

/* Forgets where the CID leads. */
void fast_cids_forget(const struct fast_cids *cids, uint16_t pool, const uint8_t *cid, size_t len);

#endif

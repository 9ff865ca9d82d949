/* Tells who forwards beside the workers where CIDs lead that do not show their server: encrypted ones, and learned
 * ones. Modes tunnel and dsr. What a worker finds out so is asked for once a session, and not once a datagram. */
#ifndef CIDLB_PATH_CID_CACHE_H
#define CIDLB_PATH_CID_CACHE_H

#include <stddef.h>
#include <stdint.h>

struct batch; /* forward.h */
struct path;  /* path.h */

/* Who wants to know (xdp/). Any worker calls, with uids of pools and backends. */
struct path_cid_cache {
	void (*put)(void *ctx, uint16_t pool, const uint8_t *cid, size_t len, uint16_t backend);
	void (*forget)(void *ctx, uint16_t pool, const uint8_t *cid, size_t len);
	void *ctx;
};

/* After a batch was routed. A learned CID that two servers have given out, or may have, is not told of. */
void cid_cache_tell(struct path *path, const struct batch *batch);

/* A server gives out this CID, which another one may have given out before. */
void cid_cache_forget(struct path *path, uint16_t pool, const uint8_t *cid, size_t len);

#endif

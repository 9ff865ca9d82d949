/* Pools that learn CIDs (scheme "learned"): where the CID of a datagram leads, and what a finished handshake adds.
 *
 * A CID is read in the ServerHello that gives it out, on its way to the device. It is pending until the device has
 * shown it and the server has answered under the keys of the session (common/handshake.h). Then it is learned. So only
 * who has the keys of a session makes the table longer.
 *
 * Where CIDs are short, two servers may give out the same one. Then what is known of the source decides: its handshake
 * under way, or in mode nat its session. A source of which nothing is known is led to the last of both.
 */
#ifndef CIDLB_PATH_LEARNED_CIDS_H
#define CIDLB_PATH_LEARNED_CIDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/dtls.h"
#include "common/learned.h"
#include "common/route.h"

struct batch;        /* forward.h */
struct given_cid;    /* given_cid.h */
struct pending_cids; /* pending_cids.h */

/* The servers of one pool in its table of learned CIDs. A part of the published table; it stays what it is. */
struct learned_servers {
	struct learned *cids;         /* outlives it */
	uint16_t at[LEARNED_MEMBERS]; /* a member's index in the pool's backends, or SNAPSHOT_NO_BACKEND */
	uint16_t members[];           /* by index in the pool's backends */
};

/* `previous`: what workers may still use, or NULL. NULL: out of memory. Control thread. */
struct learned_servers *learned_servers_new(const struct snapshot_pool *pool, struct learned *cids,
					    const struct learned_servers *previous);
void learned_servers_free(struct learned_servers *servers);

/* Before a batch of a pool that learns is routed: fills route_in.learned_…, and uplink.shared. */
void learned_cids_recall(struct batch *batch);

/* A CID that begins at view->cid_at is `cid`, and its record fits. */
bool learned_cids_is(const struct route_in *in, const uint8_t *cid, uint8_t len);

/* A ServerHello gives out the CID. If another server gave it out before, what shows it may be of either session, and is
 * contested. `servers` may be NULL: the pool does not learn. */
void learned_cids_offer(const struct learned_servers *servers, struct pending_cids *pending,
			const struct given_cid *given, uint32_t now_s);

/* A handshake is over, and the server with this uid gave out the CID in it. `servers` may be NULL: the pool does not
 * learn. */
void learned_cids_add(const struct learned_servers *servers, const struct snapshot_pool *pool, uint16_t backend,
		      const uint8_t *cid, uint8_t len);

#endif

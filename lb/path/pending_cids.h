/* What servers have just given out, in the modes that keep no flows and in pools that learn it: CIDs, and what devices
 * without CIDs resume (common/resume.h). Until the handshake is over, a CID leads the datagrams of its source alone. A
 * cache of fixed size, two to a set, for all workers. A new handshake takes the place of the older one of its set. A
 * set has a lock, which nobody holds for long. */
#ifndef CIDLB_PATH_PENDING_CIDS_H
#define CIDLB_PATH_PENDING_CIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/handshake.h"
#include "common/route.h"

enum {
	PENDING_CIDS = 65536,    /* of 112 octets, which take up memory once they are used */
	PENDING_CONTEST_S = 300, /* as long as the rest of a handshake is hinted: HANDSHAKES_HINT_S */
};

struct pending_cids;

/* NULL: out of memory. */
struct pending_cids *pending_cids_new(void);
void pending_cids_free(struct pending_cids *pending);

/* A datagram with a CID, of this source (handshakes_source()), is sent on. True: a server has given out that CID in a
 * handshake with this source; *backend is its uid, and *len the octets of the CID. */
bool pending_cids_find(struct pending_cids *pending, uint64_t source, const struct route_in *in, uint16_t *backend,
		       uint8_t *len);

/* A server is giving out a CID that another one gave out before. For PENDING_CONTEST_S this is so: a datagram whose CID
 * is known may belong to a handshake under way all the same. */
void pending_cids_contest(struct pending_cids *pending, uint32_t now_s);
bool pending_cids_contested(const struct pending_cids *pending, uint32_t now_s);

/* A datagram on its way to this source. */
struct pending_reply {
	uint64_t source;
	uint16_t backend; /* uid: from there */
	const uint8_t *data;
	size_t len; /* octets */
	uint32_t now_s;
	bool learns_cids;                /* the pool does */
	const struct siphash_key *names; /* hashes what devices resume; NULL: the pool does not learn that */
};

/* What a datagram is to the handshake of its source. */
enum pending_step {
	PENDING_NOTHING,
	PENDING_GIVEN,            /* with it the server gives out `cid` */
	PENDING_OVER,             /* with it the handshake is over, in which the server gave out `cid` */
	PENDING_OVER_WITHOUT_CID, /* the same, without a CID; `given` is what it gave out to be resumed */
};

struct pending_said {
	struct hello_cid cid;
	struct resume_names given;
};

/* A handshake that is over is pending no longer. */
enum pending_step pending_cids_reply(struct pending_cids *pending, const struct hello_key *key,
				     const struct pending_reply *reply, struct pending_said *said);

#endif

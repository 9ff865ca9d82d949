/* Mode nat from inside: what nat*.c share.
 *
 * There are four kinds of flow (flows/flows.h): ADDRESS, a source without a CID; HELLO, a ClientHello whose backend is
 * not that of its source's flow; CID, a session; SOURCE, one source of a session. Whoever holds the lock of a SOURCE
 * flow may have locked its CID flow before, and no two other flows are ever locked at once.
 */
#ifndef CIDLB_PATH_NAT_PRIV_H
#define CIDLB_PATH_NAT_PRIV_H

#include "flows/flows.h"
#include "path/forward.h"

/* nat_flow.c: one flow for one datagram. */

struct flow_key nat_address_key(enum flow_kind kind, const struct uplink *up); /* ADDRESS, HELLO */

/* CID, SOURCE. In the header because every datagram of a session has two made. */
static inline struct flow_key nat_cid_key(enum flow_kind kind, const struct uplink *up)
{
	struct flow_key key = {
		.kind = kind,
		.pool = up->pool->uid,
		.cid_len = up->decision->cid_len,
		.cid = up->decision->cid,
		.only = up->only,
	};

	if (kind == FLOW_SOURCE) {
		key.service = up->service;
		key.source = up->datagram->from;
	}
	return key;
}

static inline struct ownership_pair nat_pair(const struct uplink *up)
{
	return (struct ownership_pair){ .device = up->datagram->from, .service = up->service };
}

static inline struct handshake_datagram nat_datagram(const struct path *path, const struct io_datagram *datagram)
{
	return (struct handshake_datagram){ datagram->data, datagram->len, (uint32_t)(path->clock_ms / 1000) };
}

/* flow_key.only: in a pool that learns CIDs two servers may have given out one. */
static inline uint16_t nat_only(const struct table_pool *settings, uint16_t backend)
{
	return settings->learned ? (uint16_t)(backend + 1) : 0;
}

/* True: the flow leads where the datagram is to go. A flow that was made under an earlier configuration may not. The
 * lock is held. */
bool nat_leads_there(const struct flow *flow, const struct uplink *up);

/* True: the flow leads to a backend of the pool as it is now, be it another than the decided one. The lock is held. */
bool nat_leads_somewhere(const struct flow *flow, const struct uplink *up);

/* The flow, locked, if it is alive and leads to the decided backend. Ends one that leads elsewhere. `flow` may be
 * NULL. */
struct flow *nat_lock(struct path *path, const struct uplink *up, struct flow *flow);

/* A new flow of `key` to the decided backend, locked. NULL: none to be had. The caller holds no flow's lock. */
struct flow *nat_make(struct path *path, const struct uplink *up, const struct flow_key *key);

/* Sends the datagram through the endpoint of the flow, whose lock is held. That is safe, because the outbox has room
 * for all uplinks of a batch: it sends nothing, and drains no error, in the meantime. */
void nat_send_up(struct path *path, const struct uplink *up, struct flow *flow);

/* The flow of a source bears the CID of its handshake, so that it is found by that too. The lock is held. */
void nat_keep_cid(struct flow *flow);

/* Counts and traces a datagram that is refused. */
void nat_refuse_up(struct path *path, const struct uplink *up, enum refused reason);

/* A reply on the flow of a source changes more than that flow. */
struct nat_turn {
	struct path *path;
	const struct snapshot_pool *pool;
	const struct table_pool *settings;
	struct flow *flow;
	const struct flow *handshake; /* a copy of `flow`: nobody writes to it */
};

/* The CID flow of the session that a handshake has made, locked. Its CID leads to `backend`. It is made if need be.
 * NULL: none to be had. The caller holds no flow's lock. */
struct flow *nat_make_session(const struct nat_turn *turn, const struct snapshot_backend *backend);

/* nat_turn.c: what handshakes change beyond their own flow. The caller holds no flow's lock. */

/* The handshake is over: its source is the proven address of the session. */
void nat_session_prove(const struct nat_turn *turn);

/* The CID of the handshake has just been given out. If another session had it, its server knows no more of that:
 * neither its proven address nor its places are those of the new one. */
void nat_session_renew(const struct nat_turn *turn);

/* The backend goes on with the handshake of a flow of kind HELLO, which takes the place of its source's old one. */
void nat_hello_succeeds(const struct nat_turn *turn);

/* The backend goes on speaking to where the handshake was, which is over. */
void nat_session_elsewhere(const struct nat_turn *turn);

/* The session is answered at its endpoint, so the flow of its handshake is of no more use. */
void nat_handshake_end(struct path *path, const struct ownership_pair *proven, const struct flow *session);

/* nat_source.c: datagrams of sources and their handshakes. */

/* The hash that finds the flow of a source (flows_prefetch_keys()). */
uint32_t nat_hash_source(const struct path *path, const struct uplink *up);

/* Finds the flow of the source, and the hint that it gives. A first ClientHello that is repeated does not begin a
 * handshake. `up` must have its flow_hash, and needs no decision. */
void nat_source_recall(struct path *path, struct uplink *up, struct route_in *in);

/* nat_learned.c: pools that learn CIDs. */

/* True: nobody is known to have given out the CID of the datagram. */
static inline bool nat_cid_is_unknown(const struct uplink *up, const struct route_in *in)
{
	return up->settings->learned && in->learned_at == SNAPSHOT_NO_BACKEND;
}

/* True: a server is giving out a CID that another one gave out before (pending_cids.h). */
bool nat_cids_are_contested(const struct path *path);

/* If the handshake on the flow, whose lock is held, has given out the CID of the datagram, it leads there, whoever else
 * gave it out before. */
void nat_pending_recall(const struct uplink *up, const struct flow *flow, struct route_in *in);

/* Two servers have given out the CID: chooses the one whose session the source has. */
void nat_shared_recall(struct path *path, const struct uplink *up, struct route_in *in);

/* forwarder.hello_look and forwarder.hello_take. */
enum hello_step nat_hello_look(struct path *path, struct uplink *up);
void nat_hello_take(struct path *path, struct uplink *up);

/* True: a flight (epoch-0 handshake records before the CID) belongs to the handshake of its source. */
bool nat_flight_belongs(struct path *path, const struct uplink *up);

/* Each of these queues a routed datagram to its backend, or counts it as refused. */
void nat_source_uplink(struct path *path, const struct uplink *up); /* without a CID */
void nat_flight_uplink(struct path *path, const struct uplink *up); /* a flight that belongs to a handshake */

/* What a datagram with a CID is to the handshake of its source. */
enum nat_handshake {
	NAT_HANDSHAKE_OTHER,
	NAT_HANDSHAKE_SENT, /* it belongs to the handshake, and has left through its endpoint */
	NAT_HANDSHAKE_OVER, /* the handshake has made the session of this CID, and is over */
};

/* The caller holds no flow's lock. */
enum nat_handshake nat_handshake_uplink(struct path *path, const struct uplink *up);

/* nat_session.c: each of these queues a datagram that was routed by its CID, or counts it as refused. */
void nat_follow_uplink(struct path *path, const struct uplink *up);  /* rebind = "follow" */
void nat_backend_uplink(struct path *path, const struct uplink *up); /* rebind = "backend" */

/* nat_reply.c: forwarder.replies. A reply goes to every address that gets one (ownership.h). */
void nat_replies(struct path *path, struct replies *replies);

#endif

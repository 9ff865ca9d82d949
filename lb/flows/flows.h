/* The flow table of mode nat: soft state, a cache of the way back. Shared by all workers; an index that is read without
 * locks finds (flow_index.h), a lock per flow guards what changes.
 *
 * A flow is found from both sides: by its key (what the device shows) and by its endpoint and backend (where the reply
 * comes in). Memory is bounded by the pools' max_flows: descriptors come from an arena and go back to it after a grace
 * period.
 *
 * Whoever has several datagrams hashes what it will look for, has it all fetched at once (flows_prefetch_…), and then
 * finds by these hashes: in a large table each look-up waits for memory three times, and all of a batch wait together.
 *
 * Readers must be registered with QSBR and hold no flow over a quiescent state. Times are the workers' milliseconds and
 * may wrap.
 */
#ifndef CIDLB_FLOWS_H
#define CIDLB_FLOWS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <urcu-qsbr.h>

#include "base/stats.h"
#include "common/addr.h"
#include "common/endpoint.h"
#include "common/lbcid.h"
#include "common/ownership.h"
#include "common/siphash.h"

enum flow_kind {
	FLOW_ADDRESS, /* all datagrams without CID of one source at one listener */
	FLOW_HELLO,   /* a ClientHello whose backend is not that of the source's live flow: takes its place once the
			 backend agrees */
	FLOW_CID,     /* a session, by its CID */
	FLOW_SOURCE,  /* one source of a session: rebind "backend", and sources that are not the owner in a contest */
};

struct flow_key {
	enum flow_kind kind;
	uint16_t pool;      /* stable number */
	uint16_t service;   /* which address of ours it had addressed (service_addrs.h); all but CID */
	struct addr source; /* all but CID */
	uint8_t cid_len;    /* octets; CID, SOURCE */
	const uint8_t *cid;
};

/* Three cache lines. Look-ups, and the datagrams of a flow that nobody contests, use the first two. */
struct flow {
	uint32_t number; /* of the descriptor: flow_arena.h */
	/* Under the lock. */
	uint32_t last_ms;   /* a datagram either way */
	uint32_t turned_ms; /* the last datagram the other way than the last */
	uint32_t serial;    /* of this use of the descriptor */
	atomic_bool locked;
	/* Of the key; ADDRESS: of the session that its handshake made, under the lock. */
	uint8_t cid_len;
	/* Constant while the flow is in the table. */
	uint8_t kind;
	uint8_t pool;     /* stable number */
	uint16_t backend; /* stable number */
	/* Under the lock. */
	bool dead : 1;
	bool trial : 1;          /* the backend has not answered on the endpoint yet */
	bool handshake : 1;      /* ADDRESS, HELLO: a ClientHello was seen, no protected reply yet */
	bool protected_seen : 1; /* ADDRESS: a protected reply went to the source: it is reachable and has a session */
	bool awaiting : 1;       /* SOURCE: an uplink went out since the last proof */
	bool replied : 1;        /* a downlink came */
	bool last_down : 1;      /* the last datagram was one */
	uint16_t copies : 9;     /* further sends of one downlink, FLOW_COUNTED at most */
	uint8_t cid[LBCID_MAX_OCTETS];
	/* Constant while the flow is in the table. */
	struct addr endpoint;     /* cidlb's side */
	struct addr backend_addr; /* the only address that replies may come from */
	union {
		struct {
			struct ownership ownership; /* all but CID: only the owner, which is source and service of the
						    key and constant */
			uint32_t created_ms;
		};
		struct {
			struct ownership_guest owner; /* stays: a reader may still be comparing keys */
			struct rcu_head head;
			struct flows *table;
		} grace;                /* when dead */
		struct flow *next_free; /* when in no table */
	};
};
_Static_assert(offsetof(struct ownership, owner) == 0, "shared with grace");
_Static_assert(sizeof(struct flow) == 192, "whole cache lines");
_Static_assert(offsetof(struct flow, ownership) + offsetof(struct ownership, claimant) <= 128,
	       "what every datagram uses is in two of them");
_Static_assert(STATS_POOLS <= UINT8_MAX, "flow.pool");

/* What the table must know of a pool. Set by the control thread, relaxed. */
struct flows_limits {
	uint32_t max_flows;
	uint32_t idle_ms;     /* flows without CID */
	uint32_t cid_idle_ms; /* CID and SOURCE flows */
};

enum { FLOW_COUNTED = 511 /* and no further */ };

enum { FLOWS_TRIAL_MS = 30000, FLOWS_TRIAL_PART = 8 /* of max_flows */, FLOWS_SWEEP_CALLS = 8 };

struct flows;

/* An empty table. `secret` keys its hashes. NULL: out of memory. */
struct flows *flows_new(const uint8_t secret[static 16]);

/* No reader may be left. */
void flows_free(struct flows *flows);

/* Takes on the limits of one pool; makes room for its max_flows. A lower limit holds for flows made from now on.
 * Returns 0, or -ENOMEM: nothing has changed. Control thread. */
int flows_set_limits(struct flows *flows, uint16_t pool, const struct flows_limits *limits);

/* Ends every flow that is idle, or on trial for FLOWS_TRIAL_MS, or whose pool has no limits any more: a slice of the
 * table per call, the whole in FLOWS_SWEEP_CALLS calls. Control thread, a registered reader. */
void flows_sweep(struct flows *flows, uint32_t now_ms);

struct flows_count {
	uint64_t trial, proven;
	uint64_t evicted; /* so far: ended on trial, before their time, to make room */
};
struct flows_count flows_count(struct flows *flows, uint16_t pool);

/* Proven flows that lead to a backend, by its stable number: who would notice if it stopped. Any thread. */
uint64_t flows_of_backend(const struct flows *flows, uint16_t backend);

/* Counts `evicted` of a pool from 0 again. Control thread; no flow is of that pool, and none will be meanwhile. */
void flows_forget_evicted(struct flows *flows, uint16_t pool);

/* Shows `visit` every live flow, with its lock held. All of the table, so only for people who ask. Control thread. */
void flows_visit(struct flows *flows, void (*visit)(void *ctx, const struct flow *flow), void *ctx);

/* Readers: workers. */

/* What is found by. Keyed: nobody outside can have many flows share one. */
uint32_t flows_hash_key(const struct flows *flows, const struct flow_key *key);
uint32_t flows_hash_end(const struct flows *flows, const struct addr *endpoint, const struct addr *backend);

/* Have fetched what finding by these hashes will read. */
void flows_prefetch_keys(const struct flows *flows, const uint32_t *hashes, size_t count);
void flows_prefetch_ends(const struct flows *flows, const uint32_t *hashes, size_t count);

/* The live flow of a key, or NULL. `hash` is its hash. */
struct flow *flows_find_hashed(const struct flows *flows, const struct flow_key *key, uint32_t hash);
struct flow *flows_find(const struct flows *flows, const struct flow_key *key);

/* The flow that replies from `backend` to `endpoint` belong to, or NULL. */
struct flow *flows_find_end_hashed(const struct flows *flows, const struct addr *endpoint, const struct addr *backend,
				   uint32_t hash);
struct flow *flows_find_end(const struct flows *flows, const struct addr *endpoint, const struct addr *backend);

struct flow_new {
	struct flow_key key;
	uint16_t backend; /* stable number */
	struct addr backend_addr;
	const struct addr *endpoint; /* this one; NULL: the first of `space` by `endpoint_hash` that is free */
	const struct endpoint_space *space;
	uint64_t endpoint_hash;
	bool (*usable)(void *ctx, const struct addr *endpoint); /* may it be taken? NULL: any may */
	void *usable_ctx;
	struct ownership_peer owner;
	bool owner_proven; /* it has finished a handshake */
	uint32_t now_ms;
};

/* A new flow, on trial; makes room by ending the oldest flow on trial of that pool. If another worker made it first,
 * that one. NULL: none to be had. */
struct flow *flows_make(struct flows *flows, const struct flow_new *what);

/* Locks a flow that a find returned. False: it has ended meanwhile; not locked. */
bool flow_lock(struct flow *flow);
void flow_unlock(struct flow *flow);

/* With the lock held: the backend has answered on the endpoint. Stays on trial while the pool has max_flows proven
 * ones. */
void flows_prove(struct flows *flows, struct flow *flow);

/* With the lock held: a datagram passes. */
void flow_pass_up(struct flow *flow, uint32_t now_ms);
void flow_pass_down(struct flow *flow, unsigned copies, uint32_t now_ms);

/* Ends a flow; not with its lock held. */
void flows_end(struct flows *flows, struct flow *flow);

#endif

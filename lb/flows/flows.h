/* The flow table of mode nat. It is soft state: a cache of the way back. All workers share it. An index that is read
 * without locks finds flows (flow_index.h). A lock per flow guards what changes.
 *
 * A flow is found from both sides: by its key, which is what the device shows, and by its endpoint and backend, where
 * the reply comes in. The pools' max_flows bound the memory. Descriptors come from an arena, and return to it after a
 * grace period.
 *
 * In a large table each look-up waits for memory three times. With several datagrams a worker waits for all of them
 * together: it hashes what it will look for, has all of it fetched (flows_prefetch_…), and then finds by these hashes.
 *
 * Readers must be registered with QSBR, and hold no flow over a quiescent state. Times are the workers' milliseconds
 * and may wrap.
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
	FLOW_ADDRESS, /* all datagrams without a CID from one source to one listener */
	/* A ClientHello whose backend is not that of the live flow of its source. It takes the place of that flow once
	 * the backend agrees. */
	FLOW_HELLO,
	FLOW_CID,    /* a session, found by its CID */
	FLOW_SOURCE, /* one source of a session: with rebind "backend", or in a contest if it is not the owner */
};

struct flow_key {
	enum flow_kind kind;
	uint16_t pool;      /* uid */
	uint16_t service;   /* number of the service address that it was sent to (service_addrs.h); all but CID */
	struct addr source; /* all but CID */
	uint8_t cid_len;    /* octets; CID, SOURCE */
	const uint8_t *cid;
};

/* Three cache lines. Look-ups use the first two, and so do the datagrams of a flow that nobody contests. */
struct flow {
	uint32_t number; /* of the descriptor: flow_arena.h */
	/* Under the lock. */
	uint32_t last_ms;   /* the last datagram, either way */
	uint32_t turned_ms; /* the last datagram the other way than that */
	uint32_t serial;    /* of this use of the descriptor */
	atomic_bool locked;
	/* It belongs to the key. ADDRESS: to the session that the handshake made; under the lock. */
	uint8_t cid_len;
	/* Constant while the flow is in the table. Only flows_rehome() changes the backend. */
	uint8_t kind;
	uint8_t pool;     /* uid */
	uint16_t backend; /* uid */
	/* Under the lock. */
	bool dead : 1;
	bool trial : 1;          /* the backend has not answered on the endpoint yet */
	bool handshake : 1;      /* ADDRESS, HELLO: a ClientHello was seen, no protected reply yet */
	bool protected_seen : 1; /* ADDRESS: a protected reply came, so it is reachable and has a session */
	bool awaiting : 1;       /* SOURCE: an uplink went out since the last proof */
	bool replied : 1;        /* a downlink came */
	bool last_down : 1;      /* the last datagram was a downlink */
	uint16_t copies : 9;     /* further sends of one downlink; counted up to FLOW_COUNTED */
	uint8_t cid[LBCID_MAX_OCTETS];
	/* Constant while the flow is in the table. Only flows_rehome() changes backend_addr. */
	struct addr endpoint;     /* cidlb's side */
	struct addr backend_addr; /* the only address that replies may come from */
	union {
		struct {
			/* All kinds but CID use only the owner. It is the source and service of the key, and
			 * constant. */
			struct ownership ownership;
			uint32_t created_ms;
		};
		struct {
			struct ownership_guest owner; /* stays, because a reader may still compare keys */
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

/* What the table must know of a pool. The control thread sets it, with relaxed atomics. */
struct flows_limits {
	uint32_t max_flows;
	uint32_t idle_ms;     /* flows without CID */
	uint32_t cid_idle_ms; /* CID and SOURCE flows */
};

enum { FLOW_COUNTED = 511 /* counting stops here */ };

enum { FLOWS_TRIAL_MS = 30000, FLOWS_TRIAL_PART = 8 /* max_flows / 8 */, FLOWS_SWEEP_CALLS = 8 };

struct flows;

/* An empty table. `secret` keys its hashes. NULL: out of memory. */
struct flows *flows_new(const uint8_t secret[static 16]);

/* No reader may be left. */
void flows_free(struct flows *flows);

/* Sets the limits of one pool, and makes room for its max_flows. A lower limit holds for flows made from now on.
 * Returns 0, or -ENOMEM: nothing has changed. Control thread. */
int flows_set_limits(struct flows *flows, uint16_t pool, const struct flows_limits *limits);

/* Ends every flow that is idle, that was on trial for FLOWS_TRIAL_MS, or whose pool has no limits any more. Each call
 * walks a slice of the table, and FLOWS_SWEEP_CALLS calls walk the whole. Control thread, as a registered reader. */
void flows_sweep(struct flows *flows, uint32_t now_ms);

struct flows_count {
	uint64_t trial, proven;
	uint64_t evicted; /* so far: ended early, on trial, to make room */
};
struct flows_count flows_count(struct flows *flows, uint16_t pool);

/* Proven flows that lead to the backend with this uid. They would notice if it stopped. Any thread. */
uint64_t flows_of_backend(const struct flows *flows, uint16_t backend);

/* Counts `evicted` of a pool from 0 again. The pool has no flow, and gets none meanwhile. Control thread. */
void flows_forget_evicted(struct flows *flows, uint16_t pool);

/* Shows `visit` every live flow, with its lock held. It walks the whole table, so it is only for people who ask.
 * Control thread. */
void flows_visit(struct flows *flows, void (*visit)(void *ctx, const struct flow *flow), void *ctx);

/* For readers, which are the workers. */

/* The hashes by which flows are found. They are keyed, so nobody outside can make many flows share one. */
uint32_t flows_hash_key(const struct flows *flows, const struct flow_key *key);
uint32_t flows_hash_end(const struct flows *flows, const struct addr *endpoint, const struct addr *backend);

/* Fetch what finding by these hashes will read. */
void flows_prefetch_keys(const struct flows *flows, const uint32_t *hashes, size_t count);
void flows_prefetch_ends(const struct flows *flows, const uint32_t *hashes, size_t count);

/* The live flow of a key, or NULL. `hash` is the hash of the key. */
struct flow *flows_find_hashed(const struct flows *flows, const struct flow_key *key, uint32_t hash);
struct flow *flows_find(const struct flows *flows, const struct flow_key *key);

/* The flow of replies from `backend` to `endpoint`, or NULL. */
struct flow *flows_find_end_hashed(const struct flows *flows, const struct addr *endpoint, const struct addr *backend,
				   uint32_t hash);
struct flow *flows_find_end(const struct flows *flows, const struct addr *endpoint, const struct addr *backend);

struct flow_new {
	struct flow_key key;
	uint16_t backend; /* uid */
	struct addr backend_addr;
	const struct addr *endpoint; /* the one to take; NULL: the first free one of `space`, by `endpoint_hash` */
	const struct endpoint_space *space;
	uint64_t endpoint_hash;
	bool (*usable)(void *ctx, const struct addr *endpoint); /* true: it may be taken; NULL: any may */
	void *usable_ctx;
	struct ownership_peer owner;
	bool owner_proven; /* it begins as proven: it has finished a handshake, or has no rival */
	uint32_t now_ms;
};

/* Makes a flow, on trial. Makes room by ending the oldest flow on trial of that pool. If another worker was faster,
 * returns that worker's flow. NULL: none to be had. */
struct flow *flows_make(struct flows *flows, const struct flow_new *what);

/* Locks a flow that was found. False: it has ended meanwhile, and is not locked. */
bool flow_lock(struct flow *flow);
void flow_unlock(struct flow *flow);

/* The backend has answered on the endpoint: the flow is proven. It stays on trial while the pool has max_flows proven
 * flows. The lock is held. */
void flows_prove(struct flows *flows, struct flow *flow);

/* A datagram passes. The lock is held. */
void flow_pass_up(struct flow *flow, uint32_t now_ms);
void flow_pass_down(struct flow *flow, unsigned copies, uint32_t now_ms);

/* Ends a flow. The caller must not hold its lock. */
void flows_end(struct flows *flows, struct flow *flow);

#endif

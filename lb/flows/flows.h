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
#include "common/handshake.h"
#include "common/lbcid.h"
#include "common/ownership.h"
#include "common/siphash.h"
#include "flows/flow_classes.h"

enum flow_kind {
	FLOW_ADDRESS, /* all datagrams without a CID from one source to one listener */
	/* A ClientHello whose backend is not that of the live flow of its source. It takes the place of that flow once
	 * the backend agrees. */
	FLOW_HELLO,
	FLOW_CID,    /* a session, found by its CID */
	FLOW_SOURCE, /* one source of a session, at an endpoint of its own (ownership.h; rebind "backend") */
};

struct flow_key {
	enum flow_kind kind;
	uint16_t pool;      /* uid */
	uint16_t service;   /* number of the service address that it was sent to (service_addrs.h); all but CID */
	struct addr source; /* all but CID */
	uint8_t cid_len;    /* octets; CID, SOURCE */
	/* CID, SOURCE: 0, or only a flow to the backend with this uid + 1, where several may have given out a CID. */
	uint16_t only;
	const uint8_t *cid;
};

/* Look-ups use the first two cache lines of it. */
struct flow {
	uint32_t number; /* of the descriptor: flow_arena.h */
	/* The last datagram, either way. Written under the lock. */
	_Atomic uint32_t last_ms;
	/* Under the lock. */
	uint32_t turned_ms; /* the last datagram the other way than that */
	uint32_t created_ms;
	uint32_t member_at; /* in its class; under the lock of the arena, as is `class` */
	uint32_t octets;    /* of payloads, up and down; counted up to UINT32_MAX */
	atomic_bool locked;
	/* It belongs to the key. ADDRESS: to the session that the handshake made; under the lock. */
	uint8_t cid_len;
	/* Constant while the flow is in the table. Only flows_rehome() changes the backend. */
	uint8_t kind;
	uint8_t pool;     /* uid */
	uint16_t backend; /* uid */
	uint8_t class;    /* enum flow_class */
	/* Under the lock. */
	uint8_t rounds;  /* answered round trips, FLOW_ROUNDS at most */
	uint16_t copies; /* further sends of one downlink; counted up to FLOW_COUNTED */
	uint8_t pause;   /* the longest silence of the device: pause.h */
	/* CID, SOURCE, until the first answer: what the device has sent since its handshake, up to FLOW_SILENT. */
	uint8_t unanswered : 2;
	bool dead : 1;
	bool replied : 1;   /* a downlink came */
	bool last_down : 1; /* the last datagram was a downlink */
	bool elsewhere : 1; /* … and since then the backend has spoken to where the handshake was */
	bool silent : 1;    /* … and it counts as flows_silent() */
	bool handed : 1;    /* ADDRESS: what comes to its endpoint is its heir's (flows_make_heir()) */
	uint8_t cid[LBCID_MAX_OCTETS];
	/* Constant while the flow is in the table. Only flows_rehome() changes backend_addr. */
	struct addr endpoint;     /* cidlb's side */
	struct addr backend_addr; /* the only address that replies may come from */
	/* Under the lock, counted up to FLOW_COUNTED: downlinks that an address did not get; CID: how often it went on
	 * at another address. */
	uint16_t withheld, moves;
	union {
		struct ownership session; /* CID; under the lock */
		struct {
			/* All kinds but CID. It is the source and service of the key, and constant. */
			struct ownership_pair source;
			union {
				struct handshake handshake; /* ADDRESS, HELLO; under the lock */
				struct ownership_own own;   /* SOURCE; under the lock */
			};
		};
		struct {
			struct ownership_pair source; /* stays, because a reader may still compare keys */
			struct rcu_head head;
			struct flows *table;
		} grace;                /* when dead */
		struct flow *next_free; /* when in no table */
	};
};
_Static_assert(sizeof(struct flow) == 224, "an octet more takes eight");
_Static_assert(offsetof(struct flow, session) <= 96, "what every datagram uses is in two cache lines");
_Static_assert(STATS_POOLS <= UINT8_MAX, "flow.pool");

/* What the table must know of a pool. The control thread sets it, with relaxed atomics. */
struct flows_limits {
	uint32_t max_flows;
	uint32_t idle_ms;     /* flows without CID */
	uint32_t cid_idle_ms; /* CID and SOURCE flows */
};

enum {
	FLOW_COUNTED = 65535 /* counting stops here */,
	FLOW_ROUNDS = 2,
	FLOWS_SWEEP_CALLS = 8,
	FLOW_SILENT = 3,
	FLOW_SILENT_MS = 2000
};

struct flows;

/* An empty table. `secret` keys its hashes. NULL: out of memory. */
struct flows *flows_new(const uint8_t secret[static 16]);

/* No reader may be left. */
void flows_free(struct flows *flows);

/* Sets the limits of one pool, and makes room for its max_flows. A lower limit holds for flows made from now on.
 * Returns 0, or -ENOMEM: nothing has changed. Control thread. */
int flows_set_limits(struct flows *flows, uint16_t pool, const struct flows_limits *limits);

/* Ends every flow that is idle, or whose pool has no limits any more. Class handshake is idle as flows without a CID
 * are. Each call walks a slice of the table, and FLOWS_SWEEP_CALLS calls walk the whole. Control thread, as a
 * registered reader. */
void flows_sweep(struct flows *flows, uint32_t now_ms);

struct flows_count {
	uint64_t flows[FLOW_CLASSES];
	uint64_t evicted[FLOW_CLASSES]; /* so far: ended early, to make room */
};
struct flows_count flows_count(struct flows *flows, uint16_t pool);

/* Flows beyond class handshake that lead to the backend with this uid. They would notice if it stopped. Any thread. */
uint64_t flows_of_backend(const struct flows *flows, uint16_t backend);

/* Sessions, so far, of the backend with this uid that it has not answered after their handshake, although they have
 * sent something: FLOW_SILENT datagrams, or one, and the backend has spoken to where the handshake was. So it is with
 * servers that take no other address. Found by flows_sweep(), FLOW_SILENT_MS after the handshake. Any thread. */
uint64_t flows_silent(const struct flows *flows, uint16_t backend);

/* Counts those of a backend from 0 again. Control thread. */
void flows_forget_silent(struct flows *flows, uint16_t backend);

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
	const struct addr *source; /* who is the first to use it: its prefix has a share of class handshake */
	uint32_t now_ms;
};

/* Makes a flow, in class handshake, and makes room for it. If another worker was faster, returns that worker's flow.
 * NULL: none to be had. The caller holds no flow's lock. */
struct flow *flows_make(struct flows *flows, const struct flow_new *what);

/* Makes a flow with the endpoint of `from`. Replies from its backend find the new flow from now on, and `from` only
 * sends. Returns as flows_make(), or NULL if `from` has ended; without an heir it ends. */
struct flow *flows_make_heir(struct flows *flows, struct flow *from, struct flow_new *what);

/* Locks a flow that was found. False: it has ended meanwhile, and is not locked. */
bool flow_lock(struct flow *flow);
void flow_unlock(struct flow *flow);

/* The handshake of a flow in class handshake is finished: those of others end first. The lock is held. */
void flows_finish(struct flows *flows, struct flow *flow);

/* Moves a flow into another class than handshake. The lock is held. Returns the flow that must end for it, or NULL: the
 * caller ends it by flows_evict() once it holds no lock. */
struct flow *flows_promote(struct flows *flows, struct flow *flow, enum flow_class class, uint32_t now_ms);
void flows_evict(struct flows *flows, struct flow *flow);

/* Memory for ownership_expand(), which the flow gives back when it ends. NULL: there is none. */
struct ownership_place *flows_many_places(void);

/* A datagram passes. A round trip is answered with a downlink that follows an uplink. The lock is held. */
void flow_pass_up(struct flow *flow, uint32_t now_ms);
void flow_pass_down(struct flow *flow, unsigned copies, uint32_t now_ms);

/* The octets of a datagram, once for each who gets it, and how many did not get it. The lock is held. */
void flow_count(struct flow *flow, uint64_t octets, unsigned withheld);

/* The session has gone on at another address. The lock is held. */
void flow_count_move(struct flow *flow);

/* The last uplink, or when the flow was made. The lock is held. */
uint32_t flow_up_ms(const struct flow *flow);

/* Ends a flow. The caller must not hold its lock. */
void flows_end(struct flows *flows, struct flow *flow);

#endif

/* The flow table from inside: what the files of flows/ share. */
#ifndef CIDLB_FLOWS_PRIV_H
#define CIDLB_FLOWS_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>

#include <pthread.h>

#include "flows/flow_arena.h"
#include "flows/flow_classes.h"
#include "flows/flow_index.h"
#include "flows/flows.h"

struct pool_flows {
	_Atomic uint32_t max_flows, idle_ms, cid_idle_ms;
	_Atomic uint64_t evicted[FLOW_CLASSES];
	struct flow_classes classes; /* under the lock of the arena */
};

struct flows {
	struct flow_index by_key, by_end;
	struct siphash_key hash_key;
	struct flow_arena arena; /* its lock guards the classes, too */
	_Atomic size_t in_grace; /* descriptors that somebody may still read */
	bool ends;               /* nobody reads any more */
	size_t sweep_at;
	uint64_t homes_digest; /* of the homes that flows were last led to: flows_rehome.c */
	struct pool_flows pools[STATS_POOLS];
	_Atomic uint64_t silent[STATS_BACKENDS];   /* by uid */
	_Atomic uint64_t backends[STATS_BACKENDS]; /* flows beyond class handshake, by uid */
};

/* flows_find.c */

/* Makes replies from the flow's backend to its endpoint find it. Its lock is held. False: another flow has that
 * endpoint. */
bool flows_index_end(struct flows *flows, struct flow *flow);

/* What finds it. */
struct flow_key flows_key_of(const struct flow *flow);

/* Makes its key find it, unless the key finds another flow. Its lock is held. Returns the flow that the key finds. */
struct flow *flows_index_key(struct flows *flows, struct flow *flow, const struct flow_key *key);

/* The reverse. Does nothing if the flow is not found. */
void flows_unindex_end(struct flows *flows, const struct flow *flow);
void flows_unindex_key(struct flows *flows, const struct flow *flow);

/* True: replies find it. Its lock is held. */
bool flows_has_end(const struct flows *flows, const struct flow *flow);

/* flow.c. */

/* Removes a flow. The caller has found it alive and made it dead under one hold of its lock, so nobody else removes it.
 * A flow between two backends is in one index only; that is no mistake. */
void flows_remove(struct flows *flows, struct flow *flow);

/* The same for a flow that replies find no more. */
void flows_remove_key(struct flows *flows, struct flow *flow);

#endif

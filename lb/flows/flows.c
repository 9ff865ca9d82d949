#include "flows/flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/tsan.h"
#include "flows/flows_priv.h"

enum {
	PROBES = 64,        /* endpoints tried before a flow is refused */
	GRACE_SLACK = 4096, /* descriptors that wait for a grace period */
};

struct flows *flows_new(const uint8_t secret[static 16])
{
	struct flows *flows = calloc(1, sizeof *flows);
	int of_keys, of_ends;

	if (!flows)
		return NULL;
	flows->hash_key = siphash_key_load(secret);
	flow_arena_init(&flows->arena);
	of_keys = flow_index_init(&flows->by_key);
	of_ends = flow_index_init(&flows->by_end);
	if (of_keys || of_ends) {
		flows_free(flows);
		return NULL;
	}
	return flows;
}

static void end_one(void *ctx, struct flow *flow)
{
	flows_end(ctx, flow);
}

void flows_free(struct flows *flows)
{
	if (!flows)
		return;
	flow_arena_visit(&flows->arena, 0, 1, end_one, flows);
	rcu_barrier();
	tsan_acquire(flows);
	flow_arena_destroy(&flows->arena);
	flow_index_destroy(&flows->by_key);
	flow_index_destroy(&flows->by_end);
	for (size_t i = 0; i < STATS_POOLS; i++)
		free(flows->pools[i].ring);
	free(flows);
}

/* The indexes grow first, because they must have room for every descriptor. */
static int table_grow(struct flows *flows, size_t capacity)
{
	if (flow_index_grow(&flows->by_key, capacity) || flow_index_grow(&flows->by_end, capacity) ||
	    flow_arena_grow(&flows->arena, capacity))
		return -ENOMEM;
	return 0;
}

/* The memory of one flow: itself, an entry in two indexes, and its share of what flows on trial need of these and of
 * the ring. */
_Static_assert((sizeof(struct flow) + 2 * FLOW_INDEX_ENTRY_OCTETS) * (FLOWS_TRIAL_PART + 1) / FLOWS_TRIAL_PART +
			       sizeof(struct trial) / FLOWS_TRIAL_PART <=
		       256,
	       "octets per flow");

static size_t ring_size_of(uint32_t max_flows)
{
	return max_flows ? (max_flows + FLOWS_TRIAL_PART - 1) / FLOWS_TRIAL_PART : 0;
}

/* The descriptors needed if `pool` has `max_flows`. */
static size_t capacity_wanted(const struct flows *flows, uint16_t pool, uint32_t max_flows)
{
	size_t capacity = GRACE_SLACK;

	for (size_t i = 0; i < STATS_POOLS; i++) {
		uint32_t most =
			i == pool ? max_flows : atomic_load_explicit(&flows->pools[i].max_flows, memory_order_relaxed);

		capacity += most + ring_size_of(most);
	}
	return capacity;
}

/* Flows on trial in the old ring are evicted no more. They end by time. */
static void ring_replace(struct flows *flows, struct pool_flows *of, struct trial *ring, size_t size)
{
	struct trial *old;

	pthread_mutex_lock(&flows->arena.lock);
	old = of->ring;
	of->ring = ring;
	of->ring_size = size;
	of->ring_at = 0;
	pthread_mutex_unlock(&flows->arena.lock);
	free(old);
}

int flows_set_limits(struct flows *flows, uint16_t pool, const struct flows_limits *limits)
{
	struct pool_flows *of = &flows->pools[pool];
	size_t size = ring_size_of(limits->max_flows);
	bool resize = size != of->ring_size;
	struct trial *ring = resize && size ? calloc(size, sizeof *ring) : NULL;

	if ((resize && size && !ring) || table_grow(flows, capacity_wanted(flows, pool, limits->max_flows))) {
		free(ring);
		return -ENOMEM;
	}
	if (resize)
		ring_replace(flows, of, ring, size);
	atomic_store_explicit(&of->max_flows, limits->max_flows, memory_order_relaxed);
	atomic_store_explicit(&of->idle_ms, limits->idle_ms, memory_order_relaxed);
	atomic_store_explicit(&of->cid_idle_ms, limits->cid_idle_ms, memory_order_relaxed);
	return 0;
}

struct flows_count flows_count(struct flows *flows, uint16_t pool)
{
	struct pool_flows *of = &flows->pools[pool];

	return (struct flows_count){
		.trial = atomic_load_explicit(&of->trial, memory_order_relaxed),
		.proven = atomic_load_explicit(&of->proven, memory_order_relaxed),
		.evicted = atomic_load_explicit(&of->evicted, memory_order_relaxed),
	};
}

uint64_t flows_of_backend(const struct flows *flows, uint16_t backend)
{
	return atomic_load_explicit(&flows->backends[backend], memory_order_relaxed);
}

void flows_forget_evicted(struct flows *flows, uint16_t pool)
{
	atomic_store_explicit(&flows->pools[pool].evicted, 0, memory_order_relaxed);
}

static void flow_spin(struct flow *flow)
{
	while (atomic_exchange_explicit(&flow->locked, true, memory_order_acquire))
		while (atomic_load_explicit(&flow->locked, memory_order_relaxed))
			caa_cpu_relax();
}

bool flow_lock(struct flow *flow)
{
	flow_spin(flow);
	if (!flow->dead)
		return true;
	flow_unlock(flow);
	return false;
}

void flow_unlock(struct flow *flow)
{
	atomic_store_explicit(&flow->locked, false, memory_order_release);
}

void flow_pass_up(struct flow *flow, uint32_t now_ms)
{
	if (flow->last_down)
		flow->turned_ms = flow->last_ms;
	flow->last_down = false;
	flow->last_ms = now_ms;
}

void flow_pass_down(struct flow *flow, unsigned copies, uint32_t now_ms)
{
	if (!flow->last_down)
		flow->turned_ms = flow->last_ms;
	flow->last_down = flow->replied = true;
	flow->last_ms = now_ms;
	flow->copies = (flow->copies + copies < FLOW_COUNTED ? flow->copies + copies : FLOW_COUNTED) & FLOW_COUNTED;
}

static void after_grace(struct rcu_head *head)
{
	struct flow *flow = caa_container_of(head, struct flow, grace.head);
	struct flows *flows;

	tsan_acquire(flow);
	flows = flow->grace.table;
	flow_arena_return(&flows->arena, flow);
	tsan_release(flows);
}

static void retire(struct flows *flows, struct flow *flow)
{
	flow->grace.table = flows;
	tsan_release(flow);
	call_rcu(&flow->grace.head, after_grace);
}

void flows_remove_key(struct flows *flows, struct flow *flow)
{
	struct pool_flows *of = &flows->pools[flow->pool];

	flows_unindex_key(flows, flow);
	atomic_fetch_sub_explicit(flow->trial ? &of->trial : &of->proven, 1, memory_order_relaxed);
	if (!flow->trial)
		atomic_fetch_sub_explicit(&flows->backends[flow->backend], 1, memory_order_relaxed);
	retire(flows, flow);
}

/* A flow between two backends is in one index only. */
static void flow_remove(struct flows *flows, struct flow *flow)
{
	flows_unindex_end(flows, flow);
	flows_remove_key(flows, flow);
}

void flows_end(struct flows *flows, struct flow *flow)
{
	if (!flow_lock(flow))
		return;
	flow->dead = true;
	flow_unlock(flow);
	flow_remove(flows, flow);
}

static void trial_end(struct flows *flows, const struct trial *trial)
{
	if (!trial->flow || !flow_lock(trial->flow))
		return;
	if (trial->flow->serial != trial->serial || !trial->flow->trial) {
		flow_unlock(trial->flow);
		return;
	}
	trial->flow->dead = true;
	atomic_fetch_add_explicit(&flows->pools[trial->flow->pool].evicted, 1, memory_order_relaxed);
	flow_unlock(trial->flow);
	flow_remove(flows, trial->flow);
}

static void descriptor_fill(struct flow *flow, const struct flow_new *what, uint32_t serial)
{
	const struct flow_key *key = &what->key;

	flow->pool = (uint8_t)key->pool;
	flow->backend = what->backend;
	flow->kind = (uint8_t)key->kind;
	flow->cid_len = key->cid_len;
	if (key->cid_len)
		memcpy(flow->cid, key->cid, key->cid_len);
	flow->backend_addr = what->backend_addr;
	flow->trial = true;
	flow->handshake = flow->protected_seen = flow->awaiting = flow->replied = flow->last_down = false;
	flow->copies = 0;
	flow->created_ms = flow->last_ms = flow->turned_ms = what->now_ms;
	flow->serial = serial;
	ownership_init(&flow->ownership, &what->owner, what->owner_proven);
}

/* False: another flow has the endpoint. */
static bool end_insert_at(struct flows *flows, struct flow *flow, const struct addr *endpoint)
{
	flow->endpoint = *endpoint;
	return flows_index_end(flows, flow);
}

static bool end_insert(struct flows *flows, struct flow *flow, const struct flow_new *what)
{
	struct addr endpoint;

	if (what->endpoint)
		return end_insert_at(flows, flow, what->endpoint);
	for (unsigned probe = 0; probe < PROBES; probe++) {
		if (!endpoint_at(&endpoint, what->space, addr_is_v4(&what->backend_addr), what->endpoint_hash, probe))
			return false;
		if (what->usable && !what->usable(what->usable_ctx, &endpoint))
			continue;
		if (end_insert_at(flows, flow, &endpoint))
			return true;
	}
	return false;
}

struct flow *flows_make(struct flows *flows, const struct flow_new *what)
{
	struct pool_flows *of = &flows->pools[what->key.pool];
	struct trial leaving = { NULL, 0 };
	uint32_t serial;
	struct flow *flow = flow_arena_take(&flows->arena, &serial), *there;

	if (!flow)
		return NULL;
	flow_spin(flow);
	descriptor_fill(flow, what, serial);
	if (!end_insert(flows, flow, what)) {
		flow_unlock(flow);
		retire(flows, flow);
		return NULL;
	}
	there = flows_index_key(flows, flow, &what->key);
	if (there != flow) {
		flow_unlock(flow);
		flows_unindex_end(flows, flow);
		retire(flows, flow);
		return there;
	}
	flow->dead = false;
	atomic_fetch_add_explicit(&of->trial, 1, memory_order_relaxed);
	flow_unlock(flow);

	pthread_mutex_lock(&flows->arena.lock);
	if (of->ring_size) {
		leaving = of->ring[of->ring_at];
		of->ring[of->ring_at] = (struct trial){ flow, serial };
		of->ring_at = (of->ring_at + 1) % of->ring_size;
	}
	pthread_mutex_unlock(&flows->arena.lock);
	trial_end(flows, &leaving);
	return flow;
}

void flows_prove(struct flows *flows, struct flow *flow)
{
	struct pool_flows *of = &flows->pools[flow->pool];

	if (!flow->trial)
		return;
	if (atomic_fetch_add_explicit(&of->proven, 1, memory_order_relaxed) >= of->max_flows) {
		atomic_fetch_sub_explicit(&of->proven, 1, memory_order_relaxed);
		return;
	}
	atomic_fetch_sub_explicit(&of->trial, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&flows->backends[flow->backend], 1, memory_order_relaxed);
	flow->trial = false;
}

/* Milliseconds since `then_ms`. The sweep reads the clock once, so a worker's clock may be ahead of it. */
static uint32_t elapsed_ms(uint32_t now_ms, uint32_t then_ms)
{
	return (int32_t)(now_ms - then_ms) > 0 ? now_ms - then_ms : 0;
}

static bool flow_is_over(const struct flows *flows, const struct flow *flow, uint32_t now_ms)
{
	const struct pool_flows *of = &flows->pools[flow->pool];
	bool has_cid = flow->kind == FLOW_CID || flow->kind == FLOW_SOURCE;

	if (of->max_flows == 0)
		return true;
	if (flow->trial)
		return elapsed_ms(now_ms, flow->created_ms) >= FLOWS_TRIAL_MS;
	return elapsed_ms(now_ms, flow->last_ms) >= (has_cid ? of->cid_idle_ms : of->idle_ms);
}

struct sweep {
	struct flows *flows;
	uint32_t now_ms;
};

static void sweep_one(void *ctx, struct flow *flow)
{
	const struct sweep *sweep = ctx;

	if (!flow_lock(flow))
		return;
	if (!flow_is_over(sweep->flows, flow, sweep->now_ms)) {
		flow_unlock(flow);
		return;
	}
	flow->dead = true;
	flow_unlock(flow);
	flow_remove(sweep->flows, flow);
}

void flows_sweep(struct flows *flows, uint32_t now_ms)
{
	struct sweep sweep = { flows, now_ms };

	flow_arena_visit(&flows->arena, flows->sweep_at, FLOWS_SWEEP_CALLS, sweep_one, &sweep);
	flows->sweep_at = (flows->sweep_at + 1) % FLOWS_SWEEP_CALLS;
}

struct visit {
	void (*visit)(void *ctx, const struct flow *flow);
	void *ctx;
};

static void visit_one(void *ctx, struct flow *flow)
{
	const struct visit *visit = ctx;

	if (!flow_lock(flow))
		return;
	visit->visit(visit->ctx, flow);
	flow_unlock(flow);
}

void flows_visit(struct flows *flows, void (*visit)(void *ctx, const struct flow *flow), void *ctx)
{
	struct visit both = { visit, ctx };

	flow_arena_visit(&flows->arena, 0, 1, visit_one, &both);
}

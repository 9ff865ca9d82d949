/* The table as a whole: its memory and limits, what it counts, and the walks through it. */
#include "flows/flows.h"

#include <errno.h>
#include <stdlib.h>

#include "base/tsan.h"
#include "flows/flows_priv.h"

enum { GRACE_SLACK = 4096 /* descriptors that wait for a grace period */ };

struct flows *flows_new(const uint8_t secret[static 16])
{
	struct flows *flows = calloc(1, sizeof *flows);
	int of_keys, of_ends;

	if (!flows)
		return NULL;
	flows->hash_key = siphash_key_load(secret);
	flow_arena_init(&flows->arena);
	for (size_t i = 0; i < STATS_POOLS; i++)
		flow_classes_init(&flows->pools[i].classes, &flows->arena);
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
	flows->ends = true;
	flow_arena_visit(&flows->arena, 0, 1, end_one, flows);
	/* It takes 10 ms, for which the next cidlb would wait, and its devices. */
	if (atomic_load_explicit(&flows->in_grace, memory_order_acquire) > 0)
		rcu_barrier();
	tsan_acquire(flows);
	flow_arena_destroy(&flows->arena);
	flow_index_destroy(&flows->by_key);
	flow_index_destroy(&flows->by_end);
	for (size_t i = 0; i < STATS_POOLS; i++)
		flow_classes_destroy(&flows->pools[i].classes);
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

_Static_assert(sizeof(struct flow) + 2 * FLOW_INDEX_ENTRY_OCTETS + sizeof(uint32_t) <= 256, "octets per flow");

/* The descriptors needed if `pool` has `max_flows`. */
static size_t capacity_wanted(const struct flows *flows, uint16_t pool, uint32_t max_flows)
{
	size_t capacity = GRACE_SLACK;

	for (size_t i = 0; i < STATS_POOLS; i++) {
		uint32_t most =
			i == pool ? max_flows : atomic_load_explicit(&flows->pools[i].max_flows, memory_order_relaxed);

		capacity += most + flow_handshakes_most(most);
	}
	return capacity;
}

int flows_set_limits(struct flows *flows, uint16_t pool, const struct flows_limits *limits)
{
	struct pool_flows *of = &flows->pools[pool];
	int err = table_grow(flows, capacity_wanted(flows, pool, limits->max_flows));

	if (err)
		return err;
	pthread_mutex_lock(&flows->arena.lock);
	err = flow_classes_limit(&of->classes, limits->max_flows);
	pthread_mutex_unlock(&flows->arena.lock);
	if (err)
		return err;
	atomic_store_explicit(&of->max_flows, limits->max_flows, memory_order_relaxed);
	atomic_store_explicit(&of->idle_ms, limits->idle_ms, memory_order_relaxed);
	atomic_store_explicit(&of->cid_idle_ms, limits->cid_idle_ms, memory_order_relaxed);
	return 0;
}

struct flows_count flows_count(struct flows *flows, uint16_t pool)
{
	struct pool_flows *of = &flows->pools[pool];
	struct flows_count count;

	pthread_mutex_lock(&flows->arena.lock);
	for (size_t i = 0; i < FLOW_CLASSES; i++) {
		count.flows[i] = of->classes.counts[i];
		count.evicted[i] = atomic_load_explicit(&of->evicted[i], memory_order_relaxed);
	}
	pthread_mutex_unlock(&flows->arena.lock);
	return count;
}

uint64_t flows_of_backend(const struct flows *flows, uint16_t backend)
{
	return atomic_load_explicit(&flows->backends[backend], memory_order_relaxed);
}

uint64_t flows_silent(const struct flows *flows, uint16_t backend)
{
	return atomic_load_explicit(&flows->silent[backend], memory_order_relaxed);
}

void flows_forget_silent(struct flows *flows, uint16_t backend)
{
	atomic_store_explicit(&flows->silent[backend], 0, memory_order_relaxed);
}

void flows_forget_evicted(struct flows *flows, uint16_t pool)
{
	for (size_t i = 0; i < FLOW_CLASSES; i++)
		atomic_store_explicit(&flows->pools[pool].evicted[i], 0, memory_order_relaxed);
}

/* Milliseconds since `then_ms`. The sweep reads the clock once, so a worker's clock may be ahead of it. */
static uint32_t elapsed_ms(uint32_t now_ms, uint32_t then_ms)
{
	return (int32_t)(now_ms - then_ms) > 0 ? now_ms - then_ms : 0;
}

static bool flow_is_over(const struct flows *flows, const struct flow *flow, uint32_t now_ms)
{
	const struct pool_flows *of = &flows->pools[flow->pool];
	const uint32_t silent_ms = elapsed_ms(now_ms, atomic_load_explicit(&flow->last_ms, memory_order_relaxed));

	if (of->max_flows == 0)
		return true;
	return silent_ms >= (flow->class == FLOW_CLASS_CID ? of->cid_idle_ms : of->idle_ms);
}

/* The lock is held. */
static void silence_count(struct flows *flows, struct flow *flow, uint32_t now_ms)
{
	const bool sent = flow->unanswered >= FLOW_SILENT || (flow->unanswered && flow->elsewhere);

	if (!sent || flow->silent || flow->class != FLOW_CLASS_HANDSHAKE ||
	    elapsed_ms(now_ms, flow->created_ms) < FLOW_SILENT_MS)
		return;
	flow->silent = true;
	atomic_fetch_add_explicit(&flows->silent[flow->backend], 1, memory_order_relaxed);
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
	silence_count(sweep->flows, flow, sweep->now_ms);
	if (!flow_is_over(sweep->flows, flow, sweep->now_ms)) {
		flow_unlock(flow);
		return;
	}
	flow->dead = true;
	flow_unlock(flow);
	flows_remove(sweep->flows, flow);
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

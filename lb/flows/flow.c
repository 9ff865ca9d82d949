/* One flow, from its making to its end. */
#include "flows/flows.h"

#include <string.h>

#include "base/tsan.h"
#include "flows/flows_priv.h"

enum { PROBES = 64 /* endpoints tried before a flow is refused */ };

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

void flows_remove(struct flows *flows, struct flow *flow)
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
	flows_remove(flows, flow);
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
	flows_remove(flows, trial->flow);
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

/* One flow, from its making to its end. */
#include "flows/flows.h"

#include <stdlib.h>
#include <string.h>

#include "base/cpu_turn.h"
#include "base/tsan.h"
#include "common/limit.h"
#include "flows/flows_priv.h"
#include "flows/pause.h"

enum { PROBES = 64 /* endpoints tried before a flow is refused */ };

static void flow_spin(struct flow *flow)
{
	unsigned tries = 0;

	while (atomic_exchange_explicit(&flow->locked, true, memory_order_acquire))
		while (atomic_load_explicit(&flow->locked, memory_order_relaxed))
			cpu_turn_wait(&tries);
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

static uint32_t last_ms(const struct flow *flow)
{
	return atomic_load_explicit(&flow->last_ms, memory_order_relaxed);
}

uint32_t flow_up_ms(const struct flow *flow)
{
	return flow->last_down ? flow->turned_ms : last_ms(flow);
}

/* Most datagrams follow the last one at once. */
static void pause_note(struct flow *flow, uint32_t now_ms)
{
	const int32_t silent_ms = (int32_t)(now_ms - flow_up_ms(flow));
	uint8_t pause;

	if (silent_ms < 1000)
		return;
	pause = pause_of(((uint32_t)silent_ms + 999) / 1000);
	if (pause > flow->pause)
		flow->pause = pause;
}

void flow_pass_up(struct flow *flow, uint32_t now_ms)
{
	pause_note(flow, now_ms);
	if (flow->last_down)
		flow->turned_ms = last_ms(flow);
	flow->last_down = false;
	atomic_store_explicit(&flow->last_ms, now_ms, memory_order_relaxed);
}

void flow_pass_down(struct flow *flow, unsigned copies, uint32_t now_ms)
{
	if (!flow->last_down) {
		flow->turned_ms = last_ms(flow);
		if (flow->rounds < FLOW_ROUNDS)
			flow->rounds++;
	}
	flow->last_down = flow->replied = true;
	atomic_store_explicit(&flow->last_ms, now_ms, memory_order_relaxed);
	flow->copies = (uint16_t)(flow->copies + copies < FLOW_COUNTED ? flow->copies + copies : FLOW_COUNTED);
}

void flow_count(struct flow *flow, uint64_t octets, unsigned withheld)
{
	const uint64_t sum = flow->octets + octets, missed = (uint64_t)flow->withheld + withheld;

	flow->octets = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
	flow->withheld = missed < FLOW_COUNTED ? (uint16_t)missed : FLOW_COUNTED;
}

void flow_count_move(struct flow *flow)
{
	if (flow->moves < FLOW_COUNTED)
		flow->moves++;
}

static void after_grace(struct rcu_head *head)
{
	struct flow *flow = caa_container_of(head, struct flow, grace.head);
	struct flows *flows;

	tsan_acquire(flow);
	flows = flow->grace.table;
	flow_arena_return(&flows->arena, flow);
	tsan_release(flows);
	atomic_fetch_sub_explicit(&flows->in_grace, 1, memory_order_release);
}

static void retire(struct flows *flows, struct flow *flow)
{
	if (flows->ends) {
		flow_arena_return(&flows->arena, flow);
		return;
	}
	flow->grace.table = flows;
	atomic_fetch_add_explicit(&flows->in_grace, 1, memory_order_relaxed);
	tsan_release(flow);
	call_rcu(&flow->grace.head, after_grace);
}

struct ownership_place *flows_many_places(void)
{
	return malloc(OWNERSHIP_PLACES_HOME * sizeof(struct ownership_place));
}

void flows_remove_key(struct flows *flows, struct flow *flow)
{
	bool counted;

	flows_unindex_key(flows, flow);
	pthread_mutex_lock(&flows->arena.lock);
	counted = flow->class != FLOW_CLASS_HANDSHAKE;
	flow_classes_remove(&flows->pools[flow->pool].classes, flow);
	pthread_mutex_unlock(&flows->arena.lock);
	if (counted)
		atomic_fetch_sub_explicit(&flows->backends[flow->backend], 1, memory_order_relaxed);
	if (flow->kind == FLOW_CID && flow->session.has_many)
		free(flow->session.many);
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

void flows_evict(struct flows *flows, struct flow *flow)
{
	enum flow_class class;

	if (!flow || !flow_lock(flow))
		return;
	class = (enum flow_class)flow->class;
	flow->dead = true;
	flow_unlock(flow);
	atomic_fetch_add_explicit(&flows->pools[flow->pool].evicted[class], 1, memory_order_relaxed);
	flows_remove(flows, flow);
}

static void descriptor_fill(struct flow *flow, const struct flow_new *what)
{
	const struct flow_key *key = &what->key;

	flow->pool = (uint8_t)key->pool;
	flow->backend = what->backend;
	flow->kind = (uint8_t)key->kind;
	flow->cid_len = key->cid_len;
	if (key->cid_len)
		memcpy(flow->cid, key->cid, key->cid_len);
	flow->backend_addr = what->backend_addr;
	flow->class = FLOW_CLASS_HANDSHAKE;
	flow->member_at = FLOW_CLASS_NONE;
	flow->replied = flow->last_down = flow->elsewhere = flow->silent = flow->handed = false;
	flow->copies = flow->withheld = flow->moves = 0;
	flow->octets = 0;
	flow->rounds = flow->pause = 0;
	flow->unanswered = 0;
	flow->created_ms = flow->turned_ms = what->now_ms;
	atomic_store_explicit(&flow->last_ms, what->now_ms, memory_order_relaxed);
	if (key->kind == FLOW_CID) {
		flow->session = (struct ownership){ .has_proven = false };
		return;
	}
	flow->source = (struct ownership_pair){ key->source, key->service };
	if (key->kind == FLOW_SOURCE)
		flow->own = (struct ownership_own){ .open = false };
	else
		flow->handshake = (struct handshake){ .begun = false };
}

/* False: another flow has the endpoint. */
static bool end_insert_at(struct flows *flows, struct flow *flow, const struct addr *endpoint)
{
	flow->endpoint = *endpoint;
	return flows_index_end(flows, flow);
}

/* *taken: some endpoint is another flow's. */
static bool end_insert(struct flows *flows, struct flow *flow, const struct flow_new *what, bool *taken)
{
	struct addr endpoint;

	*taken = false;
	if (what->endpoint)
		return end_insert_at(flows, flow, what->endpoint);
	for (unsigned probe = 0; probe < PROBES; probe++) {
		if (!endpoint_at(&endpoint, what->space, addr_is_v4(&what->backend_addr), what->endpoint_hash, probe))
			return false;
		if (what->usable && !what->usable(what->usable_ctx, &endpoint))
			continue;
		if (end_insert_at(flows, flow, &endpoint))
			return true;
		*taken = true;
	}
	return false;
}

/* All endpoints are taken. A handshake gives up its own. False: there is none. */
static bool make_way(struct flows *flows, const struct flow_new *what)
{
	struct flow *leaving;

	pthread_mutex_lock(&flows->arena.lock);
	leaving = flow_classes_give_way(&flows->pools[what->key.pool].classes, what->now_ms);
	pthread_mutex_unlock(&flows->arena.lock);
	flows_evict(flows, leaving);
	return leaving;
}

struct flow *flows_make(struct flows *flows, const struct flow_new *what)
{
	const uint64_t prefix = limit_prefix_hash(&flows->hash_key, what->source);
	struct flow *flow = flow_arena_take(&flows->arena), *there, *leaving;
	bool taken;

	if (!flow)
		return NULL;
	flow_spin(flow);
	descriptor_fill(flow, what);
	if (!end_insert(flows, flow, what, &taken) &&
	    !(taken && make_way(flows, what) && end_insert(flows, flow, what, &taken))) {
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
	pthread_mutex_lock(&flows->arena.lock);
	leaving = flow_classes_add(&flows->pools[flow->pool].classes, flow, prefix, what->now_ms);
	pthread_mutex_unlock(&flows->arena.lock);
	flow_unlock(flow);
	flows_evict(flows, leaving);
	return flow;
}

struct flow *flows_make_heir(struct flows *flows, struct flow *from, struct flow_new *what)
{
	struct flow *heir;

	if (!flow_lock(from))
		return NULL;
	/* In a pool of scheme "hash" the heir may lead to another backend. Then both have the endpoint. */
	if (addr_equal(&from->backend_addr, &what->backend_addr)) {
		flows_unindex_end(flows, from);
		from->handed = true;
	}
	what->endpoint = &from->endpoint;
	flow_unlock(from);
	heir = flows_make(flows, what);
	if (!heir)
		flows_end(flows, from);
	return heir;
}

void flows_finish(struct flows *flows, struct flow *flow)
{
	pthread_mutex_lock(&flows->arena.lock);
	flow_classes_finish(&flows->pools[flow->pool].classes, flow);
	pthread_mutex_unlock(&flows->arena.lock);
}

struct flow *flows_promote(struct flows *flows, struct flow *flow, enum flow_class class, uint32_t now_ms)
{
	struct flow *leaving;
	bool first;

	pthread_mutex_lock(&flows->arena.lock);
	first = flow->class == FLOW_CLASS_HANDSHAKE && flow->member_at != FLOW_CLASS_NONE;
	leaving = flow_classes_move(&flows->pools[flow->pool].classes, flow, class, now_ms);
	pthread_mutex_unlock(&flows->arena.lock);
	if (first)
		atomic_fetch_add_explicit(&flows->backends[flow->backend], 1, memory_order_relaxed);
	return leaving;
}

/* Workers that look for a reply's flow compare backend_addr without a lock. So a flow that is to move leaves the index
 * of endpoints first, and gets its new backend once nobody can be comparing any more. */
#include "flows/flows_rehome.h"

#include "base/tsan.h"
#include "flows/flows_priv.h"

struct rehome {
	struct flows *flows;
	const struct table *table;
	size_t leaving, arrived;
};

/* Of an address: once its handshake is over, whatever ClientHello came since, as anybody can send one. */
static bool has_session(const struct flow *flow)
{
	switch ((enum flow_kind)flow->kind) {
	case FLOW_CID:
	case FLOW_SOURCE:
		return true;
	case FLOW_ADDRESS:
		return flow->cid_len && flow->protected_seen;
	case FLOW_HELLO:
		break;
	}
	return false;
}

/* Where the flow should lead; NULL: nowhere known. */
static const struct snapshot_backend *home_of(const struct table *table, const struct flow *flow)
{
	const uint16_t at = table->pool_of_uid[flow->pool];
	const struct snapshot_pool *pool = at == TABLE_NONE ? NULL : &table->snapshot->pools[at];
	struct server_id id;
	uint16_t backend;

	if (!pool)
		return NULL;
	if (has_session(flow) && cid_open_octets(&id, &pool->layout, flow->cid, flow->cid_len) == CID_OPENED)
		backend = snapshot_backend_of_id(pool, &id);
	else
		backend = snapshot_backend_of_uid(pool, flow->backend);
	if (backend == SNAPSHOT_NO_BACKEND || addr_is_wildcard(&pool->backends[backend].addr))
		return NULL;
	return &pool->backends[backend];
}

static bool is_home(const struct flow *flow, const struct snapshot_backend *home)
{
	return flow->backend == home->uid && addr_equal(&flow->backend_addr, &home->addr);
}

static void leave(void *ctx, struct flow *flow)
{
	struct rehome *rehome = ctx;
	const struct snapshot_backend *home;

	if (!flow_lock(flow))
		return;
	home = home_of(rehome->table, flow);
	if (home && !is_home(flow, home)) {
		flows_unindex_end(rehome->flows, flow);
		rehome->leaving++;
	}
	flow_unlock(flow);
}

static void lead_to(struct flows *flows, struct flow *flow, const struct snapshot_backend *home)
{
	if (!flow->trial) {
		atomic_fetch_sub_explicit(&flows->backends[flow->backend], 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&flows->backends[home->uid], 1, memory_order_relaxed);
	}
	flow->backend = home->uid;
	flow->backend_addr = home->addr;
}

/* What leave() found of it may not be true any more, but it needs a place all the same. False: there is none for its
 * endpoint. */
static bool take_place(struct rehome *rehome, struct flow *flow)
{
	const struct snapshot_backend *home = home_of(rehome->table, flow);
	const bool moves = home && !is_home(flow, home);

	if (moves && addr_is_v4(&home->addr) != addr_is_v4(&flow->endpoint))
		return false;
	tsan_acquire(flow);
	if (moves)
		lead_to(rehome->flows, flow, home);
	if (!flows_index_end(rehome->flows, flow))
		return false;
	rehome->arrived += moves;
	return true;
}

static void arrive(void *ctx, struct flow *flow)
{
	struct rehome *rehome = ctx;
	bool placed;

	if (!flow_lock(flow))
		return;
	placed = flows_has_end(rehome->flows, flow) || take_place(rehome, flow);
	flow->dead = !placed;
	flow_unlock(flow);
	if (!placed)
		flows_remove_key(rehome->flows, flow);
}

size_t flows_rehome(struct flows *flows, const struct table *table)
{
	struct rehome rehome = { flows, table, 0, 0 };

	if (flows->places == table->snapshot->places)
		return 0;
	flows->places = table->snapshot->places;
	flow_arena_visit(&flows->arena, 0, 1, leave, &rehome);
	if (rehome.leaving) {
		synchronize_rcu();
		flow_arena_visit(&flows->arena, 0, 1, arrive, &rehome);
	}
	return rehome.arrived;
}

/* Workers that look for the flow of a reply compare backend_addr without a lock. So a flow that is to move leaves the
 * index of endpoints first. It gets its new backend once nobody can be comparing any more. */
#include "flows/flows_rehome.h"

#include "base/tsan.h"
#include "flows/flows_priv.h"

struct rehome {
	struct flows *flows;
	const struct flows_homes *homes;
	size_t leaving, arrived;
};

bool flow_has_session(const struct flow *flow)
{
	switch ((enum flow_kind)flow->kind) {
	case FLOW_CID:
	case FLOW_SOURCE:
		return true;
	case FLOW_ADDRESS:
		return flow->cid_len && flow->handshake.over;
	case FLOW_HELLO:
		break;
	}
	return false;
}

/* True: the flow leads elsewhere than to its home. */
static bool is_to_move(const struct rehome *rehome, const struct flow *flow, struct flow_home *home)
{
	return rehome->homes->find(rehome->homes->ctx, flow, home) &&
	       !(flow->backend == home->backend && addr_equal(&flow->backend_addr, &home->addr));
}

static void leave(void *ctx, struct flow *flow)
{
	struct rehome *rehome = ctx;
	struct flow_home home;

	if (!flow_lock(flow))
		return;
	if (is_to_move(rehome, flow, &home)) {
		flows_unindex_end(rehome->flows, flow);
		rehome->leaving++;
	}
	flow_unlock(flow);
}

static void lead_to(struct flows *flows, struct flow *flow, const struct flow_home *home)
{
	if (flow->class != FLOW_CLASS_HANDSHAKE) {
		atomic_fetch_sub_explicit(&flows->backends[flow->backend], 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&flows->backends[home->backend], 1, memory_order_relaxed);
	}
	flow->backend = home->backend;
	flow->backend_addr = home->addr;
}

/* Puts the flow back into the index of endpoints. What leave() found may not be true any more, but the flow needs its
 * place all the same. False: there is none for its endpoint. */
static bool take_place(struct rehome *rehome, struct flow *flow)
{
	struct flow_home home;
	const bool moves = is_to_move(rehome, flow, &home);

	if (moves && addr_is_v4(&home.addr) != addr_is_v4(&flow->endpoint))
		return false;
	tsan_acquire(flow);
	if (moves)
		lead_to(rehome->flows, flow, &home);
	if (!flows_index_end(rehome->flows, flow))
		return false;
	rehome->arrived += moves;
	return true;
}

static void arrive(void *ctx, struct flow *flow)
{
	struct rehome *rehome = ctx;
	struct flow_home home;
	bool placed;

	if (!flow_lock(flow))
		return;
	/* A flow that has handed its endpoint on needs none, and stays with its backend. */
	placed = flow->handed ? !is_to_move(rehome, flow, &home)
			      : flows_has_end(rehome->flows, flow) || take_place(rehome, flow);
	flow->dead = !placed;
	flow_unlock(flow);
	if (!placed)
		flows_remove_key(rehome->flows, flow);
}

size_t flows_rehome(struct flows *flows, const struct flows_homes *homes)
{
	struct rehome rehome = { flows, homes, 0, 0 };

	if (flows->homes_digest == homes->digest)
		return 0;
	flows->homes_digest = homes->digest;
	flow_arena_visit(&flows->arena, 0, 1, leave, &rehome);
	if (rehome.leaving) {
		synchronize_rcu();
		flow_arena_visit(&flows->arena, 0, 1, arrive, &rehome);
	}
	return rehome.arrived;
}

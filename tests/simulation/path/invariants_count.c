/* Counters and bounds:
 *
 *   7  lb/base/stats.h: received = sum of verdicts. Per pool, routed = sent + refused. Also replies + copies =
 *      sent down + refused. Each agrees with what the network handed over.
 *
 *   8  There are at most max_flows flows beyond class handshake, and an eighth of that (rounded up) in it. Now and then
 *      the counts are compared with the flows in the table. */
#include "tests/simulation/path/world.h"

enum { VISIT_STEPS = 1024 };

static uint64_t read(const stats_counter *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

struct sums {
	uint64_t routed, up, down, refused_up, refused_down;
};

static void sum_verdicts(struct world *world, int listener, struct sums *sums)
{
	const struct stats *stats = &world->balancer.path->stats;
	uint64_t all = 0, received = 0;

	for (enum verdict verdict = 0; verdict < VERDICTS; verdict++) {
		uint64_t n = read(&stats->verdicts[listener][verdict]);

		all += n;
		sums->routed += verdict_is_routed(verdict) ? n : 0;
	}
	for (int service = 0; service < SERVICES; service++)
		received += network_listener(service) == listener ? world->invariants.received[service] : 0;
	invariants_expect(world, read(&stats->received[listener]) == received, "7: received is not what arrived");
	invariants_expect(world, all == received, "7: received is not the sum of verdicts");
}

static void check_pool(struct world *world, int pool, uint64_t *answered)
{
	const struct balancer *balancer = &world->balancer;
	const struct stats *stats = &balancer->path->stats;
	uint16_t uid = balancer->pool_uids[pool];
	struct sums sums = { 0 };

	for (int i = 0; i < LISTENERS; i++)
		if ((int)balancer->listeners[i].pool == pool)
			sum_verdicts(world, i, &sums);
	for (int i = pool * POOL_MEMBERS; i < (pool + 1) * POOL_MEMBERS; i++) {
		if (balancer->members[i].uid == UIDS_FULL)
			continue;
		sums.up += read(&stats->sent_up[balancer->members[i].uid].datagrams);
		sums.down += read(&stats->sent_down[balancer->members[i].uid].datagrams);
	}
	for (enum refused reason = 0; reason < REFUSED_REASONS; reason++) {
		sums.refused_up += read(&stats->refused_up[uid][reason]);
		sums.refused_down += read(&stats->refused_down[uid][reason]);
	}
	invariants_expect(world, sums.routed == sums.up + sums.refused_up, "7: routed is not sent + refused");
	invariants_expect(world,
			  read(&stats->replies[uid]) + read(&stats->copies[uid]) == sums.down + sums.refused_down,
			  "7: replies and copies are not sent down + refused");
	*answered += read(&stats->replies[uid]);
}

struct seen {
	struct flows_count counts[STATS_POOLS];
	uint64_t backends[STATS_BACKENDS];
};

static void count_flow(void *ctx, const struct flow *flow)
{
	struct seen *seen = ctx;

	seen->counts[flow->pool].flows[flow->class]++;
	seen->backends[flow->backend] += flow->class != FLOW_CLASS_HANDSHAKE;
}

static void check_classes(struct world *world, const struct flows_count *count, const struct flows_count *seen)
{
	const uint64_t *flows = count->flows;
	uint32_t max_flows = world->traits.max_flows;

	invariants_expect(world, flows[FLOW_CLASS_ADDRESS] + flows[FLOW_CLASS_CID] <= max_flows,
			  "8: more than max_flows flows");
	invariants_expect(world, flows[FLOW_CLASS_HANDSHAKE] <= (max_flows + 7) / 8, "8: too many handshake flows");
	for (int i = 0; seen && i < FLOW_CLASSES; i++)
		invariants_expect(world, flows[i] == seen->flows[i], "8: other flows are counted than there are");
}

static void check_flows(struct world *world)
{
	struct seen seen = { 0 };
	bool visited = world->steps % VISIT_STEPS == 0;

	if (visited)
		flows_visit(world->balancer.flows, count_flow, &seen);
	for (int pool = 0; pool < POOLS; pool++) {
		uint16_t uid = world->balancer.pool_uids[pool];
		struct flows_count count = flows_count(world->balancer.flows, uid);

		check_classes(world, &count, visited ? &seen.counts[uid] : NULL);
	}
	for (uint16_t backend = 0; visited && backend < STATS_BACKENDS; backend++)
		invariants_expect(world, flows_of_backend(world->balancer.flows, backend) == seen.backends[backend],
				  "8: other flows are counted of a backend than lead there");
}

void invariants_check(struct world *world)
{
	uint64_t answered;

	if (!world->balancer.running)
		return;
	answered = read(&world->balancer.path->stats.strays);
	for (int pool = 0; pool < POOLS; pool++)
		check_pool(world, pool, &answered);
	invariants_expect(world, answered == world->invariants.answered,
			  "7: replies and strays are not what arrived at endpoints");
	check_flows(world);
	givens_check(world);
}

#include "control/uids_in_use.h"

#include <urcu-qsbr.h>

#include "base/tsan.h"

void uids_in_use_keep_table(struct uids_in_use *used, const struct table_spec *spec, const uint16_t *listener_uids,
			    size_t listener_count)
{
	for (size_t i = 0; i < spec->pool_count; i++)
		used->pools[spec->pools[i].uid] = true;
	for (size_t i = 0; i < spec->backend_count; i++)
		used->backends[spec->backends[i].uid] = true;
	for (size_t i = 0; i < listener_count; i++)
		used->listeners[listener_uids[i]] = true;
}

struct marking {
	struct uids_in_use *used;
	const struct service_addrs *service_addrs;
};

static void mark_peer(const struct marking *marking, const struct ownership_peer *peer)
{
	marking->used->listeners[service_addrs_get(marking->service_addrs, peer->service).listener] = true;
}

static void mark_flow(void *ctx, const struct flow *flow)
{
	const struct marking *marking = ctx;
	const struct ownership *ownership = &flow->ownership;

	marking->used->pools[flow->pool] = true;
	marking->used->backends[flow->backend] = true;
	mark_peer(marking, &ownership->owner.peer);
	if (flow->kind != FLOW_CID)
		return;
	if (ownership->claimed)
		mark_peer(marking, &ownership->claimant.peer);
	if (ownership->former_left)
		mark_peer(marking, &ownership->former.peer);
	if (ownership->proven_replaced)
		mark_peer(marking, &ownership->proven);
}

void uids_in_use_keep_flows(struct uids_in_use *used, struct flows *flows, const struct service_addrs *service_addrs,
			    uint32_t now_ms)
{
	struct marking marking = { used, service_addrs };

	rcu_thread_online();
	for (int i = 0; i < FLOWS_SWEEP_CALLS; i++)
		flows_sweep(flows, now_ms);
	flows_visit(flows, mark_flow, &marking);
	rcu_thread_offline();
	synchronize_rcu();
}

void uids_in_use_clear_flows(const struct uids_in_use *used, struct flows *flows)
{
	for (uint16_t i = 0; i < STATS_POOLS; i++)
		if (!used->pools[i])
			flows_forget_evicted(flows, i);
}

void uids_in_use_clear_limit(const struct uids_in_use *used, struct limit *limit)
{
	for (uint16_t i = 0; i < STATS_POOLS; i++)
		if (!used->pools[i])
			limit_forget_pool(limit, i);
	for (uint16_t i = 0; i < STATS_BACKENDS; i++)
		if (!used->backends[i])
			limit_forget_backend(limit, i);
}

static void clear(stats_counter *counters, size_t count)
{
	for (size_t i = 0; i < count; i++)
		atomic_store_explicit(&counters[i], 0, memory_order_relaxed);
}

static void clear_listener(struct stats *stats, size_t listener)
{
	clear(&stats->received[listener], 1);
	clear(stats->verdicts[listener], VERDICTS);
	clear(&stats->kernel_drops[listener], 1);
}

static void clear_pool(struct stats *stats, size_t pool)
{
	clear(stats->refused_up[pool], REFUSED_REASONS);
	clear(stats->refused_down[pool], REFUSED_REASONS);
	clear(&stats->replies[pool], 1);
	clear(&stats->copies[pool], 1);
	clear(&stats->contests[pool], 1);
	clear(stats->stateless_dropped[pool], STATELESS_DROPS);
	clear(stats->tunnel_dropped[pool], TUNNEL_DROPS);
	clear(&stats->tunnel_segmented[pool], 1);
	clear(&stats->tunnel_fragmented[pool], 1);
}

static void clear_backend(struct worker *worker, size_t backend)
{
	clear(&worker->path.stats.sent_up[backend], 1);
	clear(&worker->path.stats.sent_down[backend], 1);
	clear(&worker->path.stats.icmp_errors[backend], 1);
	atomic_store_explicit(&worker->path.cid_last_s[backend], 0, memory_order_relaxed);
	worker->path.pmtus[backend] = (struct io_pmtu){ 0 };
}

/* Drops a sample that is not yet explained, if its pool is gone. */
static void clear_sample(const struct uids_in_use *used, struct path_sample *sample)
{
	if (atomic_load_explicit(&sample->full, memory_order_acquire) && !used->pools[sample->pool])
		atomic_store_explicit(&sample->full, false, memory_order_release);
}

void uids_in_use_clear_worker(const struct uids_in_use *used, struct worker *worker)
{
	tsan_acquire(worker->path.publisher);
	clear_sample(used, &worker->path.sample);
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		if (!used->listeners[i])
			clear_listener(&worker->path.stats, i);
	for (size_t i = 0; i < STATS_POOLS; i++)
		if (!used->pools[i])
			clear_pool(&worker->path.stats, i);
	for (size_t i = 0; i < STATS_BACKENDS; i++)
		if (!used->backends[i])
			clear_backend(worker, i);
}

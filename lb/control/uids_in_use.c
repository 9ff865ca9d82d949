#include "control/uids_in_use.h"

#include <urcu-qsbr.h>

#include "base/tsan.h"
#include "flows/flows_view.h"

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

static void mark_flow(void *ctx, const struct flow *flow)
{
	const struct marking *marking = ctx;
	struct ownership_pair pairs[OWNERSHIP_WAYS_BACK];
	const unsigned count = flow_pairs(flow, pairs);

	marking->used->pools[flow->pool] = true;
	marking->used->backends[flow->backend] = true;
	for (unsigned i = 0; i < count; i++) {
		const struct service_addr service = service_addrs_get(marking->service_addrs, pairs[i].service);

		marking->used->listeners[service.listener] = true;
	}
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
	for (uint16_t i = 0; i < STATS_BACKENDS; i++)
		if (!used->backends[i])
			flows_forget_silent(flows, i);
}

void uids_in_use_clear_allowances(const struct uids_in_use *used, struct allowances *allowances)
{
	for (uint16_t i = 0; i < STATS_POOLS; i++)
		if (!used->pools[i])
			allowances_forget_pool(allowances, i);
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

static void clear_sent(struct stats_sent *sent)
{
	clear(&sent->datagrams, 1);
	clear(&sent->octets, 1);
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
	clear(&stats->withheld[pool], 1);
	clear(&stats->own_endpoint[pool], 1);
	clear(&stats->reflected[pool], 1);
	clear(&stats->rrc[pool], 1);
	clear(&stats->handshakes_begun[pool], 1);
	clear(&stats->handshakes_led[pool], 1);
	clear(&stats->handshakes_over[pool], 1);
	clear(&stats->moves[pool], 1);
	clear(&stats->rescued[pool], 1);
	clear(stats->stateless_dropped[pool], STATELESS_DROPS);
	clear(stats->tunnel_dropped[pool], TUNNEL_DROPS);
	clear(&stats->tunnel_segmented[pool], 1);
	clear(&stats->tunnel_fragmented[pool], 1);
	clear(&stats->dsr_fragmented[pool], 1);
}

static void clear_backend(struct worker *worker, size_t backend)
{
	clear_sent(&worker->path.stats.sent_up[backend]);
	clear_sent(&worker->path.stats.sent_down[backend]);
	clear(&worker->path.stats.begun[backend], 1);
	clear(&worker->path.stats.answered[backend], 1);
	clear(&worker->path.stats.icmp_errors[backend], 1);
	clear(&worker->path.stats.wrong_interface[backend], 1);
	clear(&worker->path.stats.foreign_cids[backend], 1);
	clear(&worker->path.stats.sessions[backend], 1);
	atomic_store_explicit(&worker->path.cid_last_s[backend], 0, memory_order_relaxed);
	atomic_store_explicit(&worker->path.foreign_leads[backend], 0, memory_order_relaxed);
	atomic_store_explicit(&worker->path.tunnel_v2_s[backend], 0, memory_order_relaxed);
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

#include "control/watch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "control/state.h"
#include "control/view.h"

enum { WATCH_TICKS = 4 }; /* one second */

static void watch_pool(struct control *control, const struct stats *sum, uint16_t uid, const struct conf_pool *conf)
{
	struct control_pool *known = &control->pools[uid];
	struct flows_count flows = flows_count(control->flows, uid);
	bool full = flows.proven >= conf->nat.max_flows;
	uint64_t sends =
		stats_read(&sum->refused_up[uid][REFUSED_SEND]) + stats_read(&sum->refused_down[uid][REFUSED_SEND]);
	uint64_t forged = 0;

	for (enum stateless_drop reason = 0; reason < STATELESS_DROPS; reason++)
		forged += stats_read(&sum->stateless_dropped[uid][reason]);
	shortage_tell(&known->forged, forged, "stateless_dropped", conf->name,
		      "the endpoints get datagrams that are no answers of a backend: are they forged, or were the "
		      "requests sent with another hash_key?");
	shortage_tell(&known->flows, stats_read(&sum->refused_up[uid][REFUSED_FLOWS]), "flows_refused", conf->name,
		      "no flow or no endpoint is left");
	shortage_tell(&known->evicted, flows.evicted, "flows_evicted", conf->name,
		      full ? "nat.max_flows flows are proven: new ones stay on trial and end to make room"
			   : "more than an eighth of nat.max_flows are on trial: the oldest of them end to make room");
	shortage_tell(&known->sends, sends, "sends_refused", conf->name,
		      "the kernel refuses to send datagrams: no route, or no memory?");
}

/* Logs what begins to run short, and what no longer does. */
static void watch_shortages(struct control *control, const struct stats *sum)
{
	for (size_t i = 0; i < control->spec.pool_count; i++)
		watch_pool(control, sum, control->spec.pools[i].uid, &control->conf->pools[i]);
	for (size_t i = 0; i < control->conf->listener_count; i++) {
		uint16_t uid = control->listener_uids[i];

		shortage_tell(&control->listeners[uid].drops, stats_read(&sum->kernel_drops[uid]), "kernel_drops", NULL,
			      "the kernel drops datagrams from devices: they arrive faster than the workers read them");
	}
	shortage_tell(&control->endpoint_drops, stats_read(&sum->endpoint_drops), "kernel_drops", NULL,
		      "the kernel drops datagrams from servers: they arrive faster than the workers read them");
}

void watch_tick(struct control *control)
{
	struct stats *sum;

	if (++control->ticks % WATCH_TICKS != 0)
		return;
	sum = view_stats(control);
	if (sum)
		watch_shortages(control, sum);
	free(sum);
}

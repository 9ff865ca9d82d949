#include "control/control_priv.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"

enum { WATCH_TICKS = 4 }; /* a second */

static void tell(struct shortage *shortage, uint64_t refused, const char *event, const char *pool, const char *what)
{
	switch (shortage_look(shortage, refused)) {
	case SHORTAGE_BEGINS:
		log_event(LOG_LEVEL_WARNING, event, pool, NULL, "%s", what);
		return;
	case SHORTAGE_ENDS:
		log_event(LOG_LEVEL_INFO, event, pool, NULL, "over, after %" PRIu64, refused - shortage->before);
		return;
	case SHORTAGE_NO_NEWS:
		return;
	}
}

static uint64_t read_counter(const stats_counter *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void watch_pool(struct control *control, const struct stats *sum, uint16_t uid, const struct conf_pool *conf)
{
	struct control_pool *known = &control->pools[uid];
	struct flows_count flows = flows_count(control->flows, uid);
	bool full = flows.proven >= conf->nat.max_flows;
	uint64_t sends =
		read_counter(&sum->refused_up[uid][REFUSED_SEND]) + read_counter(&sum->refused_down[uid][REFUSED_SEND]);

	uint64_t forged = 0;

	for (enum stateless_drop reason = 0; reason < STATELESS_DROPS; reason++)
		forged += read_counter(&sum->stateless_dropped[uid][reason]);
	tell(&known->forged, forged, "stateless_dropped", conf->name,
	     "datagrams come to the endpoints that are no answers of a backend: forged, or is hash_key another than "
	     "where they were sent?");
	tell(&known->flows, read_counter(&sum->refused_up[uid][REFUSED_FLOWS]), "flows_refused", conf->name,
	     "no flow, or no endpoint for one, is left");
	tell(&known->evicted, flows.evicted, "flows_evicted", conf->name,
	     full ? "nat.max_flows flows are proven: new ones stay on trial, and end to make room"
		  : "more than an eighth of nat.max_flows are on trial: the oldest of them end to make room");
	tell(&known->sends, sends, "sends_refused", conf->name,
	     "the kernel refuses datagrams: no route, or no memory?");
}

/* What ran out, and what is there again. */
static void watch_shortages(struct control *control, const struct stats *sum)
{
	struct control_watch *watch = &control->watch;

	for (size_t i = 0; i < control->plan.pool_count; i++)
		watch_pool(control, sum, control->plan.pools[i].uid, &control->conf->pools[i]);
	for (size_t i = 0; i < control->conf->listener_count; i++) {
		uint16_t uid = control->listener_uids[i];

		tell(&control->listeners[uid].drops, read_counter(&sum->kernel_drops[uid]), "kernel_drops", NULL,
		     "the kernel drops what devices send: more comes than the workers read");
	}
	tell(&watch->endpoint_drops, read_counter(&sum->endpoint_drops), "kernel_drops", NULL,
	     "the kernel drops what servers send: more comes than the workers read");
	tell(&watch->descriptors, admin_http_stalls(), "admin", NULL,
	     "admin.http can accept nobody: out of descriptors?");
}

void control_watch(struct control *control)
{
	struct stats *sum;

	if (control->watch.publish_due)
		(void)control_publish(control);
	if (control->watch.targets_due)
		control_probe(control);
	if (control->watch.names_due)
		control_names(control);
	control_ids_watch(control);
	if (++control->watch.ticks % WATCH_TICKS != 0)
		return;
	sum = control_stats(control);
	if (sum)
		watch_shortages(control, sum);
	free(sum);
}

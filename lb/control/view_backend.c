#include "control/view.h"

#include <time.h>

#include "base/clock.h"
#include "control/drain.h"
#include "control/running.h"
#include "control/state.h"

size_t view_backend_count(const struct control *control)
{
	return control->spec.backend_count;
}

static const struct snapshot_pool_spec *pool_of(const struct control *control, const struct running_backend *backend)
{
	return &control->spec.pools[backend->pool - control->conf->pools];
}

/* What the running table has. */
static const char *next_hop(const struct control *control, const struct running_backend *backend,
			    const struct control_backend *known)
{
	if (backend->pool->forward != FORWARD_DSR || control->spec.hops[backend->at].mtu > 0)
		return NULL;
	return known->no_hop ? known->no_hop : "it was not asked yet";
}

void view_backend(struct control *control, size_t at, struct view_backend *out)
{
	const struct running_backend backend = running_backend_at(control, at);
	const uint16_t uid = backend.spec->uid;
	const struct control_backend *known = &control->backends[uid];
	const struct snapshot_pool_spec *pool = pool_of(control, &backend);
	const uint32_t cid_s = worker_cid_last_s(control->workers, control->worker_count, uid);
	const int64_t now_s = clock_s(), watched_s = known->drains ? now_s - known->drains_since_s : 0;
	const int64_t cid_ago_s = cid_s && cid_s < now_s ? now_s - cid_s : 0;
	const int64_t silent_s = cid_s && cid_ago_s < watched_s ? cid_ago_s : watched_s;
	const int64_t window_s = drain_window_s(backend.pool);
	const uint64_t flows = flows_of_backend(control->flows, uid);

	*out = (struct view_backend){
		.uid = uid,
		.name = backend.conf->name,
		.pool_name = backend.pool->name,
		.host = backend.conf->host,
		.addr = backend.spec->addr,
		.state = control->states[uid],
		.weight = backend_state_weight(&control->states[uid], control->weights[uid]),
		.ids = pool,
		.at = (size_t)(backend.spec - pool->backends),
		.reason = known->reason,
		.health_s = now_s - known->since_s,
		.probes = { known->probes[false], known->probes[true] },
		.probe_us = known->took_us,
		.has_findings = known->has_findings,
		.findings = known->findings,
		.words = known->words,
		.name_reason = known->name_reason,
		.next_hop = next_hop(control, &backend, known),
		.unanswered = known->unanswered.told ? known->unanswered.in_a_row : 0,
		.flows = flows,
		.silent = flows_silent(control->flows, uid),
		.watched_s = watched_s,
		.silent_s = silent_s,
		.window_s = window_s,
		.may_stop = known->drains && silent_s >= window_s && flows == 0,
		.cid_at_s = cid_s ? (uint64_t)(time(NULL) - cid_ago_s) : 0,
		.cid_ago_s = cid_ago_s,
	};
}

#include "control/view_pool.h"

#include "control/ids.h"
#include "control/state.h"

static bool has_flows(const struct control *control, size_t at)
{
	return control->conf->pools[at].forward == FORWARD_NAT && !stateless_listener(control->conf, at);
}

static bool counts_sessions(const struct control *control, size_t at)
{
	const struct conf_pool *pool = &control->conf->pools[at];

	return has_flows(control, at) && (pool->protocol == POOL_UDP || pool->nat.rebind == REBIND_FOLLOW);
}

static const char *forward_name(enum conf_forward forward)
{
	static const char *const names[] = {
		[FORWARD_NAT] = "nat", [FORWARD_TUNNEL] = "tunnel", [FORWARD_DSR] = "dsr"
	};

	return names[forward];
}

void view_pool(struct control *control, size_t at, struct view_pool *out)
{
	const struct conf_pool *pool = &control->conf->pools[at];
	const uint16_t uid = control->spec.pools[at].uid;
	const struct control_pool *known = &control->pools[uid];
	const bool sessions = counts_sessions(control, at);

	*out = (struct view_pool){
		.uid = uid,
		.name = pool->name,
		.forward = forward_name(pool->forward),
		.tunnel = pool->forward == FORWARD_TUNNEL,
		.dsr = pool->forward == FORWARD_DSR,
		.stateless = stateless_listener(control->conf, at) != NULL,
		.backend_count = pool->backend_count,
		.accepting = view_accepting(control, at),
		.flows = flows_count(control->flows, uid),
		.counts_sessions = sessions,
		.has_cids = sessions && pool->protocol == POOL_DTLS,
		.dtls = pool->protocol == POOL_DTLS,
		.limits_hellos = pool->hello_rate.pool || pool->hello_rate.backend || pool->hello_rate.prefix,
		.max_flows = has_flows(control, at) ? pool->nat.max_flows : 0,
		.id_moves = known->id_moves,
		.ids_contested = ids_contested(control, uid),
		.claims_refused = known->claims_refused,
		.probes = { known->probes[false], known->probes[true] },
		.probe_times = &known->probe_times,
		.probe_sessions_lost = known->probe_sessions_lost,
	};
	for (enum learned_kind kind = 0; kind < LEARNED_KINDS; kind++)
		if (control->spec.learned[at].of[kind]) {
			out->learned[kind] = control->spec.learned[at].of[kind];
			out->learned_room[kind] = learned_table_room(known->learned[kind]);
		}
	if (out->stateless)
		stateless_explain(out->how, control->conf, at);
}

void view_pools_sum(const struct control *control, const struct stats *sum, struct view_pool *pools)
{
	struct view_pool *of_uid[STATS_POOLS] = { NULL };

	for (size_t i = 0; i < control->conf->pool_count; i++)
		of_uid[pools[i].uid] = &pools[i];
	for (uint16_t uid = 0; uid < STATS_BACKENDS; uid++) {
		const uint16_t scope = uids_scope(control->numbers.backends, uid);
		struct view_pool *pool = scope == UIDS_FULL ? NULL : of_uid[scope];

		if (!pool)
			continue;
		pool->icmp_errors += stats_read(&sum->icmp_errors[uid]);
		pool->wrong_interface += stats_read(&sum->wrong_interface[uid]);
		pool->foreign_cids += stats_read(&sum->foreign_cids[uid]);
		pool->silent += flows_silent(control->flows, uid);
	}
}

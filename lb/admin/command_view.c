#include "admin/command_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "control/fingerprint.h"

static json_t *counter_json(const stats_counter *counter)
{
	return json_integer((json_int_t)atomic_load_explicit(counter, memory_order_relaxed));
}

static json_t *finding_json(enum health_finding finding, const char *good, const char *bad, const char *reason)
{
	const char *word = finding == FINDING_GOOD ? good : finding == FINDING_BAD ? bad : "unknown";
	json_t *json = json_pack("{s:s}", "finding", word);

	if (finding == FINDING_BAD)
		json_object_set_new(json, "reason", json_string(reason));
	return json;
}

/* The server ids whose CIDs lead there now. */
static json_t *ids_json(const struct control *control, const struct control_place *backend)
{
	const struct snapshot_pool_spec *pool = control->plan.pools;
	char hex[2 * LBCID_MAX_ID_OCTETS + 1];
	json_t *ids = json_array();

	while (backend->plan < pool->backends || backend->plan >= pool->backends + pool->backend_count)
		pool++;
	for (size_t i = 0; i < pool->id_count; i++)
		if (&pool->backends[pool->ids[i].backend] == backend->plan)
			json_array_append_new(ids, json_string(control_id_format(&pool->ids[i].id, hex)));
	return ids;
}

static json_t *last_cid_json(const struct control *control, uint16_t uid)
{
	const uint32_t last_s = worker_cid_last_s(control->workers, control->worker_count, uid);

	return last_s ? json_integer((json_int_t)(control_clock_s() - (time_t)last_s)) : json_null();
}

/* Whether a backend says more of itself than that it is up and which ids it has. */
static bool steers(const struct steering *steering)
{
	return steering->down || steering->admin != BACKEND_READY || steering->percent != 100;
}

/* What probes have found out. */
static void probe_json(json_t *row, const struct control *control, uint16_t uid)
{
	const struct control_backend *known = &control->backends[uid];

	json_object_set_new(row, "probed", json_boolean(control->states[uid].probed));
	json_object_set_new(row, "reason", json_string(known->reason));
	json_object_set_new(row, "since_s", json_integer((json_int_t)(control_clock_s() - known->since_s)));
	json_object_set_new(row, "latency_us", json_integer(known->took_us));
	if (known->has_findings) {
		const struct health_findings *f = &known->findings;

		json_object_set_new(row, "rebinding", finding_json(f->rebinding, "yes", "no", f->rebinding_reason));
		json_object_set_new(row, "cid", finding_json(f->cid, "ok", "wrong", f->cid_reason));
		json_object_set_new(row, "probe_sessions", json_integer((json_int_t)f->sessions));
		json_object_set_new(row, "probe_sessions_lost", json_integer((json_int_t)f->sessions_lost));
	}
	if (steers(&control->states[uid].steering))
		json_object_set_new(row, "steering", json_string(known->words));
	if (known->name_reason[0])
		json_object_set_new(row, "name_reason", json_string(known->name_reason));
}

json_t *command_backend_json(const struct control *control, const struct control_place *backend,
			     const struct stats *sum)
{
	const uint16_t uid = backend->plan->uid;
	const struct backend_state *state = &control->states[uid];
	const bool somewhere = !addr_is_wildcard(&backend->plan->addr);
	json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:I, s:o}", "pool", backend->pool->name, "name",
				backend->conf->name, "health", backend_health_name(backend_state_health(state)),
				"state", backend_admin_name(backend_state_admin(state)), "weight",
				(int)backend_state_weight(state, control->weights[uid]), "address",
				somewhere ? command_address_json(&backend->plan->addr) : json_null(), "ids",
				ids_json(control, backend), "flows", (json_int_t)flows_of_backend(control->flows, uid),
				"last_cid_s", last_cid_json(control, uid));

	if (backend->conf->host)
		json_object_set_new(row, "host", json_string(backend->conf->host));
	probe_json(row, control, uid);
	if (sum) {
		json_object_set_new(row, "forwarded_up", counter_json(&sum->sent_up[uid]));
		json_object_set_new(row, "forwarded_down", counter_json(&sum->sent_down[uid]));
	}
	return row;
}

json_t *command_backends(struct control *control, const json_t *request)
{
	struct stats *sum = control_stats(control);
	json_t *rows = sum ? json_array() : NULL;

	(void)request;
	for (size_t at = 0; rows && at < control->plan.backend_count; at++) {
		struct control_place backend = control_place_at(control, at);

		json_array_append_new(rows, command_backend_json(control, &backend, sum));
	}
	free(sum);
	return rows ? json_pack("{s:b, s:o}", "ok", 1, "backends", rows) : NULL;
}

static json_t *verdicts_json(const uint64_t *counts)
{
	json_t *verdicts = json_object();

	for (enum verdict verdict = 0; verdict < VERDICTS; verdict++)
		json_object_set_new(verdicts, verdict_name(verdict), json_integer((json_int_t)counts[verdict]));
	return verdicts;
}

/* Adds its verdicts to `total`. */
static json_t *listener_json(const struct control *control, size_t index, const struct stats *sum, uint64_t *total)
{
	const struct conf_listener *listener = &control->conf->listeners[index];
	const uint16_t uid = control->listener_uids[index];
	uint64_t counts[VERDICTS];

	for (enum verdict verdict = 0; verdict < VERDICTS; verdict++) {
		counts[verdict] = atomic_load_explicit(&sum->verdicts[uid][verdict], memory_order_relaxed);
		total[verdict] += counts[verdict];
	}
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "name", listener->name, "address",
			 command_address_json(&listener->addr), "pool", control->conf->pools[listener->pool].name,
			 "received", counter_json(&sum->received[uid]), "kernel_drops",
			 counter_json(&sum->kernel_drops[uid]), "verdicts", verdicts_json(counts));
}

static json_t *refused_json(const stats_counter *counts)
{
	json_t *refused = json_object();

	for (enum refused reason = 0; reason < REFUSED_REASONS; reason++)
		json_object_set_new(refused, refused_name(reason), counter_json(&counts[reason]));
	return refused;
}

/* null, or how the pool does without a table, and what it dropped. */
static json_t *stateless_json(const struct control *control, size_t index, const struct stats *sum)
{
	const stats_counter *dropped = sum->stateless_dropped[control->plan.pools[index].uid];
	char text[STATELESS_TEXT_OCTETS];
	json_t *stateless;

	if (!stateless_listener(control->conf, index))
		return json_null();
	stateless = json_pack("{s:s}", "how", stateless_explain(text, control->conf, index));
	for (enum stateless_drop reason = 0; reason < STATELESS_DROPS; reason++)
		json_object_set_new(stateless, stateless_drop_name(reason), counter_json(&dropped[reason]));
	return stateless;
}

static json_t *pool_json(struct control *control, size_t index, const struct stats *sum)
{
	const struct snapshot_pool_spec *spec = &control->plan.pools[index];
	const struct flows_count flows = flows_count(control->flows, spec->uid);
	const struct snapshot_pool *table = &publisher_read(&control->publisher)->snapshot->pools[index];
	size_t accepting = 0;

	/* With all_down = "hash" new sessions go to servers that are down when all are. */
	for (size_t i = 0; i < table->backend_count; i++)
		accepting += table->accepts[i] && table->backends[i].health == BACKEND_UP;
	return json_pack("{s:s, s:s, s:i, s:i, s:I, s:i, s:{s:I, s:I}, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			 control->conf->pools[index].name, "forward",
			 control->conf->pools[index].forward == FORWARD_TUNNEL ? "tunnel" : "nat", "backends",
			 (int)spec->backend_count, "accepting", (int)accepting, "id_moves",
			 (json_int_t)control->pools[spec->uid].id_moves, "ids_contested",
			 (int)control_ids_contested(control, spec->uid), "flows", "trial", (json_int_t)flows.trial,
			 "proven", (json_int_t)flows.proven, "stateless", stateless_json(control, index, sum),
			 "replies", counter_json(&sum->replies[spec->uid]), "copies",
			 counter_json(&sum->copies[spec->uid]), "contests", counter_json(&sum->contests[spec->uid]),
			 "refused_up", refused_json(sum->refused_up[spec->uid]), "refused_down",
			 refused_json(sum->refused_down[spec->uid]));
}

json_t *command_status(struct control *control, const json_t *request)
{
	const struct conf *conf = control->conf;
	struct stats *sum = control_stats(control);
	uint64_t total[VERDICTS] = { 0 };
	char fingerprint[FINGERPRINT_TEXT_OCTETS];
	json_t *listeners, *pools, *status;

	(void)request;
	if (!sum)
		return NULL;
	listeners = json_array();
	pools = json_array();
	for (size_t i = 0; i < conf->listener_count; i++)
		json_array_append_new(listeners, listener_json(control, i, sum, total));
	for (size_t i = 0; i < conf->pool_count; i++)
		json_array_append_new(pools, pool_json(control, i, sum));
	status = json_pack("{s:b, s:s, s:I, s:i, s:s, s:s, s:I, s:b, s:o, s:o, s:o, s:o}", "ok", 1, "version",
			   CIDLB_VERSION, "uptime_s", (json_int_t)(control_clock_s() - control->started_s), "workers",
			   (int)control->worker_count, "file", conf->file, "fingerprint",
			   fingerprint_format(fingerprint, conf), "generation",
			   (json_int_t)publisher_read(&control->publisher)->snapshot->generation, "ready",
			   (int)control_ready(control), "listeners", listeners, "pools", pools, "verdicts",
			   verdicts_json(total), "strays", counter_json(&sum->strays));
	free(sum);
	return status;
}

#include "command_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static json_t *counter_json(const stats_counter *counter)
{
	return json_integer((json_int_t)atomic_load_explicit(counter, memory_order_relaxed));
}

json_t *command_backend_json(const struct control *control, const struct command_backend *backend, const struct stats *sum)
{
	const uint16_t uid = control->plan.backends[backend->at].uid;
	const struct backend_state *state = &control->states[uid];
	char id[2 * LBCID_MAX_ID_OCTETS + 1] = "";
	json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:i, s:o}", "pool", backend->pool->name, "name", backend->conf->name, "health",
				backend_health_name(backend_state_health(state)), "state", backend_admin_name(backend_state_admin(state)),
				"weight", (int)control->weights[uid], "address", command_address_json(&backend->conf->addr));

	for (size_t i = 0; backend->conf->has_id && i < backend->conf->id.len; i++)
		sprintf(id + 2 * i, "%02x", backend->conf->id.octets[i]);
	if (backend->conf->has_id)
		json_object_set_new(row, "id", json_string(id));
	json_object_set_new(row, "probed", json_boolean(state->probed));
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
		struct command_backend backend = command_backend_at(control, at);

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
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "name", listener->name, "address", command_address_json(&listener->addr), "pool",
			 control->conf->pools[listener->pool].name, "received", counter_json(&sum->received[uid]), "kernel_drops",
			 counter_json(&sum->kernel_drops[uid]), "verdicts", verdicts_json(counts));
}

static json_t *refused_json(const stats_counter *counts)
{
	json_t *refused = json_object();

	for (enum refused reason = 0; reason < REFUSED_REASONS; reason++)
		json_object_set_new(refused, refused_name(reason), counter_json(&counts[reason]));
	return refused;
}

static json_t *pool_json(const struct control *control, size_t index, const struct stats *sum)
{
	const struct snapshot_pool_spec *spec = &control->plan.pools[index];
	const struct flows_count flows = flows_count(control->flows, spec->uid);
	size_t accepting = 0;

	for (size_t i = 0; i < spec->backend_count; i++) {
		const uint16_t uid = spec->backends[i].uid;

		const struct backend_state *state = &control->states[uid];

		accepting += backend_accepts_new(backend_state_health(state), backend_state_admin(state),
						 backend_state_weight(state, control->weights[uid]));
	}
	return json_pack("{s:s, s:i, s:i, s:{s:I, s:I}, s:o, s:o, s:o, s:o, s:o}", "name", control->conf->pools[index].name, "backends",
			 (int)spec->backend_count, "accepting", (int)accepting, "flows", "trial", (json_int_t)flows.trial, "proven",
			 (json_int_t)flows.proven, "replies", counter_json(&sum->replies[spec->uid]), "copies",
			 counter_json(&sum->copies[spec->uid]), "contests", counter_json(&sum->contests[spec->uid]), "refused_up",
			 refused_json(sum->refused_up[spec->uid]), "refused_down", refused_json(sum->refused_down[spec->uid]));
}

static json_int_t uptime_s(const struct control *control)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (json_int_t)(now.tv_sec - control->started_s);
}

json_t *command_status(struct control *control, const json_t *request)
{
	const struct conf *conf = control->conf;
	struct stats *sum = control_stats(control);
	uint64_t total[VERDICTS] = { 0 };
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
	status = json_pack("{s:b, s:s, s:I, s:i, s:s, s:I, s:b, s:o, s:o, s:o, s:o}", "ok", 1, "version", CIDLB_VERSION, "uptime_s",
			   uptime_s(control), "workers", (int)control->worker_count, "file", conf->file, "generation",
			   (json_int_t)publisher_read(&control->publisher)->snapshot->generation, "ready", (int)control_ready(control),
			   "listeners", listeners, "pools", pools, "verdicts", verdicts_json(total), "strays", counter_json(&sum->strays));
	free(sum);
	return status;
}

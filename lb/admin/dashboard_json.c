#include "admin/answer.h"
#include "admin/dashboard.h"
#include "admin/fast_json.h"
#include "admin/forecast.h"

/* Adds to an object, but nothing that is as usual. */
static void set_number(json_t *object, const char *key, uint64_t value)
{
	if (value)
		json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_text(json_t *object, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(object, key, json_string(value));
}

static void set_true(json_t *object, const char *key, bool value)
{
	if (value)
		json_object_set_new(object, key, json_true());
}

/* `key`: whether it is good; a reason belongs to what is not. Absent: not known. */
static void set_finding(json_t *row, const char *key, const char *reason_key, enum health_finding finding,
			const char *reason)
{
	if (finding == FINDING_UNKNOWN)
		return;
	json_object_set_new(row, key, json_boolean(finding == FINDING_GOOD));
	if (finding == FINDING_BAD)
		set_text(row, reason_key, reason);
}

/* May it be stopped, and if not, when can that be told at the earliest? */
static json_t *drain_json(const struct view_backend *backend, const struct dashboard_rest *rest)
{
	const int64_t wait_s = backend->window_s - backend->silent_s;
	json_t *drain = json_object(), *forecast = forecasts_find(rest->forecasts, backend);

	set_true(drain, "may_stop", backend->may_stop);
	set_number(drain, "watched_s", (uint64_t)backend->watched_s);
	if (wait_s > 0)
		set_number(drain, "not_before_s", (uint64_t)(rest->at_ms / 1000 + wait_s));
	if (forecast)
		json_object_set(drain, "forecast", forecast);
	return drain;
}

static void probes_add(json_t *row, const struct view_backend *backend)
{
	const struct health_findings *findings = &backend->findings;

	set_true(row, "unprobed", !backend->state.probed);
	if (backend_state_health(&backend->state) == BACKEND_DOWN) {
		json_object_set_new(row, "down", json_true());
		set_number(row, "down_s", (uint64_t)backend->health_s);
		set_text(row, "reason", backend->state.steering.down ? "it says so itself" : backend->reason);
	}
	set_text(row, "name_reason", backend->name_reason);
	if (!backend->has_findings)
		return;
	set_finding(row, "rebinding", "rebinding_reason", findings->rebinding, findings->rebinding_reason);
	set_finding(row, "cid", "cid_reason", findings->cid, findings->cid_reason);
}

static json_t *backend_json(const struct view_backend *backend, const struct stats *sum,
			    const struct dashboard_rest *rest)
{
	const enum backend_admin admin = backend_state_admin(&backend->state);
	json_t *row = json_pack("{s:s, s:i}", "name", backend->name, "weight", (int)backend->weight);

	if (admin != BACKEND_READY)
		json_object_set_new(row, "state", json_string(backend_admin_name(admin)));
	probes_add(row, backend);
	set_number(row, "flows", backend->flows);
	set_number(row, "sent_up", stats_read(&sum->sent_up[backend->uid].datagrams));
	set_number(row, "sent_down", stats_read(&sum->sent_down[backend->uid].datagrams));
	set_number(row, "cid_at_s", backend->cid_at_s);
	set_number(row, "unanswered", backend->unanswered);
	set_number(row, "silent", backend->silent);
	if (admin == BACKEND_DRAIN)
		json_object_set_new(row, "drain", drain_json(backend, rest));
	return row;
}

/* Those of all its listeners. */
static json_t *verdicts_json(const struct view *view, const struct view_pool *pool)
{
	json_t *verdicts = json_object();

	for (enum verdict verdict = 0; verdict < VERDICTS; verdict++) {
		uint64_t count = 0;

		for (size_t i = 0; i < view->listener_count; i++)
			if (view->listeners[i].pool == pool->uid)
				count += stats_read(&view->sum->verdicts[view->listeners[i].uid][verdict]);
		set_number(verdicts, verdict_name(verdict), count);
	}
	return verdicts;
}

static uint64_t refused(const stats_counter *counts)
{
	uint64_t count = 0;

	for (enum refused reason = 0; reason < REFUSED_REASONS; reason++)
		count += stats_read(&counts[reason]);
	return count;
}

static json_t *backends_json(const struct view *view, const struct view_pool *pool, const struct dashboard_rest *rest,
			     size_t *next)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < pool->backend_count && *next < view->backend_count; i++)
		json_array_append_new(rows, backend_json(&view->backends[(*next)++], view->sum, rest));
	return rows;
}

/* `next`: the index of its first backend; then of the first of the next pool. */
static json_t *pool_json(const struct view *view, const struct view_pool *pool, const struct dashboard_rest *rest,
			 size_t *next)
{
	const struct stats *sum = view->sum;
	json_t *json = json_pack("{s:s, s:i}", "name", pool->name, "accepting", (int)pool->accepting);

	if (pool->counts_sessions)
		json_object_set_new(json, "sessions",
				    json_integer((json_int_t)pool->flows.flows[FLOW_CLASS_ADDRESS] +
						 (json_int_t)pool->flows.flows[FLOW_CLASS_CID]));
	if (pool->has_cids) {
		json_object_set_new(json, "rescued", answer_counter(&sum->rescued[pool->uid]));
		json_object_set_new(json, "moves", answer_counter(&sum->moves[pool->uid]));
	}
	if (pool->dtls)
		json_object_set_new(json, "handshakes", answer_counter(&sum->handshakes_begun[pool->uid]));
	set_true(json, "hello_rate", pool->limits_hellos);
	set_number(json, "refused_up", refused(sum->refused_up[pool->uid]));
	set_number(json, "refused_down", refused(sum->refused_down[pool->uid]));
	json_object_set_new(json, "verdicts", verdicts_json(view, pool));
	json_object_set_new(json, "backends", backends_json(view, pool, rest, next));
	return json;
}

static uint64_t kernel_drops(const struct view *view)
{
	uint64_t count = stats_read(&view->sum->endpoint_drops);

	for (size_t i = 0; i < view->listener_count; i++)
		count += stats_read(&view->sum->kernel_drops[view->listeners[i].uid]);
	return count;
}

json_t *dashboard_json(const struct view *view, const struct dashboard_rest *rest)
{
	json_t *pools = json_array(), *json;
	size_t next = 0;

	for (size_t i = 0; i < view->pool_count; i++)
		json_array_append_new(pools, pool_json(view, &view->pools[i], rest, &next));
	json = json_pack("{s:I, s:s, s:s, s:I, s:i, s:s, s:b, s:o, s:O, s:o}", "at_ms", (json_int_t)rest->at_ms, "node",
			 rest->node, "version", CIDLB_VERSION, "started_s", (json_int_t)view->started_at, "workers",
			 (int)view->workers, "fingerprint", view->fingerprint, "ready", (int)view->ready, "pools",
			 pools, "events", rest->events, "history", history_json(rest->history));
	if (!json)
		return NULL;
	if (!view->ready)
		set_text(json, "unready", view->unready);
	if (view->fast.configured)
		json_object_set_new(json, "fast", fast_json(view));
	set_true(json, "left", view->left);
	set_true(json, "reload_refused", view->reload_refused);
	set_number(json, "kernel_drops", kernel_drops(view));
	set_number(json, "forecasts_s", (uint64_t)rest->forecasts_at_s);
	return json;
}

#include <time.h>

#include "admin/command_priv.h"
#include "admin/forecast.h"

static json_t *finding_json(enum health_finding finding, const char *good, const char *bad, const char *reason)
{
	const char *word = finding == FINDING_GOOD ? good : finding == FINDING_BAD ? bad : "unknown";
	json_t *json = json_pack("{s:s}", "finding", word);

	if (finding == FINDING_BAD)
		json_object_set_new(json, "reason", json_string(reason));
	return json;
}

/* The server ids whose CIDs lead to it now. */
static json_t *ids_json(const struct view_backend *backend)
{
	const struct snapshot_pool_spec *of = backend->ids;
	json_t *ids = json_array();

	for (size_t i = 0; i < of->id_count; i++)
		if (of->ids[i].backend == backend->at)
			json_array_append_new(ids, answer_hex(of->ids[i].id.octets, of->ids[i].id.len));
	return ids;
}

/* True if a backend says more of itself than that it is up and which ids it has. */
static bool steers(const struct steering *steering)
{
	return steering->down || steering->admin != BACKEND_READY || steering->percent != 100;
}

/* What probes have found out. */
static void probe_json(json_t *row, const struct view_backend *backend)
{
	json_object_set_new(row, "probed", json_boolean(backend->state.probed));
	json_object_set_new(row, "reason", json_string(backend->reason));
	json_object_set_new(row, "since_s", json_integer((json_int_t)backend->health_s));
	json_object_set_new(row, "latency_us", json_integer(backend->probe_us));
	json_object_set_new(row, "probes_ok", json_integer((json_int_t)backend->probes[true]));
	json_object_set_new(row, "probes_failed", json_integer((json_int_t)backend->probes[false]));
	if (backend->has_findings) {
		const struct health_findings *f = &backend->findings;

		json_object_set_new(row, "rebinding", finding_json(f->rebinding, "yes", "no", f->rebinding_reason));
		json_object_set_new(row, "cid", finding_json(f->cid, "ok", "wrong", f->cid_reason));
		json_object_set_new(row, "probe_sessions", json_integer((json_int_t)f->sessions));
		json_object_set_new(row, "probe_sessions_lost", json_integer((json_int_t)f->sessions_lost));
	}
	if (steers(&backend->state.steering))
		json_object_set_new(row, "steering", json_string(backend->words));
	if (backend->name_reason[0])
		json_object_set_new(row, "name_reason", json_string(backend->name_reason));
	if (backend->next_hop)
		json_object_set_new(row, "next_hop", json_string(backend->next_hop));
}

/* May it be stopped? `not_before`: Unix time; null: it may, or flows alone are in the way, and nobody knows. */
static json_t *drain_json(const struct view_backend *backend)
{
	const int64_t wait_s = backend->window_s - backend->silent_s;

	return json_pack("{s:I, s:I, s:I, s:b, s:I, s:o}", "watched_s", (json_int_t)backend->watched_s, "silent_s",
			 (json_int_t)backend->silent_s, "needed_s", (json_int_t)backend->window_s, "may_stop",
			 (int)backend->may_stop, "wait_s", (json_int_t)(wait_s > 0 ? wait_s : 0), "not_before",
			 wait_s > 0 ? json_integer((json_int_t)(time(NULL) + wait_s)) : json_null());
}

json_t *command_backend_json(const struct view_backend *backend, const struct stats *sum)
{
	const struct backend_state *state = &backend->state;
	json_t *row =
		json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:I, s:o}", "pool", backend->pool_name, "name",
			  backend->name, "health", backend_health_name(backend_state_health(state)), "state",
			  backend_admin_name(backend_state_admin(state)), "weight", (int)backend->weight, "address",
			  addr_is_wildcard(&backend->addr) ? json_null() : answer_address(&backend->addr), "ids",
			  ids_json(backend), "flows", (json_int_t)backend->flows, "last_cid_s",
			  backend->cid_at_s ? json_integer((json_int_t)backend->cid_ago_s) : json_null());

	if (backend->unanswered)
		json_object_set_new(row, "unanswered", json_integer((json_int_t)backend->unanswered));
	if (backend->host)
		json_object_set_new(row, "host", json_string(backend->host));
	if (backend_state_admin(state) == BACKEND_DRAIN)
		json_object_set_new(row, "drain", drain_json(backend));
	probe_json(row, backend);
	if (sum) {
		json_object_set_new(row, "forwarded_up", answer_counter(&sum->sent_up[backend->uid].datagrams));
		json_object_set_new(row, "forwarded_down", answer_counter(&sum->sent_down[backend->uid].datagrams));
		json_object_set_new(row, "octets_up", answer_counter(&sum->sent_up[backend->uid].octets));
		json_object_set_new(row, "octets_down", answer_counter(&sum->sent_down[backend->uid].octets));
		json_object_set_new(row, "icmp_errors", answer_counter(&sum->icmp_errors[backend->uid]));
		json_object_set_new(row, "wrong_interface", answer_counter(&sum->wrong_interface[backend->uid]));
		json_object_set_new(row, "foreign_cids", answer_counter(&sum->foreign_cids[backend->uid]));
		json_object_set_new(row, "silent_sessions", json_integer((json_int_t)backend->silent));
	}
	return row;
}

/* For the servers that drain. Without memory there is none. */
static void add_forecasts(const struct request *request, const struct view *view, json_t *rows)
{
	json_t *forecasts = forecasts_new(request->control, view);

	for (size_t at = 0; at < view->backend_count; at++) {
		json_t *forecast = forecasts_find(forecasts, &view->backends[at]);

		if (forecast)
			json_object_set(json_object_get(json_array_get(rows, at), "drain"), "forecast", forecast);
	}
	json_decref(forecasts);
}

/* Without a name also forecasts, which nobody waits for again and again. */
json_t *command_backends(struct request *request)
{
	json_t *rows = json_array();
	struct view *view;

	if (!rows || view_new(&view, request->control)) {
		json_decref(rows);
		return NULL;
	}
	for (size_t at = 0; at < view->backend_count; at++)
		if (!request->has_backend || request->backend.uid == view->backends[at].uid)
			json_array_append_new(rows, command_backend_json(&view->backends[at], view->sum));
	if (!request->has_backend)
		add_forecasts(request, view, rows);
	view_free(view);
	return json_pack("{s:b, s:o}", "ok", 1, "backends", rows);
}

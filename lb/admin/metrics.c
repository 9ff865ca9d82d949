#include "admin/metrics.h"

#include <stdbool.h>

static void write_head(struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Writes a label value. Backslash, quote and newline are escaped (text format 0.0.4). Other control characters have no
 * escape there. */
static void write_value(struct evbuffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			evbuffer_add_printf(out, "\\%c", *text);
		else if (*text == '\n')
			evbuffer_add(out, "\\n", 2);
		else
			evbuffer_add(out, text, 1);
	}
}

struct label {
	const char *name, *value;
};

static void write_sample(struct evbuffer *out, const char *name, uint64_t value, const struct label *labels,
			 size_t count)
{
	evbuffer_add_printf(out, "%s", name);
	for (size_t i = 0; i < count; i++) {
		evbuffer_add_printf(out, "%c%s=\"", i == 0 ? '{' : ',', labels[i].name);
		write_value(out, labels[i].value);
		evbuffer_add(out, "\"", 1);
	}
	evbuffer_add_printf(out, "%s %llu\n", count > 0 ? "}" : "", (unsigned long long)value);
}

#define SAMPLE(out, name, value, ...)                                                                                  \
	write_sample(out, name, value, (const struct label[]){ __VA_ARGS__ },                                          \
		     sizeof((const struct label[]){ __VA_ARGS__ }) / sizeof(struct label))

static void write_listeners(struct evbuffer *out, const struct view *view)
{
	write_head(out, "cidlb_received_total", "counter", "Datagrams received from devices.");
	for (size_t i = 0; i < view->listener_count; i++) {
		const struct view_listener *l = &view->listeners[i];
		SAMPLE(out, "cidlb_received_total", stats_read(&view->sum->received[l->uid]), { "listener", l->name },
		       { "pool", l->pool_name });
	}
	write_head(out, "cidlb_datagrams_total", "counter",
		   "Datagrams received from devices, by what was decided for them.");
	for (size_t i = 0; i < view->listener_count; i++) {
		const struct view_listener *l = &view->listeners[i];
		for (enum verdict v = 0; v < VERDICTS; v++)
			SAMPLE(out, "cidlb_datagrams_total", stats_read(&view->sum->verdicts[l->uid][v]),
			       { "listener", l->name }, { "pool", l->pool_name }, { "verdict", verdict_name(v) });
	}
	write_head(out, "cidlb_kernel_drops_total", "counter",
		   "Datagrams that the kernel dropped before cidlb read them.");
	for (size_t i = 0; i < view->listener_count; i++) {
		const struct view_listener *l = &view->listeners[i];
		SAMPLE(out, "cidlb_kernel_drops_total", stats_read(&view->sum->kernel_drops[l->uid]),
		       { "listener", l->name });
	}
}

static void write_errors(struct evbuffer *out, const struct view *view)
{
	write_head(out, "cidlb_icmp_errors_total", "counter", "ICMP errors about datagrams sent to a backend.");
	for (size_t i = 0; i < view->backend_count; i++) {
		const struct view_backend *b = &view->backends[i];
		SAMPLE(out, "cidlb_icmp_errors_total", stats_read(&view->sum->icmp_errors[b->uid]),
		       { "pool", b->pool_name }, { "backend", b->name });
	}
	write_head(out, "cidlb_endpoint_kernel_drops_total", "counter",
		   "Datagrams from backends that the kernel dropped before cidlb read them.");
	write_sample(out, "cidlb_endpoint_kernel_drops_total", stats_read(&view->sum->endpoint_drops), NULL, 0);
}

static void write_forwarded(struct evbuffer *out, const struct view *view)
{
	write_head(out, "cidlb_forwarded_total", "counter",
		   "Datagrams sent to a backend (up) or to devices on its behalf (down).");
	for (size_t i = 0; i < view->backend_count; i++) {
		const struct view_backend *b = &view->backends[i];
		SAMPLE(out, "cidlb_forwarded_total", stats_read(&view->sum->sent_up[b->uid]), { "pool", b->pool_name },
		       { "backend", b->name }, { "direction", "up" });
		SAMPLE(out, "cidlb_forwarded_total", stats_read(&view->sum->sent_down[b->uid]),
		       { "pool", b->pool_name }, { "backend", b->name }, { "direction", "down" });
	}
	write_head(out, "cidlb_refused_total", "counter",
		   "Routed datagrams (up) and replies (down) that were not sent, by reason.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];
		for (enum refused r = 0; r < REFUSED_REASONS; r++) {
			SAMPLE(out, "cidlb_refused_total", stats_read(&view->sum->refused_up[p->uid][r]),
			       { "pool", p->name }, { "direction", "up" }, { "reason", refused_name(r) });
			SAMPLE(out, "cidlb_refused_total", stats_read(&view->sum->refused_down[p->uid][r]),
			       { "pool", p->name }, { "direction", "down" }, { "reason", refused_name(r) });
		}
	}
}

/* One counter per pool. */
static void write_pool_counter(struct evbuffer *out, const struct view *view, const char *name, const char *help,
			       const stats_counter *counters)
{
	write_head(out, name, "counter", help);
	for (size_t i = 0; i < view->pool_count; i++)
		SAMPLE(out, name, stats_read(&counters[view->pools[i].uid]), { "pool", view->pools[i].name });
}

static void write_tunnels(struct evbuffer *out, const struct view *view)
{
	write_head(out, "cidlb_tunnel_dropped_total", "counter",
		   "Datagrams from servers that came to a tunnel and were dropped, by reason.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];
		for (unsigned r = PROXY2_GOOD + 1; p->tunnel && r < TUNNEL_DROPS; r++)
			SAMPLE(out, "cidlb_tunnel_dropped_total", stats_read(&view->sum->tunnel_dropped[p->uid][r]),
			       { "pool", p->name }, { "reason", tunnel_drop_name(r) });
	}
	write_head(out, "cidlb_tunnel_segmented_total", "counter",
		   "Datagrams to servers that left several in one UDP_SEGMENT send.");
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].tunnel)
			SAMPLE(out, "cidlb_tunnel_segmented_total",
			       stats_read(&view->sum->tunnel_segmented[view->pools[i].uid]),
			       { "pool", view->pools[i].name });
	write_head(out, "cidlb_tunnel_fragmented_total", "counter",
		   "Datagrams to servers that were, with their header, too large for the path, and left in fragments.");
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].tunnel)
			SAMPLE(out, "cidlb_tunnel_fragmented_total",
			       stats_read(&view->sum->tunnel_fragmented[view->pools[i].uid]),
			       { "pool", view->pools[i].name });
}

static void write_stateless(struct evbuffer *out, const struct view *view)
{
	write_head(out, "cidlb_stateless_dropped_total", "counter",
		   "Datagrams at endpoints of a pool without a table: whose address fails its check, or that are no "
		   "backend's.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];
		for (enum stateless_drop reason = 0; p->stateless && reason < STATELESS_DROPS; reason++)
			SAMPLE(out, "cidlb_stateless_dropped_total",
			       stats_read(&view->sum->stateless_dropped[p->uid][reason]), { "pool", p->name },
			       { "reason", stateless_drop_name(reason) });
	}
}

static void write_flows(struct evbuffer *out, const struct view *view)
{
	write_head(out, "cidlb_flows", "gauge",
		   "Flows: on trial until the backend answers on their endpoint, proven afterwards.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];
		SAMPLE(out, "cidlb_flows", p->flows_trial, { "pool", p->name }, { "kind", "trial" });
		SAMPLE(out, "cidlb_flows", p->flows_proven, { "pool", p->name }, { "kind", "proven" });
	}
}

/* What shortages have cost. See also cidlb_refused_total. */
static void write_shortages(struct evbuffer *out, const struct view *view, uint64_t http_stalls)
{
	write_head(out, "cidlb_flows_evicted_total", "counter",
		   "Flows on trial that ended before their time, to make room.");
	for (size_t i = 0; i < view->pool_count; i++)
		SAMPLE(out, "cidlb_flows_evicted_total", view->pools[i].flows_evicted, { "pool", view->pools[i].name });
	write_head(out, "cidlb_admin_stalls_total", "counter",
		   "Times that admin.http could accept nobody for want of descriptors.");
	evbuffer_add_printf(out, "cidlb_admin_stalls_total %llu\n", (unsigned long long)http_stalls);
}

static void write_state(struct evbuffer *out, const struct view_backend *backend, const char *state, bool is_in)
{
	SAMPLE(out, "cidlb_backend_state", is_in, { "pool", backend->pool_name }, { "backend", backend->name },
	       { "state", state });
}

static void write_backend_states(struct evbuffer *out, const struct view *view)
{
	write_head(out, "cidlb_backend_state", "gauge",
		   "1 for the health and the administrative state that a backend is in, 0 for the others.");
	for (size_t i = 0; i < view->backend_count; i++) {
		const struct view_backend *b = &view->backends[i];
		for (enum backend_health h = BACKEND_UP; h <= BACKEND_DOWN; h++)
			write_state(out, b, backend_health_name(h), backend_state_health(&b->state) == h);
		for (enum backend_admin a = BACKEND_READY; a <= BACKEND_MAINT; a++)
			write_state(out, b, backend_admin_name(a), backend_state_admin(&b->state) == a);
	}
}

static void write_finding(struct evbuffer *out, const char *name, const struct view_backend *backend,
			  enum health_finding finding)
{
	if (finding != FINDING_UNKNOWN)
		SAMPLE(out, name, finding == FINDING_GOOD, { "pool", backend->pool_name },
		       { "backend", backend->name });
}

static void write_probes(struct evbuffer *out, const struct view *view)
{
	const struct view_backend *end = view->backends + view->backend_count;

	write_head(out, "cidlb_probes_total", "counter", "Finished probes.");
	for (const struct view_backend *b = view->backends; b < end; b++) {
		SAMPLE(out, "cidlb_probes_total", b->probes[true], { "pool", b->pool_name }, { "backend", b->name },
		       { "result", "ok" });
		SAMPLE(out, "cidlb_probes_total", b->probes[false], { "pool", b->pool_name }, { "backend", b->name },
		       { "result", "failed" });
	}
	write_head(out, "cidlb_probe_microseconds", "gauge", "Time that the last probe took.");
	for (const struct view_backend *b = view->backends; b < end; b++)
		SAMPLE(out, "cidlb_probe_microseconds", b->probe_us, { "pool", b->pool_name }, { "backend", b->name });
	write_head(out, "cidlb_backend_rebinding", "gauge",
		   "1: a probe's session goes on from a new address without a handshake; 0: it does not.");
	for (const struct view_backend *b = view->backends; b < end; b++)
		write_finding(out, "cidlb_backend_rebinding", b, b->findings.rebinding);
	write_head(out, "cidlb_backend_cid_ok", "gauge",
		   "1: the CIDs of the backend are as configured; 0: they are not.");
	for (const struct view_backend *b = view->backends; b < end; b++)
		write_finding(out, "cidlb_backend_cid_ok", b, b->findings.cid);
	write_head(out, "cidlb_probe_sessions_lost_total", "counter",
		   "Sessions of probes that the backend forgot or closed.");
	for (const struct view_backend *b = view->backends; b < end; b++)
		SAMPLE(out, "cidlb_probe_sessions_lost_total", b->findings.sessions_lost, { "pool", b->pool_name },
		       { "backend", b->name });
}

/* What a backend still serves, for whoever wants to stop it. */
static void write_left(struct evbuffer *out, const struct view *view)
{
	write_head(out, "cidlb_backend_flows", "gauge", "Proven flows that lead to a backend.");
	for (size_t i = 0; i < view->backend_count; i++)
		SAMPLE(out, "cidlb_backend_flows", view->backends[i].flows, { "pool", view->backends[i].pool_name },
		       { "backend", view->backends[i].name });
	write_head(out, "cidlb_backend_last_cid_timestamp_seconds", "gauge",
		   "When a CID last led to a backend, Unix time; absent: never.");
	for (size_t i = 0; i < view->backend_count; i++)
		if (view->backends[i].cid_at_s)
			SAMPLE(out, "cidlb_backend_last_cid_timestamp_seconds", view->backends[i].cid_at_s,
			       { "pool", view->backends[i].pool_name }, { "backend", view->backends[i].name });
}

static void write_ids(struct evbuffer *out, const struct view *view)
{
	write_head(out, "cidlb_id_moves_total", "counter",
		   "Server ids that went to another backend, which claimed them.");
	for (size_t i = 0; i < view->pool_count; i++)
		SAMPLE(out, "cidlb_id_moves_total", view->pools[i].id_moves, { "pool", view->pools[i].name });
	write_head(out, "cidlb_ids_contested", "gauge", "Server ids that several backends claim.");
	for (size_t i = 0; i < view->pool_count; i++)
		SAMPLE(out, "cidlb_ids_contested", view->pools[i].ids_contested, { "pool", view->pools[i].name });
}

void metrics_write(struct evbuffer *out, const struct view *view, uint64_t http_stalls)
{
	write_listeners(out, view);
	write_forwarded(out, view);
	write_errors(out, view);
	write_pool_counter(out, view, "cidlb_replies_total",
			   "Datagrams from backends that belong to a flow, or have a good header.", view->sum->replies);
	write_pool_counter(out, view, "cidlb_copies_total",
			   "Further sends of one reply: to the owner, the claimant and those replaced.",
			   view->sum->copies);
	write_pool_counter(out, view, "cidlb_contests_total", "Contests begun over who owns a flow.",
			   view->sum->contests);
	write_head(out, "cidlb_strays_total", "counter",
		   "Datagrams and ICMP errors that reached an endpoint and belong to no flow.");
	write_sample(out, "cidlb_strays_total", stats_read(&view->sum->strays), NULL, 0);
	write_tunnels(out, view);
	write_stateless(out, view);
	write_flows(out, view);
	write_shortages(out, view, http_stalls);
	write_backend_states(out, view);
	write_probes(out, view);
	write_left(out, view);
	write_ids(out, view);
	write_head(out, "cidlb_config_fingerprint", "gauge",
		   "Always 1; the label is the same on nodes whose configurations agree.");
	SAMPLE(out, "cidlb_config_fingerprint", 1, { "fingerprint", view->fingerprint });
	write_head(out, "cidlb_snapshot_generation", "gauge",
		   "Number of the published routing table; it grows with every change.");
	write_sample(out, "cidlb_snapshot_generation", view->generation, NULL, 0);
}

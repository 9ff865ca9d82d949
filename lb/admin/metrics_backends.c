#include "admin/metrics_parts.h"
#include "admin/metrics_text.h"

#define OF(b)                                                                                                          \
	{ "pool", (b)->pool_name },                                                                                    \
	{                                                                                                              \
		"backend", (b)->name                                                                                   \
	}

struct both {
	uint64_t up, down;
};

static struct both datagrams_of(const struct view *view, const struct view_backend *b)
{
	return (struct both){ stats_read(&view->sum->sent_up[b->uid].datagrams),
			      stats_read(&view->sum->sent_down[b->uid].datagrams) };
}

static struct both octets_of(const struct view *view, const struct view_backend *b)
{
	return (struct both){ stats_read(&view->sum->sent_up[b->uid].octets),
			      stats_read(&view->sum->sent_down[b->uid].octets) };
}

static void write_forwarded(struct evbuffer *out, const struct view *view, const char *name,
			    struct both (*of)(const struct view *, const struct view_backend *))
{
	for (size_t i = 0; i < view->backend_count; i++) {
		const struct view_backend *b = &view->backends[i];
		const struct both both = of(view, b);

		METRICS_SAMPLE(out, name, both.up, OF(b), { "direction", "up" });
		METRICS_SAMPLE(out, name, both.down, OF(b), { "direction", "down" });
	}
}

/* One gauge of each backend. `read` is false where a backend has none. */
struct gauge {
	const char *name, *help;
	bool (*read)(const struct view_backend *backend, uint64_t *value);
};

static bool read_up(const struct view_backend *backend, uint64_t *value)
{
	*value = backend_state_health(&backend->state) == BACKEND_UP;
	return true;
}

static bool read_weight(const struct view_backend *backend, uint64_t *value)
{
	*value = backend->weight;
	return true;
}

static bool read_flows(const struct view_backend *backend, uint64_t *value)
{
	*value = backend->flows;
	return true;
}

static bool read_unanswered(const struct view_backend *backend, uint64_t *value)
{
	*value = backend->unanswered;
	return true;
}

static bool read_rebinding(const struct view_backend *backend, uint64_t *value)
{
	*value = backend->findings.rebinding == FINDING_GOOD;
	return backend->findings.rebinding != FINDING_UNKNOWN;
}

static bool read_cid_ok(const struct view_backend *backend, uint64_t *value)
{
	*value = backend->findings.cid == FINDING_GOOD;
	return backend->findings.cid != FINDING_UNKNOWN;
}

static bool read_may_stop(const struct view_backend *backend, uint64_t *value)
{
	*value = backend->may_stop;
	return backend_state_admin(&backend->state) == BACKEND_DRAIN;
}

static const struct gauge gauges[] = {
	{ "cidlb_backend_up", "1: the backend is up; 0: it is down.", read_up },
	{ "cidlb_backend_weight", "The weight in force, of 256.", read_weight },
	{ "cidlb_backend_flows", "Proven flows that lead to a backend.", read_flows },
	{ "cidlb_backend_unanswered_sessions",
	  "New sessions in a row that a backend has not answered at all, from 10 on; 0: it answers.", read_unanswered },
	{ "cidlb_backend_rebinding",
	  "1: a probe's session goes on from a new address without a handshake; 0: it does not. Absent: not known.",
	  read_rebinding },
	{ "cidlb_backend_cid_ok", "1: the CIDs of the backend are as configured; 0: they are not. Absent: not known.",
	  read_cid_ok },
	{ "cidlb_backend_may_stop",
	  "1: a backend that drains may be stopped; 0: that cannot be told yet. Absent: it does not drain.",
	  read_may_stop },
};

void metrics_backends(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_forwarded_total", "counter",
		     "Datagrams sent to a backend (up) or to devices on its behalf (down).");
	write_forwarded(out, view, "cidlb_forwarded_total", datagrams_of);
	metrics_head(out, "cidlb_forwarded_octets_total", "counter",
		     "Octets of the payloads of these datagrams, without the headers of mode tunnel.");
	write_forwarded(out, view, "cidlb_forwarded_octets_total", octets_of);
	metrics_head(out, "cidlb_backend_state", "gauge",
		     "Always 1; the label is the administrative state that the backend is in.");
	for (size_t i = 0; i < view->backend_count; i++) {
		const struct view_backend *b = &view->backends[i];

		METRICS_SAMPLE(out, "cidlb_backend_state", 1, OF(b),
			       { "state", backend_admin_name(backend_state_admin(&b->state)) });
	}
	for (size_t g = 0; g < sizeof gauges / sizeof gauges[0]; g++) {
		metrics_head(out, gauges[g].name, "gauge", gauges[g].help);
		for (size_t i = 0; i < view->backend_count; i++) {
			const struct view_backend *b = &view->backends[i];
			uint64_t value;

			if (gauges[g].read(b, &value))
				METRICS_SAMPLE(out, gauges[g].name, value, OF(b));
		}
	}
}

static void write_times(struct evbuffer *out, const struct view_pool *pool)
{
	/* probe_times_bounds_us, in seconds. */
	static const char *const bounds[PROBE_TIMES] = { "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
							 "0.1",   "0.25",   "0.5",   "1",    "2.5" };

	metrics_histogram(out,
			  &(struct metrics_histogram){ .name = "cidlb_probe_duration_seconds",
						       .bounds = bounds,
						       .bound_count = PROBE_TIMES,
						       .counts = pool->probe_times->counts,
						       .sum = pool->probe_times->sum_us,
						       .sum_us = true },
			  &(struct metrics_label){ "pool", pool->name });
}

void metrics_probes(struct evbuffer *out, const struct view *view)
{
	const struct view_pool *end = view->pools + view->pool_count;

	metrics_head(out, "cidlb_pool_accepting_backends", "gauge", "Backends that are up and get new sessions.");
	for (const struct view_pool *p = view->pools; p < end; p++)
		METRICS_SAMPLE(out, "cidlb_pool_accepting_backends", p->accepting, { "pool", p->name });
	metrics_head(out, "cidlb_probes_total", "counter", "Finished probes.");
	for (const struct view_pool *p = view->pools; p < end; p++) {
		METRICS_SAMPLE(out, "cidlb_probes_total", p->probes[true], { "pool", p->name }, { "result", "ok" });
		METRICS_SAMPLE(out, "cidlb_probes_total", p->probes[false], { "pool", p->name },
			       { "result", "failed" });
	}
	metrics_head(out, "cidlb_probe_duration_seconds", "histogram", "Time that good probes took.");
	for (const struct view_pool *p = view->pools; p < end; p++)
		write_times(out, p);
	metrics_head(out, "cidlb_probe_sessions_lost_total", "counter",
		     "Sessions of probes that their backend forgot or closed.");
	for (const struct view_pool *p = view->pools; p < end; p++)
		METRICS_SAMPLE(out, "cidlb_probe_sessions_lost_total", p->probe_sessions_lost, { "pool", p->name });
	metrics_head(out, "cidlb_id_moves_total", "counter",
		     "Server ids that went to another backend, which claimed them.");
	for (const struct view_pool *p = view->pools; p < end; p++)
		METRICS_SAMPLE(out, "cidlb_id_moves_total", p->id_moves, { "pool", p->name });
	metrics_head(out, "cidlb_ids_contested", "gauge", "Server ids that several backends claim.");
	for (const struct view_pool *p = view->pools; p < end; p++)
		METRICS_SAMPLE(out, "cidlb_ids_contested", p->ids_contested, { "pool", p->name });
	metrics_head(out, "cidlb_id_claims_refused_total", "counter",
		     "Answers that claim a server id which may_claim of their backend does not name.");
	for (const struct view_pool *p = view->pools; p < end; p++)
		METRICS_SAMPLE(out, "cidlb_id_claims_refused_total", p->claims_refused, { "pool", p->name });
}

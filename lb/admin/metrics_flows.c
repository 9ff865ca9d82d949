#include "admin/metrics_parts.h"
#include "admin/metrics_text.h"

/* By class of flows. */
static void write_classes(struct evbuffer *out, const struct view *view, const char *name, bool evicted)
{
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];

		for (enum flow_class class = 0; class < FLOW_CLASSES; class ++)
			METRICS_SAMPLE(out, name, evicted ? p->flows.evicted[class] : p->flows.flows[class],
				       { "pool", p->name }, { "kind", flow_class_name(class) });
	}
}

static void write_sessions(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_sessions", "gauge",
		     "Sessions that are known: with a CID, and of an address without one. Not where rebind = "
		     "\"backend\".");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];

		if (p->counts_sessions)
			METRICS_SAMPLE(out, "cidlb_sessions",
				       p->flows.flows[FLOW_CLASS_ADDRESS] + p->flows.flows[FLOW_CLASS_CID],
				       { "pool", p->name });
	}
}

/* A counter of the pools whose sessions have CIDs. */
static void write_of_sessions(struct evbuffer *out, const struct view *view, const char *name,
			      const stats_counter *counters)
{
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].has_cids)
			METRICS_SAMPLE(out, name, stats_read(&counters[view->pools[i].uid]),
				       { "pool", view->pools[i].name });
}

static void write_handshakes(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_handshakes_total", "counter",
		     "DTLS handshakes that began and, in mode nat with a table, those that reached their end.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];

		if (!p->dtls)
			continue;
		METRICS_SAMPLE(out, "cidlb_handshakes_total", stats_read(&view->sum->handshakes_begun[p->uid]),
			       { "pool", p->name }, { "stage", "begun" });
		if (p->max_flows)
			METRICS_SAMPLE(out, "cidlb_handshakes_total", stats_read(&view->sum->handshakes_over[p->uid]),
				       { "pool", p->name }, { "stage", "finished" });
	}
}

static void write_learned(struct evbuffer *out, const struct view *view, const char *name, bool room)
{
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];

		if (p->learned)
			METRICS_SAMPLE(out, name, room ? p->learned_room : learned_count(p->learned),
				       { "pool", p->name });
	}
}

static void write_learned_counts(struct evbuffer *out, const char *pool, const struct learned_counts *counts)
{
	const struct {
		const char *what;
		const _Atomic uint64_t *count;
	} all[] = {
		{ "added", &counts->added },
		{ "evicted", &counts->evicted },
		{ "shared", &counts->shared },
		{ "refused", &counts->refused },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		METRICS_SAMPLE(out, "cidlb_learned_cids_total",
			       atomic_load_explicit(all[i].count, memory_order_relaxed), { "pool", pool },
			       { "what", all[i].what });
}

/* Pools of scheme "learned". */
static void metrics_learned(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_learned_cids", "gauge", "CIDs that servers were seen to give out.");
	write_learned(out, view, "cidlb_learned_cids", false);
	metrics_head(out, "cidlb_learned_cids_limit", "gauge", "How many CIDs a pool keeps: cid.max_cids.");
	write_learned(out, view, "cidlb_learned_cids_limit", true);
	metrics_head(
		out, "cidlb_learned_cids_total", "counter",
		"CIDs that were learned, forgotten to make room, given out by a second server, and not learned for "
		"being of a fifth length.");
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].learned)
			write_learned_counts(out, view->pools[i].name, &view->pools[i].learned->counts);
}

void metrics_flows(struct evbuffer *out, const struct view *view)
{
	metrics_learned(out, view);
	metrics_head(out, "cidlb_flows", "gauge",
		     "Flows: under a handshake, of an address without a CID, and of a CID.");
	write_classes(out, view, "cidlb_flows", false);
	metrics_head(out, "cidlb_flows_limit", "gauge", "How many flows a pool may have: nat.max_flows.");
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].max_flows)
			METRICS_SAMPLE(out, "cidlb_flows_limit", view->pools[i].max_flows,
				       { "pool", view->pools[i].name });
	metrics_head(out, "cidlb_flows_evicted_total", "counter", "Flows that ended before their time, to make room.");
	write_classes(out, view, "cidlb_flows_evicted_total", true);
	write_sessions(out, view);
	write_handshakes(out, view);
	metrics_head(out, "cidlb_address_changes_total", "counter",
		     "Changes of address after which a session went on: it spoke from another address, and its "
		     "backend's next datagram went there.");
	write_of_sessions(out, view, "cidlb_address_changes_total", view->sum->moves);
	metrics_head(
		out, "cidlb_sessions_rescued_total", "counter",
		"Sessions that went on at their backend without a handshake after such a change, each counted once.");
	write_of_sessions(out, view, "cidlb_sessions_rescued_total", view->sum->rescued);
}

#include "admin/metrics_parts.h"
#include "admin/metrics_text.h"
#include "path/resumed.h"

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
	metrics_head(
		out, "cidlb_handshakes_total", "counter",
		"DTLS handshakes that began; of these, those that were led to the server which can resume what they "
		"offered; and, in mode nat with a table, those that reached their end.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];

		if (!p->dtls)
			continue;
		METRICS_SAMPLE(out, "cidlb_handshakes_total", stats_read(&view->sum->handshakes_begun[p->uid]),
			       { "pool", p->name }, { "stage", "begun" });
		if (p->learned[LEARNED_SESSIONS])
			METRICS_SAMPLE(out, "cidlb_handshakes_total", stats_read(&view->sum->handshakes_led[p->uid]),
				       { "pool", p->name }, { "stage", "led" });
		if (p->max_flows)
			METRICS_SAMPLE(out, "cidlb_handshakes_total", stats_read(&view->sum->handshakes_over[p->uid]),
				       { "pool", p->name }, { "stage", "finished" });
	}
}

static void write_rooms(struct evbuffer *out, const struct view *view, const char *name, enum learned_kind kind)
{
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].learned[kind])
			METRICS_SAMPLE(out, name, view->pools[i].learned_room[kind], { "pool", view->pools[i].name });
}

static uint64_t count(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
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
		METRICS_SAMPLE(out, "cidlb_learned_cids_total", count(all[i].count), { "pool", pool },
			       { "what", all[i].what });
}

/* Pools of scheme "learned". */
static void metrics_learned(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_learned_cids", "gauge", "CIDs that servers were seen to give out.");
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].learned[LEARNED_CIDS])
			METRICS_SAMPLE(out, "cidlb_learned_cids", learned_count(view->pools[i].learned[LEARNED_CIDS]),
				       { "pool", view->pools[i].name });
	metrics_head(out, "cidlb_learned_cids_limit", "gauge", "How many CIDs a pool keeps: cid.max_cids.");
	write_rooms(out, view, "cidlb_learned_cids_limit", LEARNED_CIDS);
	metrics_head(
		out, "cidlb_learned_cids_total", "counter",
		"CIDs that were learned, forgotten to make room, given out by a second server, and not learned for "
		"being of a fifth length.");
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].learned[LEARNED_CIDS])
			write_learned_counts(out, view->pools[i].name, &view->pools[i].learned[LEARNED_CIDS]->counts);
}

/* What devices without CIDs resume. */
static void metrics_resumable(struct evbuffer *out, const struct view *view)
{
	metrics_head(
		out, "cidlb_resumable", "gauge",
		"Session ids and tickets that servers were seen to give out, and addresses with a session that was "
		"resumed elsewhere than by their hash.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct learned *learned = view->pools[i].learned[LEARNED_SESSIONS];

		if (!learned)
			continue;
		METRICS_SAMPLE(out, "cidlb_resumable", learned_count_of(learned, RESUMED_SESSION_OCTETS),
			       { "pool", view->pools[i].name }, { "kind", "session" });
		METRICS_SAMPLE(out, "cidlb_resumable", learned_count_of(learned, RESUMED_ADDRESS_OCTETS),
			       { "pool", view->pools[i].name }, { "kind", "address" });
	}
	metrics_head(out, "cidlb_resumable_limit", "gauge", "How many of both a pool keeps: max_resumable.");
	write_rooms(out, view, "cidlb_resumable_limit", LEARNED_SESSIONS);
	metrics_head(out, "cidlb_resumable_total", "counter", "Of both, those learned, and forgotten to make room.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct learned *learned = view->pools[i].learned[LEARNED_SESSIONS];

		if (!learned)
			continue;
		METRICS_SAMPLE(out, "cidlb_resumable_total", count(&learned->counts.added),
			       { "pool", view->pools[i].name }, { "what", "added" });
		METRICS_SAMPLE(out, "cidlb_resumable_total", count(&learned->counts.evicted),
			       { "pool", view->pools[i].name }, { "what", "evicted" });
	}
}

/* Where nodes share what they learn. */
static void metrics_redis(struct evbuffer *out, const struct view_redis *redis)
{
	if (!redis->configured)
		return;
	metrics_single(out, "cidlb_redis_connected", "gauge", "1: what is learned is pushed and read; 0: it is not.",
		       redis->connected);
	metrics_single(out, "cidlb_redis_behind_seconds", "gauge",
		       "How long ago this node had last read all that nodes have pushed.", redis->behind_s);
	metrics_single(out, "cidlb_redis_waiting", "gauge",
		       "Learned CIDs, session ids and tickets that Redis has not confirmed yet.", redis->waiting);
	metrics_single(out, "cidlb_redis_pushed_total", "counter", "Those that Redis has confirmed.", redis->pushed);
	metrics_single(out, "cidlb_redis_dropped_total", "counter",
		       "Those that other nodes will not hear of, because too many were waiting.", redis->dropped);
	metrics_head(out, "cidlb_redis_read_total", "counter",
		     "Entries read, this node's own among them: taken, of servers that this node does not have, and "
		     "such as are none.");
	METRICS_SAMPLE(out, "cidlb_redis_read_total", redis->taken, { "what", "taken" });
	METRICS_SAMPLE(out, "cidlb_redis_read_total", redis->foreign, { "what", "foreign" });
	METRICS_SAMPLE(out, "cidlb_redis_read_total", redis->malformed, { "what", "malformed" });
}

void metrics_flows(struct evbuffer *out, const struct view *view)
{
	metrics_learned(out, view);
	metrics_resumable(out, view);
	metrics_redis(out, &view->redis);
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

#include "control/watch.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "common/plural.h"
#include "control/host.h"
#include "control/state.h"
#include "control/stateless.h"
#include "control/view.h"
#include "control/watch_handshakes.h"

enum { WATCH_TICKS = 4 }; /* one second */

static const char *const evicted_texts[FLOW_CLASSES] = {
	[FLOW_CLASS_HANDSHAKE] =
		"nat.max_flows / 8 flows are under a handshake, or one prefix has its share of them: the "
		"oldest end to make room",
	[FLOW_CLASS_ADDRESS] = "nat.max_flows flows are in use: those without a CID that were silent longest end",
	[FLOW_CLASS_CID] = "nat.max_flows flows are in use: the sessions that were silent longest are forgotten, and "
			   "reached again once their devices speak",
};

/* A server that checks the way back itself is served better by nat.rebind = "backend". */
static void rrc_tell(struct control_pool *known, uint64_t rrc, const struct conf_pool *conf)
{
	if (rrc && !known->rrc && conf->nat.rebind == REBIND_FOLLOW)
		log_event(LOG_LEVEL_INFO, "rrc", conf->name, NULL,
			  "servers check return routability (RFC 9853): nat.rebind = \"backend\" lets them move "
			  "sessions");
	known->rrc = rrc;
}

/* What has the address of one of the pool's backends, and came in through another interface. */
static void watch_interfaces(struct control_pool *known, const struct stats *sum, const struct snapshot_pool_spec *pool)
{
	uint64_t elsewhere = 0;

	for (size_t i = 0; i < pool->backend_count; i++)
		elsewhere += stats_read(&sum->wrong_interface[pool->backends[i].uid]);
	/* A reload has taken a backend away. */
	if (elsewhere < known->elsewhere.refused)
		known->elsewhere.refused = elsewhere;
	shortage_tell(&known->elsewhere, elsewhere, "wrong_interface", pool->name,
		      "datagrams with the address of a server come in through another interface than leads there: are "
		      "they forged, or is the way back another one?");
}

/* What goes up and comes down counts for sessions where neither flows nor handshakes show where one begins. */
static bool shows_sessions(const struct control *control, size_t pool)
{
	const struct conf_pool *conf = &control->conf->pools[pool];

	return conf->protocol == POOL_DTLS || conf->forward == FORWARD_NAT;
}

static void unanswered_tell(struct control *control, size_t pool, const struct conf_backend *backend,
			    const struct unanswered *now, enum unanswered_news news)
{
	const struct conf_pool *conf = &control->conf->pools[pool];
	struct log_quota *quota = &control->pools[control->spec.pools[pool].uid].unanswered_lines;

	if (news == UNANSWERED_NO_NEWS || !log_quota_take(quota, clock_s()))
		return;
	if (news == UNANSWERED_BEGINS)
		log_fields(
			&(struct log_what){ LOG_LEVEL_WARNING, "unanswered", conf->name, backend->name,
					    LOG_FIELDS(LOG_TEXT("phase", "begins"),
						       LOG_NUMBER("in_a_row", now->in_a_row),
						       LOG_TEXT("reason", "does the way back from there lead here?")) },
			"%" PRIu64 " %s in a row got no answer at all: does the way back from there to %s lead here?",
			now->in_a_row, shows_sessions(control, pool) ? "new sessions" : "datagrams",
			conf->forward == FORWARD_TUNNEL ? "tunnel.local" : "nat.sources");
	else
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "unanswered", conf->name, backend->name,
					       LOG_FIELDS(LOG_TEXT("phase", "over")) },
			   "over: it answers again");
}

static void watch_answers(struct control *control, const struct stats *sum, size_t pool)
{
	const struct snapshot_pool_spec *spec = &control->spec.pools[pool];
	const bool sessions = shows_sessions(control, pool), stateless = stateless_listener(control->conf, pool);
	uint64_t more;

	for (size_t i = 0; i < spec->backend_count; i++) {
		const uint16_t uid = spec->backends[i].uid;
		struct unanswered *unanswered = &control->backends[uid].unanswered;

		/* Nodes without a table can share the sources: what one asks another may hear. Where servers answer
		 * devices themselves none hears. */
		if (stateless || conf_pool_is_direct(&control->conf->pools[pool])) {
			*unanswered = (struct unanswered){ 0 };
			continue;
		}
		const uint64_t begun = stats_read(sessions ? &sum->begun[uid] : &sum->sent_up[uid].datagrams),
			       answered = stats_read(sessions ? &sum->answered[uid] : &sum->sent_down[uid].datagrams);

		unanswered_tell(control, pool, &control->conf->pools[pool].backends[i], unanswered,
				unanswered_look(unanswered, begun, answered, clock_s()));
	}
	more = log_quota_more(&control->pools[spec->uid].unanswered_lines, clock_s());
	if (more)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "unanswered", control->conf->pools[pool].name, NULL,
					       LOG_FIELDS(LOG_NUMBER("left_out", more),
							  LOG_TEXT("reason", "lines of one minute")) },
			   "%" PRIu64 " more line%s of servers that answer new sessions or do not, within a minute",
			   more, PLURAL(more));
}

/* What becomes of new sessions while no server can take them. */
static const char *fate_of(struct control *control, size_t pool)
{
	const struct snapshot_pool *snapshot = &publisher_read(&control->publisher)->snapshot->pools[pool];

	for (size_t i = 0; i < snapshot->backend_count; i++)
		if (snapshot->accepts[i] && !addr_is_wildcard(&snapshot->backends[i].addr))
			return "go to servers that are down (health.all_down)";
	return "are dropped";
}

static void no_backend_tell(struct control *control, size_t pool)
{
	const struct snapshot_pool_spec *spec = &control->spec.pools[pool];
	size_t down = 0, drain = 0, maint = 0;

	for (size_t i = 0; i < spec->backend_count; i++) {
		const struct backend_state *state = &control->states[spec->backends[i].uid];
		const enum backend_admin admin = backend_state_admin(state);

		maint += admin == BACKEND_MAINT;
		drain += admin == BACKEND_DRAIN;
		down += admin == BACKEND_READY && backend_state_health(state) == BACKEND_DOWN;
	}
	log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "no_backend", control->conf->pools[pool].name, NULL,
				       LOG_FIELDS(LOG_TEXT("phase", "begins"),
						  LOG_NUMBER("servers", spec->backend_count), LOG_NUMBER("down", down),
						  LOG_NUMBER("drain", drain), LOG_NUMBER("maint", maint),
						  LOG_TEXT("new_sessions", fate_of(control, pool))) },
		   "no server can take new sessions, which %s: %zu of %zu server%s down, %zu draining, %zu in maint",
		   fate_of(control, pool), down, spec->backend_count, PLURAL(spec->backend_count), drain, maint);
}

/* One look and one line a second at most. */
static void watch_accepting(struct control *control, size_t pool)
{
	struct control_pool *known = &control->pools[control->spec.pools[pool].uid];
	const char *name = control->conf->pools[pool].name;
	const size_t accepting = view_accepting(control, pool);

	if ((accepting == 0) == known->no_backend)
		return;
	known->no_backend = accepting == 0;
	if (known->no_backend)
		no_backend_tell(control, pool);
	else
		log_fields(
			&(struct log_what){ LOG_LEVEL_INFO, "no_backend", name, NULL,
					    LOG_FIELDS(LOG_TEXT("phase", "over"), LOG_NUMBER("accepting", accepting)) },
			"over: %zu can take new sessions", accepting);
}

static void watch_pool(struct control *control, const struct stats *sum, uint16_t uid, const struct conf_pool *conf)
{
	struct control_pool *known = &control->pools[uid];
	struct flows_count flows = flows_count(control->flows, uid);
	uint64_t sends =
		stats_read(&sum->refused_up[uid][REFUSED_SEND]) + stats_read(&sum->refused_down[uid][REFUSED_SEND]);
	uint64_t forged = 0;

	for (enum stateless_drop reason = 0; reason < STATELESS_DROPS; reason++)
		forged += stats_read(&sum->stateless_dropped[uid][reason]);
	shortage_tell(&known->forged, forged, "stateless_dropped", conf->name,
		      "the endpoints get datagrams that are no answers of a backend: are they forged, or were the "
		      "requests sent with another hash_key?");
	shortage_tell(&known->flows, stats_read(&sum->refused_up[uid][REFUSED_FLOWS]), "flows_refused", conf->name,
		      "no flow or no endpoint is left");
	for (enum flow_class class = 0; class < FLOW_CLASSES; class ++)
		shortage_tell(&known->evicted[class], flows.evicted[class], "flows_evicted", conf->name,
			      evicted_texts[class]);
	shortage_tell(
		&known->withheld, stats_read(&sum->withheld[uid]), "withheld", conf->name,
		"addresses that show a CID and are not proven would get more than three times what they sent: are "
		"they forged, or is nat.unproven_rate too low for devices that have just moved?");
	shortage_tell(
		&known->reflected, stats_read(&sum->reflected[uid]), "reflected", conf->name,
		"servers answer addresses that have shown nothing with more than three times what they sent: turn "
		"on their cookies");
	rrc_tell(known, stats_read(&sum->rrc[uid]), conf);
	shortage_tell(&known->sends, sends, "sends_refused", conf->name,
		      "the kernel refuses to send datagrams: no route, or no memory?");
}

/* Logs what begins to run short, and what no longer does. */
static void watch_shortages(struct control *control, const struct stats *sum)
{
	for (size_t i = 0; i < control->spec.pool_count; i++) {
		watch_pool(control, sum, control->spec.pools[i].uid, &control->conf->pools[i]);
		watch_answers(control, sum, i);
		watch_accepting(control, i);
		watch_interfaces(&control->pools[control->spec.pools[i].uid], sum, &control->spec.pools[i]);
	}
	watch_handshakes(control, sum);
	learned_tables_watch(control);
	for (size_t i = 0; i < control->conf->listener_count; i++) {
		uint16_t uid = control->listener_uids[i];

		shortage_tell(&control->listeners[uid].drops, stats_read(&sum->kernel_drops[uid]), "kernel_drops", NULL,
			      "the kernel drops datagrams from devices: they arrive faster than the workers read them");
	}
	shortage_tell(&control->endpoint_drops, stats_read(&sum->endpoint_drops), "kernel_drops", NULL,
		      "the kernel drops datagrams from servers: they arrive faster than the workers read them");
}

void watch_tick(struct control *control)
{
	if (++control->ticks % WATCH_TICKS != 0)
		return;
	host_tick(control);
	view_stats(control->sum, control);
	watch_shortages(control, control->sum);
}

#include "control/watch_handshakes.h"

#include "base/log.h"
#include "control/state.h"
#include "control/view.h"
#include "path/given_cid.h"

enum { SILENT_IN_A_ROW = 10 /* of a server that has answered sessions */ };

/* A reload may take a listener away from a pool, or bring one. What its counter has by then is not the pool's. */
static void limited_tell(struct control *control, const struct stats *sum, size_t at)
{
	struct shortage *limited = &control->pools[control->spec.pools[at].uid].limited;
	uint64_t hellos = limited->refused;

	for (size_t i = 0; i < control->conf->listener_count; i++) {
		const uint16_t uid = control->listener_uids[i];
		const uint64_t all = stats_read(&sum->verdicts[uid][VERDICT_LIMITED]);

		if (control->conf->listeners[i].pool != at)
			continue;
		hellos += all - control->listeners[uid].limited;
		control->listeners[uid].limited = all;
	}
	shortage_tell(limited, hellos, "hello_limited", control->conf->pools[at].name,
		      "more new handshakes come than hello_rate lets pass: is it a flood, or are these devices?");
}

/* Where a CID leads that a backend gave out lately and that is not its own: GIVEN_CID_NOBODY, or a uid + 1. What
 * was noted is forgotten, so that the next time does not tell of it. */
static uint16_t foreign_leads(struct control *control, uint16_t backend)
{
	uint16_t leads = GIVEN_CID_NOTHING;

	for (unsigned i = 0; i < control->worker_count; i++) {
		const uint16_t one = atomic_exchange_explicit(&control->workers[i]->path.foreign_leads[backend],
							      GIVEN_CID_NOTHING, memory_order_relaxed);

		leads = one != GIVEN_CID_NOTHING ? one : leads;
	}
	return leads;
}

static void foreign_tell(struct control *control, const struct stats *sum, const char *pool,
			 const struct snapshot_backend *backend)
{
	struct shortage *foreign = &control->backends[backend->uid].foreign;
	const enum shortage_news news = shortage_look(foreign, stats_read(&sum->foreign_cids[backend->uid]));
	uint16_t leads;
	const char *name = NULL;

	if (news == SHORTAGE_NO_NEWS)
		return;
	leads = foreign_leads(control, backend->uid);
	if (news == SHORTAGE_ENDS) {
		shortage_tell_over(foreign, "foreign_cid", pool, backend->name);
		return;
	}
	if (leads != GIVEN_CID_NOTHING && leads != GIVEN_CID_NOBODY)
		name = view_backend_name(control, (uint16_t)(leads - 1));
	if (name)
		log_fields(
			&(struct log_what){ LOG_LEVEL_WARNING, "foreign_cid", pool, backend->name,
					    LOG_FIELDS(LOG_TEXT("phase", "begins"), LOG_TEXT("leads_to", name),
						       LOG_TEXT("reason", "are the server ids of the two swapped, are "
									  "they the same, or are its CIDs random?")) },
			"its handshakes give out CIDs that lead to %s, so their sessions break: are the server ids of "
			"the two swapped, are they the same, or are its CIDs random?",
			name);
	else
		log_fields(
			&(struct log_what){
				LOG_LEVEL_WARNING, "foreign_cid", pool, backend->name,
				LOG_FIELDS(LOG_TEXT("phase", "begins"),
					   LOG_TEXT("reason", "it gives out CIDs that lead to no backend: does it mint "
							      "CIDs as cid and its id say?")) },
			"its handshakes give out CIDs that lead to no backend, so their sessions break: does it mint "
			"CIDs as cid and its id say?");
}

/* A server that takes no other address than the handshake's answers no session. If it has answered one, what others
 * said was perhaps lost, or nonsense. */
static void silent_tell(struct control *control, const struct stats *sum, const char *pool,
			const struct snapshot_backend *backend)
{
	struct control_backend *known = &control->backends[backend->uid];
	const uint64_t answered = stats_read(&sum->sessions[backend->uid]);
	const uint64_t silent = flows_silent(control->flows, backend->uid);
	const uint64_t least = answered ? SILENT_IN_A_ROW : 1;

	if (answered != known->answered) {
		known->answered = answered;
		known->silent_before = silent;
	}
	switch (shortage_look(&known->silent, silent - known->silent_before < least ? known->silent.refused : silent)) {
	case SHORTAGE_BEGINS:
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "silent_sessions", pool, backend->name,
					       LOG_FIELDS(LOG_TEXT("phase", "begins"),
							  LOG_TEXT("reason",
								   "it does not answer sessions at another address "
								   "than that of their handshake: nat.endpoint")) },
			   "it does not answer sessions at another address than that of their handshake. If it never "
			   "accepts one, set nat.endpoint to handshake");
		return;
	case SHORTAGE_ENDS:
		shortage_tell_over(&known->silent, "silent_sessions", pool, backend->name);
		return;
	case SHORTAGE_NO_NEWS:
		return;
	}
}

void watch_handshakes(struct control *control, const struct stats *sum)
{
	for (size_t i = 0; i < control->spec.pool_count; i++) {
		const struct snapshot_pool_spec *pool = &control->spec.pools[i];

		limited_tell(control, sum, i);
		for (size_t j = 0; j < pool->backend_count; j++) {
			foreign_tell(control, sum, pool->name, &pool->backends[j]);
			silent_tell(control, sum, pool->name, &pool->backends[j]);
		}
	}
}

#include "control/settle.h"

#include <errno.h>
#include <string.h>

#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/drain.h"
#include "control/flow_home.h"
#include "control/ids.h"
#include "control/names.h"
#include "control/probe_results.h"
#include "control/reach.h"
#include "control/slots.h"
#include "control/state.h"
#include "control/table_build.h"

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)settle(ctx);
}

int settle_open(struct control *control)
{
	control->settle.timer = evtimer_new(control->base, on_timer, control);
	return control->settle.timer ? 0 : -ENOMEM;
}

void settle_close(struct control *control)
{
	if (control->settle.timer)
		event_free(control->settle.timer);
}

/* From the end of the last settling to the next. */
static uint64_t apart_ms(const struct settle *settle)
{
	const uint64_t rest_ms = settle->took_us * SETTLE_REST / 1000;

	return rest_ms > SETTLE_APART_MS ? rest_ms : SETTLE_APART_MS;
}

/* libevent serves a timer that has expired after all sockets that it has heard of in this turn. Without memory for a
 * timer the next tick settles. */
void settle_mark(struct control *control, unsigned due)
{
	const uint64_t since_ms = clock_ms() - control->settle.settled_ms, apart = apart_ms(&control->settle);
	const uint64_t wait_ms = since_ms < apart ? apart - since_ms : 0;
	const struct timeval wait = { (time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000 * 1000) };

	control->settle.due |= due;
	if (!evtimer_pending(control->settle.timer, NULL))
		(void)evtimer_add(control->settle.timer, &wait);
}

void settle_mark_new(struct control *control)
{
	control->settle.due = 0;
	control->settle.failed &= ~(unsigned)SETTLE_TABLE;
	settle_mark(control, SETTLE_IDS | SETTLE_TARGETS | SETTLE_NAMES);
}

/* Notes how it went. True if that is news: it fails for the first time, or works again. */
static bool is_news(struct settle *settle, enum settle_due what, int err)
{
	const bool failed = settle->failed & what;

	settle->due = err ? settle->due | what : settle->due & ~(unsigned)what;
	settle->failed = err ? settle->failed | what : settle->failed & ~(unsigned)what;
	return failed != (err != 0);
}

void settle_publish(struct control *control, struct table *table)
{
	publisher_publish(&control->publisher, table);
	if (control->beside.follow)
		control->beside.follow(control->beside.ctx, table);
	control->settle.settled_ms = clock_ms();
	slots_follow(control, table);
	rcu_thread_online();
	(void)flow_home_follow(control->flows, table);
	rcu_thread_offline();
}

/* `changed`: something else has changed than that slots are there. */
static int publish(struct control *control, bool changed)
{
	const struct table *before = publisher_read(&control->publisher);
	struct table *table = NULL;

	for (size_t i = 0; i < control->spec.backend_count; i++) {
		struct snapshot_backend *backend = &control->spec.backends[i];

		apply_in_force(backend, &control->states[backend->uid], control->weights[backend->uid]);
	}
	changed |= reach_find(control, control->conf, &control->spec);
	changed |= dsr_find(control, control->conf, &control->spec);
	control->spec.host = control->host;
	if (ids_to_spec(control, control->conf, &control->spec) == 0)
		table = table_build(control->conf, &control->spec, control->listener_uids, before);
	if (!table)
		return -ENOMEM;
	if (!changed)
		table->snapshot->generation = before->snapshot->generation;
	settle_publish(control, table);
	drain_follow(control);
	return 0;
}

static int settle_table(struct control *control)
{
	bool moved = false;
	int err = ids_settle(control, &moved);
	const bool changed = moved || control->settle.due & SETTLE_TABLE;

	if (!err && (changed || control->settle.due & SETTLE_SLOTS))
		err = publish(control, changed);
	if (!err)
		control->settle.due &= ~(unsigned)(SETTLE_IDS | SETTLE_SLOTS);
	if (is_news(&control->settle, SETTLE_TABLE, err) && err)
		log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL,
			  "out of memory: the routing table stays as it was for now");
	return err;
}

static void settle_targets(struct control *control)
{
	const int err = probe_results_follow(control);

	if (!is_news(&control->settle, SETTLE_TARGETS, err))
		return;
	if (err)
		log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "health", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("error", strerror(-err))) },
			   "not every backend is probed: %s", strerror(-err));
	else
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "health", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("phase", "over")) },
			   "every backend is probed again");
}

static void settle_names(struct control *control)
{
	const int err = names_follow(control);

	if (is_news(&control->settle, SETTLE_NAMES, err) && err)
		log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "names", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("error", strerror(-err))) },
			   "the DNS is not asked: %s", strerror(-err));
}

int settle(struct control *control)
{
	const uint64_t begin_us = clock_us();
	int err = 0;

	evtimer_del(control->settle.timer);
	if (control->settle.due & (SETTLE_IDS | SETTLE_TABLE | SETTLE_SLOTS)) {
		err = settle_table(control);
		control->settle.settled_ms = clock_ms();
		control->settle.took_us = clock_us() - begin_us;
	}
	if (control->settle.due & SETTLE_TARGETS)
		settle_targets(control);
	if (control->settle.due & SETTLE_NAMES)
		settle_names(control);
	return err;
}

void settle_tick(struct control *control)
{
	if (!evtimer_pending(control->settle.timer, NULL))
		(void)settle(control);
}

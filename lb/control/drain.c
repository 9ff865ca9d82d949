#include "control/drain.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/running.h"
#include "control/state.h"
#include "control/view.h"
#include "path/handshakes.h"

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t drain_window_s(const struct conf_pool *pool)
{
	if (cid_id_octets(&pool->layout) == 0 && pool->layout.scheme != CID_LAYOUT_LEARNED)
		return pool->forward == FORWARD_NAT ? pool->nat.idle_s : HANDSHAKES_HINT_S;
	return pool->forward == FORWARD_TUNNEL ? pool->tunnel.cid_idle_s
	       : pool->forward == FORWARD_DSR  ? pool->dsr.cid_idle_s
					       : pool->nat.cid_idle_s;
}

void drain_follow(struct control *control)
{
	const int64_t now_s = clock_s();

	for (size_t at = 0; at < control->spec.backend_count; at++) {
		const struct snapshot_backend *backend = &control->spec.backends[at];
		struct control_backend *known = &control->backends[backend->uid];

		if (backend->admin == BACKEND_DRAIN && !known->drains)
			known->drains_since_s = now_s;
		known->drains = backend->admin == BACKEND_DRAIN;
		known->told_drained &= known->drains;
	}
}

void drain_forget(struct control *control, uint16_t uid)
{
	control->backends[uid].drains = false;
	control->backends[uid].told_drained = false;
}

/* When the silence of a backend began that the file can vouch for. */
static int64_t begin_of(const struct saved *saved, const struct saved_watch *kept, int64_t window_s, int64_t now_s)
{
	const struct saved_watched *watched = saved_watched(saved);
	const int64_t silent_s = watched->at_s - later(kept->since_s, kept->cid_s);
	const bool seamless =
		watched->is_of_this_boot && watched->at_s <= now_s && now_s - watched->at_s <= DRAIN_GAP_S;

	/* Nobody was left, and nobody has come since. */
	if (silent_s >= window_s)
		return seamless ? kept->since_s : now_s - window_s;
	return seamless ? kept->since_s : now_s;
}

/* No worker runs yet, so this thread may write in the place of one. */
static void cid_recall(struct control *control, uint16_t uid, int64_t cid_s, int64_t now_s)
{
	if (control->worker_count > 0 && cid_s > 0)
		atomic_store_explicit(&control->workers[0]->path.cid_last_s[uid],
				      (uint32_t)(cid_s < now_s ? cid_s : now_s), memory_order_relaxed);
}

void drain_recall(struct control *control)
{
	const int64_t now_s = clock_s();

	for (size_t at = 0; at < control->spec.backend_count; at++) {
		const struct running_backend backend = running_backend_at(control, at);
		struct control_backend *known = &control->backends[backend.spec->uid];
		struct saved_watch kept = { .pool = backend.pool, .backend = backend.conf };

		if (!saved_get_watch(control->saved, &kept))
			continue;
		if (saved_watched(control->saved)->is_of_this_boot)
			cid_recall(control, backend.spec->uid, kept.cid_s, now_s);
		if (known->drains && kept.drains)
			known->drains_since_s = begin_of(control->saved, &kept, drain_window_s(backend.pool), now_s);
	}
}

/* What is to be known of the backend at `at`. */
static struct saved_watch watch_of(struct control *control, size_t at)
{
	const struct running_backend backend = running_backend_at(control, at);
	const struct control_backend *known = &control->backends[backend.spec->uid];

	return (struct saved_watch){
		.pool = backend.pool,
		.backend = backend.conf,
		.drains = known->drains,
		.since_s = known->drains_since_s,
		.cid_s = worker_cid_last_s(control->workers, control->worker_count, backend.spec->uid),
	};
}

static int64_t silence_s(const struct saved_watch *watch, int64_t until_s)
{
	return until_s - later(watch->since_s, watch->cid_s);
}

/* One that speaks now will be written again no sooner than in a step. */
static void round_up(struct saved_watch *watch, int64_t window_s, int64_t now_s)
{
	const int64_t silent_s = now_s - watch->cid_s;

	if (silent_s < DRAIN_STEP_S && silent_s < window_s)
		watch->cid_s = (watch->cid_s + DRAIN_STEP_S - 1) / DRAIN_STEP_S * DRAIN_STEP_S;
}

/* Until when it was watched, as the file is to know it. Once it knows that all of them may be stopped, nothing more is
 * to be learned, and it is left alone. */
static int64_t watched_until(struct control *control, const struct saved_watch *watches, size_t count, int64_t now_s)
{
	const struct saved_watched *file = saved_watched(control->saved);
	const int64_t known_s = file->is_of_this_boot ? file->at_s : 0;
	bool is_known = true;

	for (size_t i = 0; i < count; i++) {
		const int64_t window_s = drain_window_s(watches[i].pool);

		if (silence_s(&watches[i], now_s) < window_s)
			return now_s / DRAIN_STEP_S * DRAIN_STEP_S;
		is_known = is_known && silence_s(&watches[i], known_s) >= window_s;
	}
	return is_known ? known_s : now_s;
}

/* Logs once that a server may be stopped, until somebody has come back to it. */
static void drained_tell(struct control *control, size_t at)
{
	struct view_backend backend;
	struct control_backend *known;

	view_backend(control, at, &backend);
	known = &control->backends[backend.uid];
	if (backend.may_stop && !known->told_drained)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "drained", backend.pool_name, backend.name,
					       LOG_FIELDS(LOG_NUMBER("silent_s", backend.silent_s)) },
			   "it may be stopped: no flow leads there, and no CID for %" PRId64 " s", backend.silent_s);
	known->told_drained = backend.may_stop;
}

void drain_tick(struct control *control)
{
	struct saved_watch *watches = calloc(control->spec.backend_count + 1, sizeof *watches);
	const int64_t now_s = clock_s();
	size_t count = 0;

	for (size_t at = 0; watches && at < control->spec.backend_count; at++) {
		if (!control->backends[control->spec.backends[at].uid].drains)
			continue;
		drained_tell(control, at);
		watches[count] = watch_of(control, at);
		round_up(&watches[count], drain_window_s(watches[count].pool), now_s);
		count++;
	}
	if (watches)
		saved_set_watches(control->saved, watches, count, watched_until(control, watches, count, now_s));
	free(watches);
}

void drain_end(struct control *control)
{
	struct saved_watch *watches = calloc(control->spec.backend_count + 1, sizeof *watches);
	size_t count = 0;

	for (size_t at = 0; watches && at < control->spec.backend_count; at++) {
		watches[count] = watch_of(control, at);
		count += watches[count].drains || watches[count].cid_s > 0;
	}
	if (watches)
		saved_set_watches(control->saved, watches, count, clock_s());
	free(watches);
}

#include "control/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/fingerprint.h"
#include "control/ids.h"
#include "control/state.h"
#include "control/view_pool.h"

/* A view and all that it points to, except texts. */
struct memory {
	struct view view;
	struct stats sum;
	struct view_listener listeners[CONF_MAX_LISTENERS];
	struct view_pool pools[CONF_MAX_POOLS];
	char fingerprint[FINGERPRINT_TEXT_OCTETS];
	uint64_t busy_us[CONF_MAX_WORKERS];
	struct view_backend backends[];
};

void view_stats(struct stats *sum, const struct control *control)
{
	memset(sum, 0, sizeof *sum);
	for (unsigned i = 0; i < control->worker_count; i++)
		stats_sum(sum, &control->workers[i]->path.stats);
	if (control->beside.sum)
		control->beside.sum(control->beside.ctx, sum);
}

static void listener_fill(struct view_listener *out, const struct control *control, size_t at)
{
	const struct conf_listener *listener = &control->conf->listeners[at];

	*out = (struct view_listener){
		.uid = control->listener_uids[at],
		.pool = control->spec.pools[listener->pool].uid,
		.name = listener->name,
		.pool_name = control->conf->pools[listener->pool].name,
		.addr = listener->addr,
	};
}

size_t view_accepting(struct control *control, size_t pool)
{
	const struct snapshot_pool *snapshot = &publisher_read(&control->publisher)->snapshot->pools[pool];
	size_t count = 0;

	for (size_t i = 0; i < snapshot->backend_count; i++)
		count += snapshot->accepts[i] && snapshot->backends[i].health == BACKEND_UP &&
			 !addr_is_wildcard(&snapshot->backends[i].addr);
	return count;
}

static void memory_fill(struct memory *memory, struct control *control)
{
	const struct conf *conf = control->conf;

	view_stats(&memory->sum, control);
	for (size_t i = 0; i < conf->listener_count; i++)
		listener_fill(&memory->listeners[i], control, i);
	for (size_t i = 0; i < conf->pool_count; i++)
		view_pool(control, i, &memory->pools[i]);
	view_pools_sum(control, &memory->sum, memory->pools);
	for (size_t at = 0; at < control->spec.backend_count; at++)
		view_backend(control, at, &memory->backends[at]);
	for (unsigned i = 0; i < control->worker_count; i++)
		memory->busy_us[i] = worker_busy_us(control->workers[i]);
	memory->view = (struct view){
		.sum = &memory->sum,
		.listeners = memory->listeners,
		.listener_count = conf->listener_count,
		.pools = memory->pools,
		.pool_count = conf->pool_count,
		.backends = memory->backends,
		.backend_count = control->spec.backend_count,
		.generation = publisher_read(&control->publisher)->snapshot->generation,
		.fingerprint = fingerprint_format(memory->fingerprint, conf),
		.file = conf->file,
		.workers = control->worker_count,
		.busy_us = memory->busy_us,
		.uptime_s = clock_s() - control->started_s,
		.started_at = control->started_at,
		.applied_at = control->applied_at,
		.reload_refused = control->reload_refused,
		.left = ready_has_left(control),
		.rcvbuf_asked = control->conf->rcvbuf_octets,
	};
	memory->view.ready = ready_is(control, memory->view.unready);
	if (control->redis_look)
		control->redis_look(control->redis_ctx, &memory->view.redis);
	if (control->beside.look)
		control->beside.look(control->beside.ctx, &memory->view.fast);
	for (enum slot_kind kind = 0; kind <= SLOT_TUNNEL; kind++)
		memory->view.rcvbuf[kind] = sockets_rcvbuf(control->sockets, kind);
}

void view_redis_from(struct control *control, view_redis_look *look, void *ctx)
{
	control->redis_look = look;
	control->redis_ctx = ctx;
}

int view_new(struct view **out, struct control *control)
{
	const size_t alignment = _Alignof(struct memory);
	const size_t octets =
		sizeof(struct memory) + control->spec.backend_count * sizeof(struct view_backend) + alignment - 1;
	struct memory *memory = aligned_alloc(alignment, octets / alignment * alignment);

	if (!memory)
		return -ENOMEM;
	memory_fill(memory, control);
	*out = &memory->view;
	return 0;
}

/* The view comes first in its memory, so this frees all of it. */
void view_free(struct view *view)
{
	free(view);
}

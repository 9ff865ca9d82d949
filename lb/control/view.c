#include "control/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/fingerprint.h"
#include "control/ids.h"
#include "control/state.h"

/* A view and all that it points to, except texts. */
struct memory {
	struct view view;
	struct stats sum;
	struct view_listener listeners[CONF_MAX_LISTENERS];
	struct view_pool pools[CONF_MAX_POOLS];
	char fingerprint[FINGERPRINT_TEXT_OCTETS];
	struct view_backend backends[];
};

static void sum_fill(struct stats *sum, const struct control *control)
{
	memset(sum, 0, sizeof *sum);
	for (unsigned i = 0; i < control->worker_count; i++)
		stats_sum(sum, &control->workers[i]->path.stats);
}

struct stats *view_stats(const struct control *control)
{
	struct stats *sum = aligned_alloc(_Alignof(struct stats), sizeof *sum);

	if (sum)
		sum_fill(sum, control);
	return sum;
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

static size_t accepting(struct control *control, size_t at)
{
	const struct snapshot_pool *pool = &publisher_read(&control->publisher)->snapshot->pools[at];
	size_t count = 0;

	for (size_t i = 0; i < pool->backend_count; i++)
		count += pool->accepts[i] && pool->backends[i].health == BACKEND_UP;
	return count;
}

static void pool_fill(struct view_pool *out, struct control *control, size_t at)
{
	const struct conf_pool *pool = &control->conf->pools[at];
	const uint16_t uid = control->spec.pools[at].uid;
	const struct flows_count count = flows_count(control->flows, uid);

	*out = (struct view_pool){
		.uid = uid,
		.name = pool->name,
		.tunnel = pool->forward == FORWARD_TUNNEL,
		.stateless = stateless_listener(control->conf, at) != NULL,
		.backend_count = pool->backend_count,
		.accepting = accepting(control, at),
		.flows_trial = count.trial,
		.flows_proven = count.proven,
		.flows_evicted = count.evicted,
		.id_moves = control->pools[uid].id_moves,
		.ids_contested = ids_contested(control, uid),
	};
	if (out->stateless)
		stateless_explain(out->how, control->conf, at);
}

static void memory_fill(struct memory *memory, struct control *control)
{
	const struct conf *conf = control->conf;

	sum_fill(&memory->sum, control);
	for (size_t i = 0; i < conf->listener_count; i++)
		listener_fill(&memory->listeners[i], control, i);
	for (size_t i = 0; i < conf->pool_count; i++)
		pool_fill(&memory->pools[i], control, i);
	for (size_t at = 0; at < control->spec.backend_count; at++)
		view_backend(control, at, &memory->backends[at]);
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
		.uptime_s = clock_s() - control->started_s,
		.ready = control_is_ready(control),
	};
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

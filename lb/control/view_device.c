#include "base/clock.h"
#include "control/state.h"
#include "control/view.h"

static struct view_drop view_of(const struct drop *drop)
{
	const int64_t now_s = clock_s();

	return (struct view_drop){
		.from = drop->from,
		.service = drop->service,
		.why = drop->why.refused ? refused_name(drop->why.reason) : verdict_name(drop->why.verdict),
		.refused = drop->why.refused,
		.times = drop->times,
		.ago_s = now_s > drop->last_s ? now_s - drop->last_s : 0,
	};
}

/* What several workers know for the same reason is one. */
static bool is_joined(struct view_drop *to, const struct view_drop *from)
{
	if (to->why != from->why)
		return false;
	to->times += from->times;
	if (from->ago_s < to->ago_s) {
		to->from = from->from;
		to->service = from->service;
		to->ago_s = from->ago_s;
	}
	return true;
}

size_t view_drops(const struct control *control, const uint8_t ip[static 16], struct view_drop out[static VIEW_DROPS])
{
	size_t count = 0;

	for (unsigned i = 0; i < control->worker_count; i++) {
		const struct path *path = &control->workers[i]->path;
		struct view_drop one;
		struct drop drop;
		bool joined = false;

		if (!drops_find(&path->drops, &path->hello_key.random, ip, &drop))
			continue;
		one = view_of(&drop);
		for (size_t j = 0; !joined && j < count; j++)
			joined = is_joined(&out[j], &one);
		if (!joined && count < VIEW_DROPS)
			out[count++] = one;
	}
	return count;
}

const char *view_handshake(struct control *control, uint16_t pool, const struct addr *device)
{
	const uint64_t source = handshakes_source(control->handshakes, pool, device);
	const uint16_t backend = handshakes_hint(control->handshakes, source, (uint32_t)clock_s());

	return backend == HANDSHAKES_NO_HINT ? NULL : view_backend_name(control, backend);
}

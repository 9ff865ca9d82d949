#include "control/running.h"

#include "control/state.h"

struct running_backend running_backend_at(struct control *control, size_t at)
{
	const struct conf_pool *pool = control->conf->pools;
	size_t first = 0;

	while (at - first >= pool->backend_count)
		first += pool++->backend_count;
	return (struct running_backend){ at, pool, &pool->backends[at - first], &control->spec.backends[at] };
}

bool running_backend_find(struct control *control, uint16_t uid, struct running_backend *out)
{
	for (size_t at = 0; at < control->spec.backend_count; at++) {
		if (control->spec.backends[at].uid == uid) {
			*out = running_backend_at(control, at);
			return true;
		}
	}
	return false;
}

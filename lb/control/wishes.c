#include "control/wishes.h"

#include <errno.h>

#include "base/log.h"
#include "control/running.h"
#include "control/state.h"

/* What was marked before in this turn is settled as well. */
static int in_force(struct control *control)
{
	settle_mark(control, SETTLE_TABLE);
	return settle(control);
}

/* If it cannot be written, that is logged, and it holds from now on all the same. */
static void keep(struct control *control, const struct running_backend *backend)
{
	const uint16_t uid = backend->spec->uid;

	(void)saved_set(control->saved, backend->pool->name, backend->conf, control->states[uid].wish,
			control->weights[uid]);
}

int wishes_set_admin(struct control *control, uint16_t uid, enum backend_admin admin)
{
	enum backend_admin *wish, before;
	struct running_backend backend;

	if (!running_backend_find(control, uid, &backend))
		return -ENOENT;
	wish = &control->states[uid].wish;
	before = *wish;
	*wish = admin;
	if (admin != before && in_force(control)) {
		*wish = before;
		return -ENOMEM;
	}
	if (admin != before)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "backend_state", backend.pool->name, backend.conf->name,
					       LOG_FIELDS(LOG_TEXT("state", backend_admin_name(admin)),
							  LOG_TEXT("was", backend_admin_name(before)),
							  LOG_TEXT("by", "command")) },
			   "%s, by command", backend_admin_name(admin));
	keep(control, &backend);
	return 0;
}

int wishes_set_weight(struct control *control, uint16_t uid, uint16_t weight)
{
	struct running_backend backend;
	uint16_t before;

	if (!running_backend_find(control, uid, &backend))
		return -ENOENT;
	before = control->weights[uid];
	control->weights[uid] = weight;
	if (weight != before && in_force(control)) {
		control->weights[uid] = before;
		return -ENOMEM;
	}
	if (weight != before)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "backend_weight", backend.pool->name, backend.conf->name,
					       LOG_FIELDS(LOG_NUMBER("weight", weight), LOG_NUMBER("was", before),
							  LOG_TEXT("by", "command")) },
			   "%u, by command", weight);
	keep(control, &backend);
	return 0;
}

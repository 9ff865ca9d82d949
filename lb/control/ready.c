#include "control/ready.h"

#include <stdio.h>

#include "base/log.h"
#include "control/running.h"
#include "control/state.h"

/* One whose name has never had an address is not down, as nobody can ask it. */
static bool is_up(const struct control *control, const struct snapshot_backend *backend)
{
	const struct backend_state *state = &control->states[backend->uid];

	return backend_state_health(state) == BACKEND_UP && backend_state_admin(state) != BACKEND_MAINT &&
	       !addr_is_wildcard(&backend->addr);
}

/* The first pool with nobody to serve its devices. NULL: there is none. */
static const char *blind_pool(const struct control *control)
{
	size_t at = 0;

	for (size_t i = 0; i < control->conf->pool_count; i++) {
		const struct conf_pool *pool = &control->conf->pools[i];
		bool any = false;

		for (size_t j = 0; j < pool->backend_count; j++, at++)
			any = any || is_up(control, &control->spec.backends[at]);
		if (!any)
			return pool->name;
	}
	return NULL;
}

bool ready_is(const struct control *control, char why[static READY_WHY_OCTETS])
{
	const char *blind;
	size_t unprobed = 0;

	for (size_t i = 0; i < control->spec.backend_count; i++)
		unprobed += !control->states[control->spec.backends[i].uid].probed;
	if (control->left)
		snprintf(why, READY_WHY_OCTETS, "told to leave; `cidlbctl join` takes that back");
	else if (unprobed > 0)
		snprintf(why, READY_WHY_OCTETS, "not every backend was probed yet: %zu of %zu missing", unprobed,
			 control->spec.backend_count);
	else if ((blind = blind_pool(control)))
		snprintf(why, READY_WHY_OCTETS, "pool %s has no backend that is up", blind);
	else
		return true;
	return false;
}

static void left_save(struct control *control)
{
	(void)saved_set_left(control->saved, control->left);
}

void ready_leave(struct control *control)
{
	if (!control->left)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "left", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("by", "command"),
							  LOG_TEXT("reason", "/readyz answers 503 until `cidlbctl "
									     "join`, and whatever comes is served")) },
			   "by command: /readyz answers 503 until `cidlbctl join`, and whatever comes is served");
	control->left = true;
	left_save(control);
}

void ready_join(struct control *control)
{
	if (control->left)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "joined", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("by", "command")) },
			   "by command");
	control->left = false;
	left_save(control);
}

bool ready_has_left(const struct control *control)
{
	return control->left;
}

void ready_recall(struct control *control)
{
	control->left = saved_left(control->saved);
	if (control->left)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "left", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("by", "a command from before the start"),
							  LOG_TEXT("reason",
								   "/readyz answers 503 until `cidlbctl join`")) },
			   "by a command from before the start: /readyz answers 503 until `cidlbctl join`");
}

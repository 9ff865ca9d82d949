#include "start/sharing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/apply.h"
#include "control/view.h"
#include "learned/share.h"

struct sharing {
	struct share *share;
	struct share_plan *next; /* NULL: none is being applied */
};

static int redis_prepare(void *ctx, struct apply_step *step)
{
	struct share_tables tables[CONF_MAX_POOLS];
	struct sharing *sharing = ctx;
	int err;

	for (size_t i = 0; i < step->conf->pool_count; i++)
		tables[i] = (struct share_tables){ .cids = step->spec.learned[i].of[LEARNED_CIDS],
						   .sessions = step->spec.learned[i].of[LEARNED_SESSIONS] };
	err = share_plan_new(&sharing->next, step->conf, tables);
	return err ? apply_refuse(step, err, "out of memory") : 0;
}

static void redis_commit(void *ctx, struct apply_step *step)
{
	struct sharing *sharing = ctx;

	(void)step;
	share_follow(sharing->share, sharing->next);
	sharing->next = NULL;
}

static void redis_abandon(void *ctx, struct apply_step *step)
{
	struct sharing *sharing = ctx;

	(void)step;
	share_plan_free(sharing->next);
	sharing->next = NULL;
}

static void look(void *ctx, struct view_redis *out)
{
	const struct sharing *sharing = ctx;
	struct share_state state;

	share_look(sharing->share, &state);
	*out = (struct view_redis){
		.configured = state.configured,
		.connected = state.connected,
		.waiting = state.waiting,
		.pushed = state.pushed,
		.dropped = state.dropped,
		.taken = state.taken,
		.foreign = state.foreign,
		.malformed = state.malformed,
		.behind_s = state.behind_s,
	};
	snprintf(out->address, sizeof out->address, "%s", state.address);
	snprintf(out->reason, sizeof out->reason, "%s", state.reason);
}

int sharing_new(struct sharing **out, struct control *control, struct event_base *base)
{
	struct sharing *sharing = calloc(1, sizeof *sharing);
	const struct apply_part redis = { "redis", redis_prepare, redis_commit, redis_abandon, sharing };
	int err = sharing ? share_new(&sharing->share, base) : -ENOMEM;

	if (!err)
		err = apply_register(control, &redis);
	if (err) {
		sharing_free(sharing);
		return err;
	}
	view_redis_from(control, look, sharing);
	*out = sharing;
	return 0;
}

void sharing_free(struct sharing *sharing)
{
	if (!sharing)
		return;
	share_free(sharing->share);
	share_plan_free(sharing->next);
	free(sharing);
}

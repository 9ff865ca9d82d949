#include "start/fast_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/apply.h"
#include "control/beside.h"
#include "control/control.h"
#include "control/uids_in_use.h"
#include "control/view.h"
#include "xdp/fast.h"

_Static_assert((int)VIEW_FAST_PASSES == (int)FAST_PASSES_ROOM && (int)FAST_PASSES < (int)VIEW_FAST_PASSES,
	       "a counter for each reason, and an end");
_Static_assert((int)VIEW_FAST_REASON_OCTETS == (int)FAST_REASON_OCTETS, "a reason is shown whole");

struct fast_path {
	struct control *control;
	struct fast *fast;
	struct fast_counts counts; /* for look() */
};

static void follow(void *ctx, const struct table *table)
{
	const struct fast_path *path = ctx;

	fast_follow(path->fast, table);
}

static void tick(void *ctx)
{
	const struct fast_path *path = ctx;

	fast_tick(path->fast);
}

static void sum(void *ctx, struct stats *stats)
{
	const struct fast_path *path = ctx;

	fast_sum(path->fast, stats);
}

static void forget(void *ctx, const struct uids_in_use *used)
{
	const struct fast_path *path = ctx;

	fast_forget(path->fast, &(struct fast_numbers){ used->listeners, used->pools, used->backends });
}

static void trace_begins(void *ctx)
{
	const struct fast_path *path = ctx;

	fast_rest(path->fast, FAST_REST_TRACE);
}

static void trace_ends(void *ctx)
{
	const struct fast_path *path = ctx;

	fast_work(path->fast, FAST_REST_TRACE);
}

static const char *rests_text(unsigned rests)
{
	if (rests & FAST_REST_NETWORK)
		return "the kernel does not tell its routes";
	if (rests & FAST_REST_CONFIGURATION)
		return "the running configuration has none";
	return rests & FAST_REST_TRACE ? "a trace runs" : NULL;
}

static void look(void *ctx, struct view_fast *out)
{
	struct fast_path *path = ctx;
	const struct fast_place *places = fast_places(path->fast, &out->interface_count);

	out->configured = true;
	out->rests = rests_text(fast_rests(path->fast));
	for (size_t i = 0; i < out->interface_count; i++) {
		struct view_fast_interface *to = &out->interfaces[i];

		to->attached = places[i].mode != FAST_NONE;
		to->mode = fast_mode_name(places[i].mode);
		memcpy(to->name, places[i].name, sizeof to->name);
		memcpy(to->reason, places[i].reason, sizeof to->reason);
	}
	fast_look(path->fast, &path->counts);
	for (size_t uid = 0; uid < STATS_LISTENERS; uid++) {
		for (size_t verdict = 0; verdict < VERDICTS; verdict++)
			out->verdicts[uid][verdict] = path->counts.verdicts[uid][verdict];
		memcpy(out->passed[uid], path->counts.passed[uid], sizeof out->passed[uid]);
	}
	for (enum fast_passed why = 0; why < FAST_PASSES; why++)
		out->passed_names[why] = fast_passed_name(why);
	for (size_t uid = 0; uid < STATS_POOLS; uid++)
		out->replies += path->counts.replies[uid];
}

/* Another choice of interfaces takes a start; none at all does not. */
static void on_applied(void *ctx, struct apply_step *step)
{
	const struct fast_path *path = ctx;

	if (step->conf->fast.interface_count > 0)
		fast_work(path->fast, FAST_REST_CONFIGURATION);
	else
		fast_rest(path->fast, FAST_REST_CONFIGURATION);
}

static int path_new(struct fast_path **out, struct control *control, struct fast_links *left)
{
	const struct conf *conf = control_conf(control);
	struct fast_path *path;
	int err;

	if (conf->fast.interface_count == 0)
		return 0;
	path = calloc(1, sizeof *path);
	if (!path)
		return -ENOMEM;
	path->control = control;
	err = fast_new(&path->fast, conf, control_worker_list(control), control_workers(control), left);
	if (!err)
		err = apply_register(control,
				     &(struct apply_part){ .name = "fast path", .commit = on_applied, .ctx = path });
	if (err) {
		fast_path_free(path);
		return err;
	}
	control_set_beside(control,
			   &(struct beside){ follow, tick, sum, forget, trace_begins, trace_ends, look, path });
	*out = path;
	return 0;
}

int fast_path_new(struct fast_path **out, struct control *control, struct fast_links *left)
{
	int err;

	*out = NULL;
	err = path_new(out, control, left);
	fast_links_end(left);
	return err;
}

void fast_path_links(const struct fast_path *path, struct fast_links *out)
{
	out->count = 0;
	if (path)
		fast_links_get(path->fast, out);
}

void fast_path_free(struct fast_path *path)
{
	if (!path)
		return;
	control_set_beside(path->control, NULL);
	fast_free(path->fast);
	free(path);
}

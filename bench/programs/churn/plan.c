#include "bench/programs/churn/plan.h"

/* In growth and shrinking: a tenth of all is not there before, or after. */
enum { GROWTH_PARTS = 10, ROLL_PARTS = 20 };

const struct plan plans[] = {
	{ .name = "quiet", .text = "nothing happens", .kind = PLAN_NOTHING },
	{ .name = "fail-one", .text = "one server fails and returns", .kind = PLAN_FAIL },
	{ .name = "fail-hundredth",
	  .text = "1 % of the servers fail at once and return",
	  .kind = PLAN_FAIL,
	  .parts = 100 },
	{ .name = "fail-tenth", .text = "10 % of the servers fail at once and return", .kind = PLAN_FAIL, .parts = 10 },
	{ .name = "grow",
	  .text = "a ninth more servers at once; then another balancer node",
	  .kind = PLAN_GROW,
	  .parts = 1 },
	{ .name = "grow-one", .text = "a ninth more servers, one by one", .kind = PLAN_GROW, .fixed_only = true },
	{ .name = "shrink", .text = "a tenth of the servers leaves at once", .kind = PLAN_SHRINK, .parts = 1 },
	{ .name = "shrink-one",
	  .text = "a tenth of the servers leaves, one by one",
	  .kind = PLAN_SHRINK,
	  .fixed_only = true },
	{ .name = "weight", .text = "the weight of one server is halved, and restored", .kind = PLAN_WEIGH },
	{ .name = "upgrade",
	  .text = "rolling upgrade in 20 steps",
	  .kind = PLAN_ROLL,
	  .drains = true,
	  .parts = ROLL_PARTS },
	{ .name = "upgrade-one",
	  .text = "rolling upgrade, one by one",
	  .kind = PLAN_ROLL,
	  .drains = true,
	  .fixed_only = true },
	{ .name = "restart",
	  .text = "rolling restart in 20 steps, servers save their sessions",
	  .kind = PLAN_ROLL,
	  .fixed_only = true,
	  .saved = true,
	  .parts = ROLL_PARTS },
};
const size_t plan_count = sizeof plans / sizeof *plans;

/* `change` to members first .. end-1 in steps, each followed by `undo` (PLAN_QUIET: by nothing). */
static size_t in_steps(struct plan_event *events, enum plan_change change, enum plan_change undo, size_t first,
		       size_t end, size_t step)
{
	size_t n = 0;

	for (size_t at = first; at < end; at += step) {
		const uint16_t count = (uint16_t)(end - at < step ? end - at : step);
		events[n++] = (struct plan_event){ change, (uint16_t)at, count };
		if (undo != PLAN_QUIET)
			events[n++] = (struct plan_event){ undo, (uint16_t)at, count };
	}
	return n;
}

static size_t part(size_t count, uint16_t parts)
{
	return parts && count >= parts ? count / parts : 1;
}

size_t plan_begin(const struct plan *plan, struct plan_event events[PLAN_EVENTS_MAX], struct member *members,
		  size_t count)
{
	const size_t tenth = count / GROWTH_PARTS, step = part(count, plan->parts);
	size_t n;

	members_init(members, count);
	switch (plan->kind) {
	case PLAN_ROLL:
		return in_steps(events, PLAN_DOWN, PLAN_BACK, 0, count, step);
	case PLAN_FAIL:
		return in_steps(events, PLAN_DOWN, PLAN_BACK, count / 2, count / 2 + step, step);
	case PLAN_GROW:
		for (size_t i = count - tenth; i < count; i++)
			members[i].state = MEMBER_ABSENT;
		n = in_steps(events, PLAN_ADD, PLAN_QUIET, count - tenth, count, plan->parts ? tenth : 1);
		events[n] = (struct plan_event){ .change = PLAN_NODE };
		return n + 1;
	case PLAN_SHRINK:
		return in_steps(events, PLAN_REMOVE, PLAN_QUIET, count - tenth, count, plan->parts ? tenth : 1);
	case PLAN_WEIGH:
		return in_steps(events, PLAN_LIGHTER, PLAN_HEAVIER, count / 2, count / 2 + 1, 1);
	case PLAN_NOTHING:
		break;
	}
	events[0] = (struct plan_event){ .change = PLAN_QUIET };
	return 1;
}

static void set_state(struct member *members, const struct plan_event *event, enum member_state state)
{
	for (size_t i = 0; i < event->count; i++)
		members[event->first + i].state = state;
}

void plan_happen(const struct plan *plan, const struct plan_event *events, size_t event_count, size_t at,
		 struct member *members)
{
	const struct plan_event *event = &events[at];

	switch (event->change) {
	case PLAN_DOWN:
		set_state(members, event, MEMBER_DOWN);
		break;
	case PLAN_BACK:
		set_state(members, event, MEMBER_UP);
		if (plan->drains && at + 1 < event_count)
			set_state(members, event + 1, MEMBER_DRAINING);
		break;
	case PLAN_ADD:
		set_state(members, event, MEMBER_UP);
		break;
	case PLAN_REMOVE:
		set_state(members, event, MEMBER_ABSENT);
		break;
	case PLAN_LIGHTER:
	case PLAN_HEAVIER:
		for (size_t i = 0; i < event->count; i++)
			members[event->first + i].weight = event->change == PLAN_LIGHTER ? 50 : 100;
		break;
	case PLAN_QUIET:
	case PLAN_NODE:
		break;
	}
}

const char *plan_change_name(enum plan_change change)
{
	static const char *const names[] = {
		[PLAN_QUIET] = "quiet",   [PLAN_DOWN] = "down",       [PLAN_BACK] = "back",       [PLAN_ADD] = "add",
		[PLAN_REMOVE] = "remove", [PLAN_LIGHTER] = "lighter", [PLAN_HEAVIER] = "heavier", [PLAN_NODE] = "node",
	};
	return names[change];
}

#include "bench/programs/churn/schedule.h"

/* In growth and shrinking: a tenth of all is not there before, or after. */
enum { GROWTH_PARTS = 10, ROLL_PARTS = 20 };

const struct schedule schedules[] = {
	{ .name = "quiet", .text = "nothing happens", .kind = SCHEDULE_NOTHING },
	{ .name = "fail-one", .text = "one server fails and returns", .kind = SCHEDULE_FAIL },
	{ .name = "fail-hundredth",
	  .text = "1 % of the servers fail at once and return",
	  .kind = SCHEDULE_FAIL,
	  .parts = 100 },
	{ .name = "fail-tenth",
	  .text = "10 % of the servers fail at once and return",
	  .kind = SCHEDULE_FAIL,
	  .parts = 10 },
	{ .name = "grow",
	  .text = "a ninth more servers at once; then another balancer node",
	  .kind = SCHEDULE_GROW,
	  .parts = 1 },
	{ .name = "grow-one", .text = "a ninth more servers, one by one", .kind = SCHEDULE_GROW, .fixed_only = true },
	{ .name = "shrink", .text = "a tenth of the servers leaves at once", .kind = SCHEDULE_SHRINK, .parts = 1 },
	{ .name = "shrink-one",
	  .text = "a tenth of the servers leaves, one by one",
	  .kind = SCHEDULE_SHRINK,
	  .fixed_only = true },
	{ .name = "weight", .text = "the weight of one server is halved, and restored", .kind = SCHEDULE_WEIGH },
	{ .name = "upgrade",
	  .text = "rolling upgrade in 20 steps",
	  .kind = SCHEDULE_ROLL,
	  .drains = true,
	  .parts = ROLL_PARTS },
	{ .name = "upgrade-one",
	  .text = "rolling upgrade, one by one",
	  .kind = SCHEDULE_ROLL,
	  .drains = true,
	  .fixed_only = true },
	{ .name = "restart",
	  .text = "rolling restart in 20 steps, servers save their sessions",
	  .kind = SCHEDULE_ROLL,
	  .fixed_only = true,
	  .saved = true,
	  .parts = ROLL_PARTS },
};
const size_t schedule_count = sizeof schedules / sizeof *schedules;

/* `change` to members first .. end-1, `step` of them at a time. Each is followed by `undo`, unless that is
 * SCHEDULE_QUIET. */
struct steps {
	enum schedule_change change, undo;
	size_t first, end, step;
};

static size_t make_steps(struct schedule_event *events, const struct steps *steps)
{
	size_t n = 0;

	for (size_t at = steps->first; at < steps->end; at += steps->step) {
		const size_t left = steps->end - at;
		const uint16_t count = (uint16_t)(left < steps->step ? left : steps->step);
		events[n++] = (struct schedule_event){ steps->change, (uint16_t)at, count };
		if (steps->undo != SCHEDULE_QUIET)
			events[n++] = (struct schedule_event){ steps->undo, (uint16_t)at, count };
	}
	return n;
}

static size_t part(size_t count, uint16_t parts)
{
	return parts && count >= parts ? count / parts : 1;
}

size_t schedule_begin(const struct schedule *schedule, struct schedule_event events[SCHEDULE_EVENTS_MAX],
		      struct member *members, size_t count)
{
	const size_t tenth = count / GROWTH_PARTS, step = part(count, schedule->parts), half = count / 2;
	const size_t growth_step = schedule->parts ? tenth : 1;
	const struct steps roll = { SCHEDULE_DOWN, SCHEDULE_BACK, 0, count, step };
	const struct steps fail = { SCHEDULE_DOWN, SCHEDULE_BACK, half, half + step, step };
	const struct steps grow = { SCHEDULE_ADD, SCHEDULE_QUIET, count - tenth, count, growth_step };
	const struct steps shrink = { SCHEDULE_REMOVE, SCHEDULE_QUIET, count - tenth, count, growth_step };
	const struct steps weigh = { SCHEDULE_LIGHTER, SCHEDULE_HEAVIER, half, half + 1, 1 };
	size_t n;

	members_init(members, count);
	switch (schedule->kind) {
	case SCHEDULE_ROLL:
		return make_steps(events, &roll);
	case SCHEDULE_FAIL:
		return make_steps(events, &fail);
	case SCHEDULE_GROW:
		for (size_t i = count - tenth; i < count; i++)
			members[i].state = MEMBER_ABSENT;
		n = make_steps(events, &grow);
		events[n] = (struct schedule_event){ .change = SCHEDULE_NODE };
		return n + 1;
	case SCHEDULE_SHRINK:
		return make_steps(events, &shrink);
	case SCHEDULE_WEIGH:
		return make_steps(events, &weigh);
	case SCHEDULE_NOTHING:
		break;
	}
	events[0] = (struct schedule_event){ .change = SCHEDULE_QUIET };
	return 1;
}

static void set_state(struct member *members, const struct schedule_event *event, enum member_state state)
{
	for (size_t i = 0; i < event->count; i++)
		members[event->first + i].state = state;
}

void schedule_happen(const struct schedule *schedule, const struct schedule_event *events, size_t event_count,
		     size_t at, struct member *members)
{
	const struct schedule_event *event = &events[at];

	switch (event->change) {
	case SCHEDULE_DOWN:
		set_state(members, event, MEMBER_DOWN);
		break;
	case SCHEDULE_BACK:
		set_state(members, event, MEMBER_UP);
		if (schedule->drains && at + 1 < event_count)
			set_state(members, event + 1, MEMBER_DRAINING);
		break;
	case SCHEDULE_ADD:
		set_state(members, event, MEMBER_UP);
		break;
	case SCHEDULE_REMOVE:
		set_state(members, event, MEMBER_ABSENT);
		break;
	case SCHEDULE_LIGHTER:
	case SCHEDULE_HEAVIER:
		for (size_t i = 0; i < event->count; i++)
			members[event->first + i].weight = event->change == SCHEDULE_LIGHTER ? 50 : 100;
		break;
	case SCHEDULE_QUIET:
	case SCHEDULE_NODE:
		break;
	}
}

const char *schedule_change_name(enum schedule_change change)
{
	static const char *const names[] = {
		[SCHEDULE_QUIET] = "quiet",     [SCHEDULE_DOWN] = "down",     [SCHEDULE_BACK] = "back",
		[SCHEDULE_ADD] = "add",         [SCHEDULE_REMOVE] = "remove", [SCHEDULE_LIGHTER] = "lighter",
		[SCHEDULE_HEAVIER] = "heavier", [SCHEDULE_NODE] = "node",
	};
	return names[change];
}

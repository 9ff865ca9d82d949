#include "tests/simulation/path/world.h"

#include <stdlib.h>

#include "tests/simulation/path/grace.h"

enum { SWEEP_MS = 10000, FIRST_MS = 3600000 };

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

void world_schedule(struct world *world, unsigned in_ms, enum event_kind kind, int number, uint32_t generation)
{
	struct event event = { world->now_ms + in_ms, world->event_order++, kind, number, generation };
	size_t at = world->event_count++;

	if (world->event_count == EVENTS)
		abort();
	while (at > 0 && is_before(&event, &world->events[(at - 1) / 2])) {
		world->events[at] = world->events[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	world->events[at] = event;
}

static struct event event_take(struct world *world)
{
	struct event first = world->events[0], last = world->events[--world->event_count];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= world->event_count)
			break;
		if (child + 1 < world->event_count && is_before(&world->events[child + 1], &world->events[child]))
			child++;
		if (!is_before(&world->events[child], &last))
			break;
		world->events[at] = world->events[child];
		at = child;
	}
	world->events[at] = last;
	return first;
}

static unsigned about(struct world *world, unsigned ms)
{
	return dice_between(&world->dice, ms / 4, ms * 2);
}

/* Servers that move before they verify, or stay, belong where sessions have one endpoint, or where the backend moves
 * them. */
static void servers_draw(struct world *world)
{
	static const enum server_kind follow[] = { SERVER_VERIFIES, SERVER_LESHAN, SERVER_RRC };
	static const enum server_kind home[] = { SERVER_VERIFIES, SERVER_STAYS, SERVER_PREMATURE };
	static const enum server_kind backend[] = { SERVER_VERIFIES, SERVER_RRC, SERVER_PREMATURE };

	world->traits.kinds[POOL_FOLLOW] = follow[dice_below(&world->dice, 3)];
	world->traits.kinds[POOL_HOME] = home[dice_below(&world->dice, 3)];
	world->traits.kinds[POOL_BACKEND] = backend[dice_below(&world->dice, 3)];
	world->traits.kinds[POOL_HASH] = SERVER_VERIFIES;
	world->traits.kinds[POOL_LEARNED] = follow[dice_below(&world->dice, 3)];
}

/* Servers that take no other address, at the endpoints of handshakes. Only flows know these, so nothing ends flows. */
static void rejects_draw(struct world *world)
{
	struct traits *traits = &world->traits;

	traits->rejects = true;
	traits->kinds[POOL_HOME] = SERVER_REJECTS;
	traits->restart_ms = traits->control_ms = 0;
	traits->idle_s = traits->cid_idle_s = 86400;
}

static void forgers_draw(struct world *world)
{
	struct dice *dice = &world->dice;
	struct traits *traits = &world->traits;

	traits->forgers = dice_between(dice, 1, ADDRESS_BYSTANDERS - ADDRESS_FORGERS);
	traits->forger_pause_ms = 1U << dice_between(dice, 6, 14);
	traits->restless_percent = dice_percent(dice, 60) ? dice_below(dice, 60) : 0;
	traits->timed_percent = dice_percent(dice, 50) ? dice_below(dice, 60) : 0;
	traits->insiders = dice_percent(dice, 50) ? dice_between(dice, 1, 2) : 0;
}

/* A quarter of all worlds are quiet: a device alone with its servers. */
static void traits_draw(struct world *world)
{
	struct dice *dice = &world->dice;
	struct traits *traits = &world->traits;

	memset(traits, 0, sizeof *traits);
	traits->devices = dice_between(dice, 3, DEVICES);
	traits->latency_ms = dice_between(dice, 2, 60);
	traits->move_percent = dice_between(dice, 20, 90);
	traits->restart_ms = dice_percent(dice, 70) ? dice_between(dice, 60000, 900000) : 0;
	traits->control_ms = dice_percent(dice, 70) ? dice_between(dice, 60000, 600000) : 0;
	traits->reboot_percent = dice_percent(dice, 50) ? 2 : 0;
	traits->large_percent = dice_percent(dice, 50) ? dice_between(dice, 5, 50) : 0;
	traits->late_percent = dice_percent(dice, 50) ? dice_between(dice, 5, 50) : 0;
	traits->max_flows = 2000;
	traits->v13_percent = dice_percent(dice, 30) ? 0 : dice_below(dice, 101);
	traits->resume_percent = dice_percent(dice, 50) ? 50 : 0;
	traits->unproven_rate = dice_percent(dice, 50)   ? 1250000
				: dice_percent(dice, 70) ? dice_between(dice, 5000, 200000)
							 : 0;
	traits->hasty = dice_percent(dice, 8);
	if (traits->hasty) {
		traits->large_percent = 100;
		traits->move_percent = dice_between(dice, 2, 15);
		if (dice_percent(dice, 50))
			traits->unproven_rate = dice_between(dice, 3000, 40000);
	}
	servers_draw(world);
	traits->idle_s = dice_percent(dice, 50) ? 300 : 30;
	traits->cid_idle_s = dice_percent(dice, 50) ? 86400 : dice_percent(dice, 50) ? 300 : 60;
	if (dice_percent(dice, 20))
		rejects_draw(world);
	if (dice_percent(dice, 25))
		return;
	if (dice_percent(dice, 50))
		traits->jitter_ms = dice_between(dice, 1, 300);
	if (dice_percent(dice, 40))
		traits->loss_percent = dice_between(dice, 1, 15);
	if (dice_percent(dice, 30))
		traits->duplicate_percent = dice_between(dice, 1, 10);
	if (dice_percent(dice, 20))
		traits->refuse_percent = dice_between(dice, 1, 5);
	if (dice_percent(dice, 30))
		traits->overlap_percent = dice_between(dice, 5, 50);
	traits->returns = dice_percent(dice, 50);
	if (dice_percent(dice, 20))
		traits->hello_rate = dice_between(dice, 1, 5);
	if (!traits->rejects && dice_percent(dice, 30))
		traits->max_flows = dice_between(dice, 8, 64);
	traits->swap_percent = dice_percent(dice, 30) ? dice_below(dice, 30) : 0;
	if (dice_percent(dice, 60))
		forgers_draw(world);
}

static void take_over(struct world *world, int number)
{
	const int other = number / POOL_MEMBERS * POOL_MEMBERS + (int)dice_below(&world->dice, POOL_MEMBERS);

	if (balancer_can_swap(&world->balancer, number, other) && backend_swap(world, number, other))
		trace_event(world, "members %d and %d take over from each other", number, other);
}

/* One change: wrong health, an administrator, a reload that adds or removes, a crash, another address or a
 * hand-over. */
static void change(struct world *world, int number)
{
	struct member *member = &world->balancer.members[number];

	switch (dice_below(&world->dice, 10)) {
	case 0:
		member->health = BACKEND_DOWN;
		break;
	case 1:
		member->admin = BACKEND_DRAIN;
		break;
	case 2:
		member->admin = BACKEND_MAINT;
		break;
	case 3:
		/* The first member stays, because a pool has at least one backend. */
		member->configured = number % POOL_MEMBERS == 0 || !member->configured;
		break;
	case 4:
		backend_crash(world, number);
		break;
	case 5:
		balancer_move(&world->balancer, number);
		break;
	default:
		take_over(world, number);
		break;
	}
}

/* A member that is not as usual is more likely to become so again. */
static void control(struct world *world)
{
	int number = (int)dice_below(&world->dice, MEMBERS);
	struct member *member = &world->balancer.members[number];
	bool usual = member->configured && member->health == BACKEND_UP && member->admin == BACKEND_READY;

	invariants_change_begins(world);
	if (!usual && dice_percent(&world->dice, 60)) {
		member->configured = true;
		member->health = BACKEND_UP;
		member->admin = BACKEND_READY;
	} else {
		change(world, number);
	}
	trace_event(world, "member %d: configured %d, health %s, %s", number, member->configured,
		    backend_health_name(member->health), backend_admin_name(member->admin));
	if (world->balancer.running)
		balancer_reload(world);
	invariants_change_ends(world);
	invariants_excuse_all(world);
	world_schedule(world, about(world, world->traits.control_ms), EVENT_CONTROL, 0, 0);
}

/* As many as wait at one socket, in the order in which they came. */
static void deliver_batch(struct world *world, int first)
{
	struct datagram *datagrams = world->network.datagrams, *last = &datagrams[first], *next;
	unsigned count = 1;

	last->next = NOBODY;
	while (count < IO_BATCH && world->event_count && world->events[0].at_ms == world->now_ms &&
	       world->events[0].kind == EVENT_DATAGRAM) {
		next = &datagrams[world->events[0].number];
		if (next->leg != last->leg ||
		    (last->leg == LEG_LISTENER ? network_listener(next->service) != network_listener(last->service)
					       : next->to.port != last->to.port))
			break;
		last->next = event_take(world).number;
		next->next = NOBODY;
		last = next;
		count++;
	}
	world->steps += count - 1;
	for (int i = first; i != NOBODY; i = datagrams[i].next)
		trace_datagram(world, &datagrams[i]);
	if (world->balancer.running)
		balancer_receive(world, first);
	for (int i = first, then; i != NOBODY; i = then) {
		then = datagrams[i].next;
		if (datagrams[i].leg == LEG_LISTENER)
			forger_overhear(world, &datagrams[i]);
		else
			forger_overhear_endpoint(world, &datagrams[i].to);
		network_drop(world, &datagrams[i]);
	}
}

static void deliver(struct world *world, int number)
{
	struct datagram *datagram = network_arrive(world, number);

	switch (datagram->leg) {
	case LEG_LISTENER:
	case LEG_ENDPOINT:
		deliver_batch(world, number);
		return;
	case LEG_BACKEND:
		trace_datagram(world, datagram);
		backend_receive(world, datagram);
		forger_overhear_server(world, datagram);
		break;
	case LEG_DEVICE:
		trace_datagram(world, datagram);
		if (world->holder[datagram->address] != NOBODY)
			device_receive(world, world->holder[datagram->address], datagram);
		else
			forger_receive(world, datagram);
		break;
	}
	network_drop(world, datagram);
}

static void happen(struct world *world, const struct event *event)
{
	switch (event->kind) {
	case EVENT_DATAGRAM:
		deliver(world, event->number);
		break;
	case EVENT_DEVICE:
		device_wake(world, event->number, event->generation);
		break;
	case EVENT_NOTIFY:
		backend_notify(world, event->number, event->generation);
		break;
	case EVENT_LATE:
		backend_answer_late(world, event->number, event->generation);
		break;
	case EVENT_FLIGHT:
		backend_repeat_flight(world, event->number, event->generation);
		break;
	case EVENT_FORGER:
		forger_wake(world);
		break;
	case EVENT_SWEEP:
		if (world->balancer.running)
			balancer_sweep(world);
		world_schedule(world, SWEEP_MS, EVENT_SWEEP, 0, 0);
		break;
	case EVENT_CONTROL:
		control(world);
		break;
	case EVENT_RESTART:
		trace_event(world, "restart");
		balancer_stop(world);
		world_schedule(world, dice_below(&world->dice, 500), EVENT_START, 0, 0);
		world_schedule(world, about(world, world->traits.restart_ms), EVENT_RESTART, 0, 0);
		break;
	case EVENT_START:
		balancer_start(world);
		break;
	}
}

static void begin(struct world *world, uint64_t seed, bool traced)
{
	memset(world, 0, sizeof *world);
	world->seed = seed;
	world->traced = traced;
	world->dice.state = seed * UINT64_C(0x9e3779b97f4a7c15);
	traits_draw(world);
	/* So that the worker's milliseconds wrap within some worlds. */
	world->now_ms = (UINT64_C(1) << 32) - dice_below(&world->dice, FIRST_MS);
	for (int i = 0; i < ADDRESSES; i++)
		world->holder[i] = NOBODY;
	trace_event(
		world,
		"traits: idle_s %u cid_idle_s %u max_flows %u unproven_rate %u forgers %u loss %u refuse %u jitter %u",
		world->traits.idle_s, world->traits.cid_idle_s, world->traits.max_flows, world->traits.unproven_rate,
		world->traits.forgers, world->traits.loss_percent, world->traits.refuse_percent,
		world->traits.jitter_ms);
	network_begin(world);
	invariants_begin(world);
	balancer_begin(world);
	for (int i = 0; i < (int)world->traits.devices; i++)
		device_begin(world, i);
	world_schedule(world, SWEEP_MS, EVENT_SWEEP, 0, 0);
	if (world->traits.forgers)
		world_schedule(world, 1000, EVENT_FORGER, 0, 0);
	if (world->traits.control_ms)
		world_schedule(world, about(world, world->traits.control_ms), EVENT_CONTROL, 0, 0);
	if (world->traits.restart_ms)
		world_schedule(world, about(world, world->traits.restart_ms), EVENT_RESTART, 0, 0);
}

const char *world_run(struct world *world, uint64_t seed, uint64_t steps, bool traced)
{
	begin(world, seed, traced);
	while (world->steps < steps && !world->broken) {
		struct event event = event_take(world);

		world->steps++;
		world->now_ms = event.at_ms;
		happen(world, &event);
		invariants_check(world);
		grace_end();
	}
	balancer_end(world);
	return world->broken;
}

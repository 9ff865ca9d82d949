/* When a device is answered:
 *
 *   9  A device is answered after this many of its datagrams, counted from its last move, a restart, a change of the
 *      configuration, or its first datagram:
 *
 *                                  handshake flight    answer of at most twice the request    answer of 1,200 octets
 *        a quiet world                    1                           2                                2
 *        a contested one                  3                           4                                6
 *        under attack, with loss         30                          30                               30
 *
 *      Quiet: devices are alone with their servers, which also answer late and send notifications of their own.
 *      Contested: reordering, duplicates, moves while something is under way, returns to earlier addresses, two devices
 *      that swap theirs. Without allowances large answers come after 30, and so do all of devices that hardly sleep.
 * Who sends more often than a device can take its places from it: how many exchanges fail under attack is counted in
 * tally.c. Not promised where max_flows is less than the number of flows, or while the session's backend is not in the
 * configuration, is in maint, or has lost the session.
 *
 *  10  So a session of a living backend never ends. A device begins another only by its own decision, or if its backend
 *      was out of reach for UNSERVED_REPEATS of its datagrams.
 *
 *  11  A device that its backend could reach before a change of the configuration, of addresses or of who owns which
 *      id can be reached after it, by that backend or by the one that took over from it. */
#include "tests/simulation/path/world.h"

enum { TRIES = 5 /* RFC 7252: MAX_RETRANSMIT and the first */ };

static const unsigned limits[WORLD_CLASSES][TRIES_KINDS] = {
	[WORLD_QUIET] = { 1, 2, 2 },
	[WORLD_CONTESTED] = { 3, 4, 6 },
	[WORLD_ATTACKED] = { 30, 30, 30 },
	[WORLD_LOSSY] = { 30, 30, 30 },
};

unsigned invariants_most[WORLD_CLASSES][TRIES_KINDS];

static enum tries_kind kind_of(const struct device *device)
{
	if (device->state != DEVICE_READY)
		return TRIES_FLIGHT;
	return device->want > 2 * device->octets ? TRIES_LARGE : TRIES_SMALL;
}

static bool is_served(const struct world *world, const struct device *device)
{
	const struct session *session = &world->sessions[device->session == NOBODY ? 0 : device->session];
	int pool = balancer_pool(device->service);

	if (!world->balancer.running || device->interrupted)
		return false;
	if (device->state == DEVICE_READY && device->session != NOBODY) {
		if (pool == POOL_LEARNED && !world->invariants.learned[device->session])
			return false;
		if (pool != POOL_HASH)
			return session->state == SESSION_ESTABLISHED &&
			       balancer_serves(&world->balancer, session->member);
	} else if (world->traits.hello_rate && pool != POOL_PLAIN) {
		return false;
	}
	for (int i = pool * POOL_MEMBERS; i < (pool + 1) * POOL_MEMBERS; i++)
		if (balancer_accepts(&world->balancer.members[i]))
			return true;
	return false;
}

void invariants_tries(struct world *world, struct device *device)
{
	enum world_class class = world->invariants.class;
	unsigned most = limits[class][kind_of(device)];

	if (!is_served(world, device)) {
		device->tries = 0;
		device->unserved++;
		return;
	}
	if (world->traits.hasty || (kind_of(device) == TRIES_LARGE && world->traits.unproven_rate < ENOUGH_RATE))
		most = 30;
	device->tries++;
	if (device->tries == TRIES + 1)
		tally_exchange(world, device, false);
	trace_event(world, "device %d tries %u", (int)(device - world->devices), device->tries);
	if (class != WORLD_CRAMPED && !device->insider)
		invariants_expect(world, device->tries <= most,
				  device->state == DEVICE_READY ? "9: a device is not answered"
								: "9: a handshake does not go on");
}

void invariants_answered(struct world *world, const struct device *device)
{
	unsigned *most = &invariants_most[world->invariants.class][kind_of(device)];

	if (device->tries <= TRIES)
		tally_exchange(world, device, true);
	if (device->tries > *most)
		*most = device->tries;
}

void invariants_excuse(struct world *world, struct device *device)
{
	(void)world;
	device->tries = 0;
}

void invariants_excuse_all(struct world *world)
{
	for (int i = 0; i < DEVICES; i++)
		world->devices[i].tries = 0;
}

static bool is_reached(const struct world *world, const struct session *session)
{
	return world->balancer.running && session->state == SESSION_ESTABLISHED &&
	       flows_find_end(world->balancer.flows, &session->peer, &world->balancer.members[session->member].addr);
}

void invariants_change_begins(struct world *world)
{
	for (int slot = 0; slot < SESSIONS; slot++)
		world->invariants.reached[slot] = is_reached(world, &world->sessions[slot]);
}

void invariants_change_ends(struct world *world)
{
	for (int slot = 0; slot < SESSIONS; slot++) {
		const struct session *session = &world->sessions[slot];

		if (session->state == SESSION_NONE || !balancer_serves(&world->balancer, session->member))
			limits_doubt(&world->invariants.proofs[slot]);
		if (world->invariants.reached[slot] && session->state == SESSION_ESTABLISHED)
			invariants_expect(world, is_reached(world, session), "11: a device cannot be reached any more");
	}
}

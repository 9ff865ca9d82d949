/* When a device is answered:
 *
 *   9  A device is answered after this many of its datagrams, counted from its last move, a restart, a change of the
 *      configuration, or its first datagram:
 *
 *                                  handshake flight    answer of at most twice the request    answer of 1,200 octets
 *        a quiet world                    1                           2                                3
 *        a contested one                  3                           4                                6
 *        packets are lost                30                          30                               30
 *
 *      Quiet: devices are alone with their servers, which also answer late and send notifications of their own.
 *      Contested: forgers, reordering, duplicates, moves while something is under way, returns to earlier addresses.
 *      Not promised where max_flows is less than the number of flows, or while the session's backend is not in the
 *      configuration, is in maint, or has lost the session.
 *
 *  10  So a session of a living backend never ends. A device begins another only by its own decision, or if its backend
 *      was out of reach for UNSERVED_REPEATS of its datagrams. */
#include "tests/simulation/path/world.h"

static const unsigned limits[WORLD_CLASSES][TRIES_KINDS] = {
	[WORLD_QUIET] = { 1, 2, 3 },
	[WORLD_CONTESTED] = { 3, 4, 6 },
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

	if (!world->balancer.running)
		return false;
	if (device->state == DEVICE_READY && device->session != NOBODY) {
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

	if (!is_served(world, device)) {
		device->tries = 0;
		device->unserved++;
		return;
	}
	device->tries++;
	trace_event(world, "device %d tries %u", (int)(device - world->devices), device->tries);
	if (class != WORLD_CRAMPED)
		invariants_expect(world, device->tries <= limits[class][kind_of(device)],
				  device->state == DEVICE_READY ? "9: a device is not answered"
								: "9: a handshake does not go on");
}

void invariants_answered(struct world *world, const struct device *device)
{
	unsigned *most = &invariants_most[world->invariants.class][kind_of(device)];

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

#include "tests/simulation/path/forger.h"

#include "tests/simulation/path/forger_priv.h"
#include "tests/simulation/path/world.h"

/* Many addresses at once, each with two records. */
static void burst(struct world *world)
{
	for (unsigned i = 0; i < world->traits.forgers; i++)
		for (int j = 0; j < 2; j++)
			forge_record(world, ADDRESS_FORGERS + (int)i);
}

static void act(struct world *world)
{
	const int source = forger_any_source(world);
	const unsigned drawn = dice_below(&world->dice, 32);

	if (drawn == 31)
		forge_anything(world);
	else if (drawn == 30)
		forge_cids(world);
	else if (drawn >= 28)
		forge_handshake(world);
	else if (!forger_has_seen(world))
		return;
	else if (drawn < 14)
		forge_record(world, source);
	else if (drawn < 17)
		forge_replay(world, source);
	else if (drawn < 19)
		forge_flight(world, source);
	else if (drawn < 22)
		forge_beside(world, source);
	else if (drawn < 23)
		forge_clear(world);
	else if (drawn < 24)
		forge_hello(world);
	else if (drawn < 25)
		forge_service(world);
	else if (drawn < 26)
		forge_bad(world);
	else if (drawn < 27)
		forge_reply(world);
	else
		burst(world);
}

void forger_wake(struct world *world)
{
	act(world);
	world_schedule(world, dice_below(&world->dice, world->traits.forger_pause_ms), EVENT_FORGER, 0, 0);
}

static void restless(struct world *world)
{
	while (dice_percent(&world->dice, world->traits.restless_percent))
		act(world);
}

static bool is_devices(const struct world *world, const struct datagram *datagram)
{
	return world->traits.forgers && datagram->address != NOBODY && world->holder[datagram->address] != NOBODY;
}

void forger_overhear(struct world *world, const struct datagram *datagram)
{
	struct forgers *forgers = &world->forgers;
	unsigned at = forgers->seen_count % FORGER_SEEN;

	if (!is_devices(world, datagram))
		return;
	if (datagram->shape.has_cid) {
		forgers->seen[at].cid = datagram->shape.cid;
		forgers->seen[at].v13 = world->devices[world->holder[datagram->address]].v13;
		forgers->seen[at].service = datagram->service;
		forgers->seen[at].address = datagram->address;
		forgers->seen_count++;
	}
	restless(world);
}

void forger_overhear_server(struct world *world, const struct datagram *datagram)
{
	struct forgers *forgers = &world->forgers;
	unsigned at = forgers->had_count % FORGER_SEEN;

	if (!is_devices(world, datagram))
		return;
	forgers->had[at].wire = datagram->wire;
	forgers->had[at].service = datagram->service;
	forgers->had_count++;
}

void forger_overhear_endpoint(struct world *world, const struct addr *endpoint)
{
	struct forgers *forgers = &world->forgers;

	if (!world->traits.forgers)
		return;
	forgers->endpoints[forgers->endpoint_count++ % 8] = *endpoint;
	restless(world);
}

void forger_expect_downlink(struct world *world, const struct datagram *datagram)
{
	const struct session *session = backend_session(world, datagram->session);
	unsigned count = dice_between(&world->dice, 1, world->traits.forgers * 2 + 1);

	if (!session || !world->traits.forgers || !dice_percent(&world->dice, world->traits.timed_percent))
		return;
	for (unsigned i = 0; i < count; i++) {
		struct wire wire = { 0 };

		forger_add(world, &wire, &session->cid, session->v13, WIRE_LEAST);
		network_send_up(world, &wire, forger_any_source(world), world->devices[session->device].service,
				dice_percent(&world->dice, 50) ? 0 : dice_below(&world->dice, 5));
	}
}

/* The flight of a handshake that leads nowhere, with the CID of its ServerHello or with another. */
static void go_on(struct world *world, const struct datagram *datagram, const struct wire_cid *cid)
{
	struct wire wire = { 0 };
	unsigned at;

	if (dice_percent(&world->dice, 50))
		wire_add_key_exchange(&wire, 0);
	if (dice_percent(&world->dice, 50))
		wire_add_change_cipher(&wire);
	if (forger_has_seen(world) && dice_percent(&world->dice, 50)) {
		at = forger_any_of(world, world->forgers.seen_count);
		forger_add(world, &wire, &world->forgers.seen[at].cid, world->forgers.seen[at].v13, WIRE_LEAST);
	} else {
		forger_add(world, &wire, cid, false, WIRE_LEAST);
	}
	forger_send(world, &wire, datagram->address, datagram->service);
}

void forger_receive(struct world *world, const struct datagram *datagram)
{
	struct wire_hello hello = { .has_cid = true, .has_cookie = true };
	struct wire_record record;
	struct wire_part part;
	struct wire wire = { 0 };
	size_t at = 0, inside = 0;

	if (!world->traits.forgers || datagram->address >= ADDRESS_BYSTANDERS ||
	    !wire_read(&datagram->wire, &at, 0, &record) || !wire_read_part(&record, &inside, &part))
		return;
	if (wire_read_verify_request(&part, &hello.cookie)) {
		if (dice_percent(&world->dice, 30))
			return;
		hello.v13 = part.type == WIRE_SERVER_HELLO;
		hello.random = forger_random(datagram->address);
		hello.ticket = dice_percent(&world->dice, 40) ? dice_roll(&world->dice) : 0;
		wire_add_client_hello(&wire, &hello);
		forger_send(world, &wire, datagram->address, datagram->service);
	} else if (wire_read_server_hello(&part, &hello) && hello.has_cid && hello.cid.len) {
		for (unsigned i = dice_below(&world->dice, 4); i > 0; i--)
			go_on(world, datagram, &hello.cid);
	}
}

void forger_at_handshake(struct world *world, const struct device *device)
{
	if (!device->insider || !world->traits.forgers || !forger_has_seen(world))
		return;
	for (unsigned i = dice_below(&world->dice, 4); i > 0; i--) {
		unsigned at = forger_any_of(world, world->forgers.seen_count);
		struct wire wire = { 0 };

		if (dice_percent(&world->dice, 50))
			wire_add_change_cipher(&wire);
		forger_add(world, &wire, &world->forgers.seen[at].cid, world->forgers.seen[at].v13, WIRE_LEAST);
		network_send_up(world, &wire, device->address, world->forgers.seen[at].service, 0);
	}
}

#include "tests/simulation/path/forger.h"

#include "tests/simulation/path/world.h"

static int any_source(struct world *world)
{
	if (dice_percent(&world->dice, 70))
		return ADDRESS_FORGERS + (int)dice_below(&world->dice, world->traits.forgers);
	return (int)dice_between(&world->dice, ADDRESS_BYSTANDERS, ADDRESSES - 1);
}

static unsigned any_delay(struct world *world)
{
	unsigned legs = dice_below(&world->dice, 4);

	return legs * dice_below(&world->dice, world->traits.latency_ms + 2);
}

static unsigned any_seen(struct world *world)
{
	unsigned count = world->forgers.seen_count;

	return dice_below(&world->dice, count < FORGER_SEEN ? count : FORGER_SEEN);
}

/* Sends a record with an overheard CID. `flight`: behind records of a handshake. */
static void forge_record(struct world *world, bool flight)
{
	unsigned at = any_seen(world);
	const struct wire_cid cid = world->forgers.seen[at].cid;
	const struct wire_message message = { WIRE_REQUEST, (uint32_t)dice_roll(&world->dice), WIRE_OCTETS };
	struct wire wire = { 0 };
	uint64_t sequence;
	size_t octets;
	int source;

	if (world->forgers.seen[at].content != CONTENT_CID)
		return;
	if (flight) {
		wire_add_key_exchange(&wire, (uint16_t)dice_below(&world->dice, DEVICES));
		wire_add_change_cipher(&wire);
	}
	source = any_source(world);
	sequence = dice_below(&world->dice, 100000);
	octets = dice_between(&world->dice, WIRE_LEAST, 300);
	wire_add_protected(&wire, 0, &cid, dice_roll(&world->dice), sequence, &message, octets);
	network_send_up(world, &wire, source, world->forgers.seen[at].service, CONTENT_CID, &cid, any_delay(world));
}

static void replay(struct world *world)
{
	unsigned at = any_seen(world);
	int source = any_source(world);

	network_send_up(world, &world->forgers.seen[at].wire, source, world->forgers.seen[at].service,
			world->forgers.seen[at].content, &world->forgers.seen[at].cid, any_delay(world));
}

/* Sends in the name of a device, from its own address. */
static void forge_hello(struct world *world)
{
	const struct device *device = &world->devices[dice_below(&world->dice, world->traits.devices)];
	uint64_t cookie = dice_roll(&world->dice), random = dice_roll(&world->dice);
	struct wire wire = { 0 };

	wire_add_hello(&wire, random, dice_percent(&world->dice, 50) ? &cookie : NULL);
	network_send_up(world, &wire, device->address, device->service, CONTENT_HELLO, NULL, any_delay(world));
}

/* Sends CIDs of no session that carry the id of a server. */
static void forge_cids(struct world *world)
{
	int service = (int)dice_below(&world->dice, 5), pool = balancer_pool(service);
	const struct cid_layout *layout = balancer_layout(pool);
	struct server_id id = balancer_server_id(pool * POOL_MEMBERS + (int)dice_below(&world->dice, POOL_MEMBERS));
	const struct wire_message message = { WIRE_REQUEST, 1, 1 };

	for (unsigned i = dice_between(&world->dice, 1, 20); i > 0; i--) {
		struct wire_cid cid = { .len = layout->length };
		uint64_t random = dice_roll(&world->dice);
		struct wire wire = { 0 };

		memcpy(cid.octets, &random, sizeof cid.octets);
		if (layout->scheme == CID_LAYOUT_ID)
			memcpy(cid.octets + layout->lbcid.offset, id.octets, id.len);
		wire_add_protected(&wire, 0, &cid, random, 1, &message, WIRE_LEAST);
		network_send_up(world, &wire, any_source(world), service, CONTENT_CID, &cid, 0);
	}
}

/* Sends noise, or an overheard datagram with some octets changed or its end cut off. */
static void forge_anything(struct world *world)
{
	struct wire wire = { 0 };
	int source;

	if (world->forgers.seen_count && dice_percent(&world->dice, 80))
		wire = world->forgers.seen[any_seen(world)].wire;
	else
		wire.len = dice_below(&world->dice, 100);
	for (unsigned i = dice_below(&world->dice, 4); i > 0 && wire.len; i--) {
		unsigned at = dice_below(&world->dice, (unsigned)wire.len);

		wire.data[at] = (uint8_t)dice_roll(&world->dice);
	}
	if (wire.len && dice_percent(&world->dice, 30))
		wire.len = dice_below(&world->dice, (unsigned)wire.len);
	source = any_source(world);
	network_send_up(world, &wire, source, (int)dice_below(&world->dice, SERVICES), CONTENT_OTHER, NULL, 0);
}

/* Sends a reply from an address that is not a backend's. */
static void forge_reply(struct world *world)
{
	struct forgers *forgers = &world->forgers;
	struct datagram *datagram;

	if (!forgers->endpoint_count)
		return;
	datagram = network_take(world);
	datagram->from = network_address(any_source(world));
	datagram->to =
		forgers->endpoints[dice_below(&world->dice, forgers->endpoint_count < 8 ? forgers->endpoint_count : 8)];
	wire_add_verify_request(&datagram->wire, 0);
	network_send(world, datagram, LEG_ENDPOINT, 0);
}

static void act(struct world *world)
{
	switch (dice_below(&world->dice, 16)) {
	default:
		if (world->forgers.seen_count)
			forge_record(world, false);
		return;
	case 10:
		if (world->forgers.seen_count)
			forge_record(world, true);
		return;
	case 11:
		if (world->forgers.seen_count)
			replay(world);
		return;
	case 12:
		forge_hello(world);
		return;
	case 13:
		forge_cids(world);
		return;
	case 14:
		forge_anything(world);
		return;
	case 15:
		forge_reply(world);
		return;
	}
}

void forger_wake(struct world *world)
{
	act(world);
	world_schedule(world, dice_below(&world->dice, world->traits.forger_pause_ms), EVENT_FORGER, 0, 0);
}

void forger_overhear(struct world *world, const struct datagram *datagram)
{
	struct forgers *forgers = &world->forgers;
	unsigned at = forgers->seen_count % FORGER_SEEN;

	if (!world->traits.forgers || world->holder[datagram->address] == NOBODY)
		return;
	forgers->seen[at].wire = datagram->wire;
	forgers->seen[at].content = datagram->content;
	forgers->seen[at].cid = datagram->cid;
	forgers->seen[at].service = datagram->service;
	forgers->seen_count++;
	while (dice_percent(&world->dice, world->traits.restless_percent))
		act(world);
}

void forger_overhear_endpoint(struct world *world, const struct addr *endpoint)
{
	struct forgers *forgers = &world->forgers;

	if (!world->traits.forgers)
		return;
	forgers->endpoints[forgers->endpoint_count++ % 8] = *endpoint;
	if (dice_percent(&world->dice, world->traits.restless_percent))
		act(world);
}

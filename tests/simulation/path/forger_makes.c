/* What forgers send. */
#include "tests/simulation/path/forger_priv.h"

#include "tests/simulation/path/world.h"

static int any_forger(struct world *world)
{
	return ADDRESS_FORGERS + (int)dice_below(&world->dice, world->traits.forgers);
}

static const struct device *any_insider(struct world *world)
{
	const unsigned insiders = world->traits.insiders, honest = world->traits.devices - insiders;

	return insiders ? &world->devices[honest + dice_below(&world->dice, insiders)] : NULL;
}

/* Mostly a forger's own address, sometimes another's. */
int forger_any_source(struct world *world)
{
	const struct device *insider = any_insider(world);
	const unsigned drawn = dice_below(&world->dice, 100);

	if (drawn < 65 || (!insider && drawn < 80))
		return any_forger(world);
	if (drawn < 80)
		return insider->address;
	return (int)dice_between(&world->dice, ADDRESS_BYSTANDERS, ADDRESS_BACKENDS - 1);
}

/* Of the handshakes that they begin from an address, so that the cookie which comes there is good. */
uint64_t forger_random(int address)
{
	return UINT64_C(0x666f72676572) * (unsigned)(address + 1);
}

static unsigned any_delay(struct world *world)
{
	unsigned legs = dice_below(&world->dice, 4);

	return legs * dice_below(&world->dice, world->traits.latency_ms + 2);
}

bool forger_has_seen(const struct world *world)
{
	return world->forgers.seen_count > 0;
}

unsigned forger_any_of(struct world *world, unsigned count)
{
	return dice_below(&world->dice, count < FORGER_SEEN ? count : FORGER_SEEN);
}

void forger_add(struct world *world, struct wire *wire, const struct wire_cid *cid, bool v13, size_t least)
{
	const struct wire_message message = { WIRE_REQUEST, (uint32_t)dice_roll(&world->dice), WIRE_OCTETS };
	const struct wire_seal seal = { v13,
					WIRE_DATA,
					v13 ? (uint8_t)(2 + dice_below(&world->dice, 2)) : 1,
					cid,
					dice_roll(&world->dice),
					1000 + dice_below(&world->dice, 60000) };

	wire_add_protected(wire, &seal, &message, dice_between(&world->dice, (unsigned)least, 300));
}

void forger_send(struct world *world, const struct wire *wire, int source, int service)
{
	network_send_up(world, wire, source, service, any_delay(world));
}

/* A record with an overheard CID. */
void forge_record(struct world *world, int source)
{
	unsigned at = forger_any_of(world, world->forgers.seen_count);
	struct wire wire = { 0 };

	forger_add(world, &wire, &world->forgers.seen[at].cid, world->forgers.seen[at].v13, WIRE_LEAST);
	forger_send(world, &wire, source, world->forgers.seen[at].service);
}

/* The same behind records of a handshake. */
void forge_flight(struct world *world, int source)
{
	unsigned at = forger_any_of(world, world->forgers.seen_count);
	struct wire wire = { 0 };

	if (dice_percent(&world->dice, 70))
		wire_add_key_exchange(&wire, (uint16_t)dice_below(&world->dice, DEVICES));
	if (!wire.len || dice_percent(&world->dice, 70))
		wire_add_change_cipher(&wire);
	forger_add(world, &wire, &world->forgers.seen[at].cid, world->forgers.seen[at].v13, WIRE_LEAST);
	forger_send(world, &wire, source, world->forgers.seen[at].service);
}

static void add_clear(struct world *world, struct wire *wire)
{
	static const uint8_t types[] = { WIRE_CHANGE_CIPHER, WIRE_ALERT, WIRE_HANDSHAKE, WIRE_DATA, 24, WIRE_ACK_TYPE };
	const unsigned drawn = dice_below(&world->dice, sizeof types + 2);
	struct wire_hello hello = { .random = dice_roll(&world->dice), .has_cid = true };

	if (drawn < sizeof types)
		wire_add_noise(wire, types[drawn], dice_roll(&world->dice), drawn == 1 ? 2 : 12);
	else if (drawn == sizeof types)
		wire_add_client_hello(wire, &hello);
	else
		wire_add_hello_fragment(wire, hello.random, 20);
}

/* Records in the clear of every type in every place beside records with a CID. Also from the device's own address. */
void forge_beside(struct world *world, int source)
{
	unsigned at = forger_any_of(world, world->forgers.seen_count), records = dice_between(&world->dice, 1, 3);
	unsigned cid_at = dice_below(&world->dice, records + 1);
	struct wire wire = { 0 };

	for (unsigned i = 0; i <= records; i++) {
		if (i == cid_at)
			forger_add(world, &wire, &world->forgers.seen[at].cid, world->forgers.seen[at].v13, WIRE_LEAST);
		else
			add_clear(world, &wire);
	}
	if (dice_percent(&world->dice, 30))
		source = world->forgers.seen[at].address;
	forger_send(world, &wire, source, world->forgers.seen[at].service);
}

/* One or more records in the clear without any CID, in a device's name. */
void forge_clear(struct world *world)
{
	unsigned at = forger_any_of(world, world->forgers.seen_count);
	struct wire wire = { 0 };

	add_clear(world, &wire);
	forger_send(world, &wire, world->forgers.seen[at].address, world->forgers.seen[at].service);
}

void forge_replay(struct world *world, int source)
{
	unsigned at = forger_any_of(world, world->forgers.had_count);

	if (world->forgers.had_count)
		forger_send(world, &world->forgers.had[at].wire, source, world->forgers.had[at].service);
}

/* In the name of a device, from its own address. */
void forge_hello(struct world *world)
{
	const struct device *device = &world->devices[dice_below(&world->dice, world->traits.devices)];
	struct wire_hello hello = { .v13 = dice_percent(&world->dice, 50), .random = dice_roll(&world->dice) };
	struct wire wire = { 0 };

	hello.has_cookie = dice_percent(&world->dice, 50);
	hello.cookie = dice_roll(&world->dice);
	wire_add_client_hello(&wire, &hello);
	forger_send(world, &wire, device->address, device->service);
}

/* From a device's address, with its own CID, to another service address. */
void forge_service(struct world *world)
{
	unsigned at = forger_any_of(world, world->forgers.seen_count);
	const int pool = balancer_pool(world->forgers.seen[at].service);
	struct wire wire = { 0 };
	int service;

	do
		service = (int)dice_below(&world->dice, SERVICES);
	while (balancer_pool(service) != pool);
	forger_add(world, &wire, &world->forgers.seen[at].cid, world->forgers.seen[at].v13, WIRE_LEAST);
	forger_send(world, &wire, world->forgers.seen[at].address, service);
}

void forge_bad(struct world *world)
{
	unsigned at = forger_any_of(world, world->forgers.seen_count);
	int service = world->forgers.seen[at].service;
	struct wire wire = { 0 };

	if (dice_percent(&world->dice, 20)) {
		service = 5;
		wire_add_plain(&wire, &(struct wire_message){ WIRE_REQUEST, 1, WIRE_LEAST }, 0, WIRE_LEAST);
	} else if (dice_percent(&world->dice, 70)) {
		forger_add(world, &wire, &world->forgers.seen[at].cid, world->forgers.seen[at].v13, WIRE_LEAST);
	} else {
		add_clear(world, &wire);
	}
	network_send_bad(world, &wire, dice_below(&world->dice, BADS), service);
}

/* A handshake that is begun and not ended: forger_receive() goes on with it. With a ticket it is a resumption. */
void forge_handshake(struct world *world)
{
	struct wire_hello hello = { .v13 = dice_percent(&world->dice, 40), .has_cid = dice_percent(&world->dice, 80) };
	int service = (int)dice_below(&world->dice, SERVICES), source = any_forger(world);
	struct wire wire = { 0 };

	if (balancer_pool(service) == POOL_PLAIN)
		return;
	if (dice_percent(&world->dice, 40))
		hello.ticket = dice_roll(&world->dice);
	if (dice_percent(&world->dice, 20))
		source = forger_any_source(world);
	hello.random = forger_random(source);
	if (dice_percent(&world->dice, 20))
		wire_add_hello_fragment(&wire, hello.random, dice_between(&world->dice, 1, 60));
	else
		wire_add_client_hello(&wire, &hello);
	forger_send(world, &wire, source, service);
}

/* CIDs of no session that carry the id of a server. */
void forge_cids(struct world *world)
{
	int service = (int)dice_below(&world->dice, SERVICES), pool = balancer_pool(service);
	const struct cid_layout *layout = balancer_layout(pool);
	struct server_id id = balancer_server_id(pool * POOL_MEMBERS + (int)dice_below(&world->dice, POOL_MEMBERS));

	if (pool == POOL_PLAIN)
		return;
	for (unsigned i = dice_between(&world->dice, 1, 20); i > 0; i--) {
		struct wire_cid cid = { .len = layout->length };
		uint64_t random = dice_roll(&world->dice);
		struct wire wire = { 0 };

		memcpy(cid.octets, &random, sizeof cid.octets);
		if (layout->scheme == CID_LAYOUT_ID)
			memcpy(cid.octets + layout->lbcid.offset, id.octets, id.len);
		forger_add(world, &wire, &cid, false, WIRE_LEAST);
		network_send_up(world, &wire, forger_any_source(world), service, 0);
	}
}

/* Noise, or what a server has had with some octets changed or its end cut off. */
void forge_anything(struct world *world)
{
	struct wire wire = { 0 };

	if (world->forgers.had_count && dice_percent(&world->dice, 80))
		wire = world->forgers.had[forger_any_of(world, world->forgers.had_count)].wire;
	else
		wire.len = dice_below(&world->dice, 100);
	for (unsigned i = dice_below(&world->dice, 4); i > 0 && wire.len; i--) {
		unsigned at = dice_below(&world->dice, (unsigned)wire.len);

		wire.data[at] = (uint8_t)dice_roll(&world->dice);
	}
	if (wire.len && dice_percent(&world->dice, 30))
		wire.len = dice_below(&world->dice, (unsigned)wire.len);
	network_send_up(world, &wire, forger_any_source(world), (int)dice_below(&world->dice, SERVICES), 0);
}

/* A reply from an address that is not a backend's. */
void forge_reply(struct world *world)
{
	struct forgers *forgers = &world->forgers;
	struct datagram *datagram;

	if (!forgers->endpoint_count)
		return;
	datagram = network_take(world);
	datagram->from = network_address(forger_any_source(world));
	datagram->to =
		forgers->endpoints[dice_below(&world->dice, forgers->endpoint_count < 8 ? forgers->endpoint_count : 8)];
	wire_add_verify_request(&datagram->wire, false, 0);
	network_send(world, datagram, LEG_ENDPOINT, 0);
}

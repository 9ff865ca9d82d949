#include "tests/simulation/path/device.h"

#include "tests/simulation/path/world.h"

enum { AGAIN_MS = 3000, FLIGHT_REPEATS = 5, UNSERVED_REPEATS = 6, REQUEST_LEAST = WIRE_LEAST, LARGE = 1200 };

uint64_t device_key(int device, uint64_t client_random, uint64_t server_random)
{
	const struct siphash_key secret = { UINT64_C(0x736563726574) + (uint64_t)device, client_random };

	return siphash24(&secret, &server_random, sizeof server_random);
}

static void timer_set(struct world *world, struct device *device, unsigned in_ms)
{
	world_schedule(world, in_ms, EVENT_DEVICE, (int)(device - world->devices), ++device->timer);
}

static int previous_of(const struct device *device)
{
	return device->before[(device->moves + DEVICE_BEFORE - 1) % DEVICE_BEFORE];
}

static bool was_there(const struct device *device, int address)
{
	for (int i = 0; i < DEVICE_BEFORE; i++)
		if (device->before[i] == address)
			return true;
	return false;
}

static void take_address(struct world *world, struct device *device, int address)
{
	world->holder[device->address] = NOBODY;
	device->before[device->moves++ % DEVICE_BEFORE] = device->address;
	device->address = address;
	world->holder[address] = (int)(device - world->devices);
	device->spoke = false;
	device->interrupted |= limits_loses(world, device);
	invariants_excuse(world, device);
	tally_move(world, device);
	trace_event(world, "device %d moves from %d to %d", (int)(device - world->devices), previous_of(device),
		    address);
}

/* The NAT gives it another address: a new one, one that another device had, or one of its own that is still free. */
static void move(struct world *world, struct device *device)
{
	int address;

	do
		address = (int)dice_below(&world->dice, ADDRESS_FORGERS);
	while (was_there(device, address));
	if (world->traits.returns && dice_percent(&world->dice, 30))
		address = dice_percent(&world->dice, 50) ? device->first : previous_of(device);
	if (world->holder[address] == NOBODY)
		take_address(world, device, address);
	if (balancer_pool(device->service) == POOL_FOLLOW && dice_percent(&world->dice, 10))
		device->service = (int)dice_below(&world->dice, 3);
}

/* Two NATs forget at the same time, and each gives the other's address. */
static void swap(struct world *world, struct device *device)
{
	struct device *other = &world->devices[dice_below(&world->dice, world->traits.devices)];
	int mine = device->address, its = other->address;

	if (other == device || other->state != DEVICE_READY || other->waiting)
		return;
	take_address(world, device, its);
	take_address(world, other, mine);
	world->holder[its] = (int)(device - world->devices);
}

static void wander(struct world *world, struct device *device)
{
	if (dice_percent(&world->dice, world->traits.swap_percent))
		swap(world, device);
	else
		move(world, device);
}

static void send_wire(struct world *world, const struct device *device, const struct wire *wire)
{
	network_send_up(world, wire, device->address, device->service, 0);
}

static struct wire_seal seal_of(struct device *device, uint8_t epoch, uint64_t sequence)
{
	return (struct wire_seal){ device->v13, WIRE_DATA, epoch, &device->cid, device->key, sequence };
}

static void send_message(struct world *world, struct device *device, struct wire_message message, size_t octets)
{
	struct wire wire = { 0 };
	struct wire_seal seal = seal_of(device, device->v13 ? 3 : 1, ++device->sequence);

	wire_add_protected(&wire, &seal, &message, octets);
	send_wire(world, device, &wire);
}

static void send_hello(struct world *world, struct device *device)
{
	struct wire wire = { 0 };

	wire_add_client_hello(&wire, &(struct wire_hello){ .v13 = device->v13,
							   .random = device->client_random,
							   .has_cookie = device->state == DEVICE_COOKIE,
							   .cookie = device->cookie,
							   .ticket = device->ticket,
							   .has_cid = true,
							   .cid = device->own_cid });
	send_wire(world, device, &wire);
	device->first = device->address;
}

/* Sends what is in `wire`, if this client has a datagram for each part of its flight. */
static void send_part(struct world *world, struct device *device, struct wire *wire)
{
	if (!device->three_datagrams)
		return;
	send_wire(world, device, wire);
	wire->len = 0;
}

static void send_finished(struct world *world, struct device *device)
{
	const struct wire_message finished = { .op = WIRE_FINISHED };
	struct wire_seal seal = seal_of(device, device->v13 ? 2 : 1, 0);
	struct wire wire = { 0 };

	if (!device->v13 && !device->resumed) {
		wire_add_key_exchange(&wire, (uint16_t)(device - world->devices));
		send_part(world, device, &wire);
	}
	if (!device->v13) {
		wire_add_change_cipher(&wire);
		send_part(world, device, &wire);
	}
	wire_add_protected(&wire, &seal, &finished, WIRE_LEAST);
	send_wire(world, device, &wire);
	if (device->resumed)
		send_message(world, device, (struct wire_message){ WIRE_REQUEST, device->number, WIRE_LEAST },
			     WIRE_LEAST);
	forger_at_handshake(world, device);
}

static void send_flight(struct world *world, struct device *device)
{
	if (device->state == DEVICE_FINISHING)
		send_finished(world, device);
	else
		send_hello(world, device);
	timer_set(world, device, AGAIN_MS);
}

static void handshake(struct world *world, struct device *device)
{
	device->state = DEVICE_HELLO;
	device->client_random = dice_roll(&world->dice);
	device->hello_octets = 0;
	device->v13 = dice_percent(&world->dice, world->traits.v13_percent);
	device->ticket = 0;
	if (device->sessions > 0 && !device->v13 && dice_percent(&world->dice, world->traits.resume_percent))
		device->ticket = dice_roll(&world->dice) | 1;
	device->resumed = device->interrupted = false;
	device->number++;
	device->session = NOBODY;
	device->waiting = false;
	device->repeats = device->tries = device->unserved = 0;
	device->sequence = 0;
	device->three_datagrams = dice_percent(&world->dice, 40);
	invariants_tries(world, device);
	send_flight(world, device);
}

void device_begin(struct world *world, int number)
{
	struct device *device = &world->devices[number];

	*device = (struct device){ .service = (int)dice_below(&world->dice, SERVICES), .session = NOBODY };
	device->insider = number >= (int)(world->traits.devices - world->traits.insiders);
	if (dice_percent(&world->dice, 30))
		device->service = 0;
	if (dice_percent(&world->dice, 25))
		device->own_cid = (struct wire_cid){ 4, { 0xde, 0x71, 0xce, (uint8_t)number } };
	do
		device->address = (int)dice_below(&world->dice, ADDRESS_FORGERS);
	while (world->holder[device->address] != NOBODY);
	device->first = device->address;
	for (int i = 0; i < DEVICE_BEFORE; i++)
		device->before[i] = device->address;
	world->holder[device->address] = number;
	if (balancer_pool(device->service) == POOL_PLAIN)
		device->state = DEVICE_READY;
	timer_set(world, device, dice_below(&world->dice, 5000));
}

static void sleep_on(struct world *world, struct device *device)
{
	unsigned longest = dice_percent(&world->dice, 5) ? 600000 : dice_percent(&world->dice, 30) ? 60000 : 8000;

	device->waiting = false;
	if (world->traits.hasty)
		longest = 400;
	timer_set(world, device, dice_between(&world->dice, world->traits.hasty ? 20 : 200, longest));
}

static void send_request(struct world *world, struct device *device)
{
	struct wire_message request = { WIRE_REQUEST, device->number, device->want };
	struct wire wire = { 0 };

	invariants_tries(world, device);
	timer_set(world, device, AGAIN_MS);
	if (device->session != NOBODY) {
		send_message(world, device, request, device->octets);
		return;
	}
	wire_add_plain(&wire, &request, (uint16_t)(device - world->devices), device->octets);
	send_wire(world, device, &wire);
}

static void exchange_begin(struct world *world, struct device *device)
{
	device->waiting = true;
	device->number++;
	device->octets = dice_between(&world->dice, REQUEST_LEAST, 200);
	device->want = (uint16_t)dice_between(&world->dice, WIRE_LEAST, (unsigned)device->octets * 2);
	if (dice_percent(&world->dice, world->traits.large_percent))
		device->want = LARGE;
	device->repeats = device->tries = device->unserved = 0;
	send_request(world, device);
}

static void handshake_again(struct world *world, struct device *device)
{
	if (device->repeats++ < FLIGHT_REPEATS) {
		invariants_tries(world, device);
		send_flight(world, device);
	} else {
		handshake(world, device);
	}
}

void device_wake(struct world *world, int number, uint32_t timer)
{
	struct device *device = &world->devices[number];

	if (timer != device->timer)
		return;
	if (device->state == DEVICE_OFF) {
		handshake(world, device);
	} else if (device->waiting) {
		if (dice_percent(&world->dice, world->traits.overlap_percent))
			wander(world, device);
		if (device->unserved == UNSERVED_REPEATS && device->session != NOBODY)
			handshake(world, device);
		else
			send_request(world, device);
	} else if (device->state == DEVICE_READY) {
		if (dice_percent(&world->dice, world->traits.move_percent))
			wander(world, device);
		if (device->session != NOBODY && dice_percent(&world->dice, world->traits.reboot_percent))
			handshake(world, device);
		else
			exchange_begin(world, device);
	} else {
		handshake_again(world, device);
	}
}

static void take_answer(struct world *world, struct device *device, const struct wire_message *message)
{
	if (!device->waiting || message->op != WIRE_ANSWER || message->number != device->number)
		return;
	invariants_answered(world, device);
	sleep_on(world, device);
}

static void take_verify_request(struct world *world, struct device *device, uint64_t cookie)
{
	if (device->state != DEVICE_HELLO && device->state != DEVICE_COOKIE)
		return;
	device->cookie = cookie;
	invariants_answered(world, device);
	device->state = DEVICE_COOKIE;
	device->repeats = 0;
	send_flight(world, device);
}

static void take_server_hello(struct world *world, struct device *device, const struct wire_hello *hello)
{
	device->server_random = hello->random;
	device->cid = hello->cid;
	device->resumed = hello->ticket != 0;
	device->key = device_key((int)(device - world->devices), device->client_random, device->server_random);
	invariants_answered(world, device);
	device->state = DEVICE_FINISHING;
	device->repeats = device->tries = 0;
	send_flight(world, device);
}

/* Puts the fragments of a ServerHello together. */
static void take_part(struct world *world, struct device *device, const struct wire_part *part)
{
	struct wire_part whole = *part;
	struct wire_hello hello;
	uint64_t cookie;

	if (wire_read_verify_request(part, &cookie)) {
		take_verify_request(world, device, cookie);
		return;
	}
	if (device->state != DEVICE_COOKIE || part->type != WIRE_SERVER_HELLO || part->whole > WIRE_HELLO_MAX ||
	    part->offset + part->len > part->whole || part->offset > device->hello_octets)
		return;
	memcpy(device->hello + part->offset, part->body, part->len);
	if (part->offset + part->len > device->hello_octets)
		device->hello_octets = part->offset + part->len;
	if (device->hello_octets < part->whole)
		return;
	whole.body = device->hello;
	whole.len = whole.whole;
	if (wire_read_server_hello(&whole, &hello) && !hello.retry)
		take_server_hello(world, device, &hello);
}

static void finish(struct world *world, struct device *device, const struct datagram *datagram)
{
	invariants_answered(world, device);
	device->state = DEVICE_READY;
	device->interrupted = false;
	device->session = datagram->session.slot;
	sleep_on(world, device);
}

static void take_protected(struct world *world, struct device *device, const struct datagram *datagram,
			   const struct wire_message *message)
{
	const bool ends = device->resumed ? message->op == WIRE_ANSWER && message->number == device->number
					  : message->op == (device->v13 ? WIRE_ACK : WIRE_FINISHED);

	if (device->state == DEVICE_FINISHING && ends)
		finish(world, device, datagram);
	if (message->op == WIRE_CHALLENGE && (device->state == DEVICE_READY || device->resumed))
		send_message(world, device, (struct wire_message){ WIRE_RESPONSE, message->number, 0 }, WIRE_LEAST);
	if (device->state != DEVICE_READY)
		return;
	if (message->op == WIRE_NOTIFY)
		send_message(world, device, (struct wire_message){ WIRE_ACK, message->number, 0 }, WIRE_LEAST);
	take_answer(world, device, message);
}

void device_receive(struct world *world, int number, const struct datagram *datagram)
{
	struct device *device = &world->devices[number];
	struct wire_message message;
	struct wire_record record;
	struct wire_part part;
	uint16_t identity;
	size_t at = 0, inside;

	if (datagram->service != device->service)
		return;
	if (balancer_pool(device->service) == POOL_PLAIN) {
		if (wire_read_plain(&datagram->wire, &message, &identity) && identity == number)
			take_answer(world, device, &message);
		return;
	}
	while (at < datagram->wire.len && wire_read(&datagram->wire, &at, device->own_cid.len, &record)) {
		inside = 0;
		while (wire_read_part(&record, &inside, &part))
			take_part(world, device, &part);
		if ((record.epoch || record.v13) && device->state >= DEVICE_FINISHING &&
		    wire_open(&record, device->key, &message))
			take_protected(world, device, datagram, &message);
	}
}

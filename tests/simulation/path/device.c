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
	invariants_excuse(world, device);
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

static void send_wire(struct world *world, const struct device *device, const struct wire *wire, enum content content)
{
	network_send_up(world, wire, device->address, device->service, content,
			content == CONTENT_CID ? &device->cid : NULL, 0);
}

static void send_message(struct world *world, struct device *device, struct wire_message message, size_t octets)
{
	struct wire wire = { 0 };

	wire_add_protected(&wire, DTLS_APPLICATION_DATA, &device->cid, device->key, ++device->sequence, &message,
			   octets);
	send_wire(world, device, &wire, CONTENT_CID);
}

static void send_hello(struct world *world, struct device *device)
{
	struct wire wire = { 0 };

	wire_add_hello(&wire, device->client_random, device->state == DEVICE_COOKIE ? &device->cookie : NULL);
	send_wire(world, device, &wire, CONTENT_HELLO);
	device->first = device->address;
}

static void send_finished(struct world *world, struct device *device)
{
	const struct wire_message finished = { .op = WIRE_FINISHED };
	struct wire wire = { 0 };

	wire_add_key_exchange(&wire, (uint16_t)(device - world->devices));
	if (device->three_datagrams) {
		send_wire(world, device, &wire, CONTENT_OTHER);
		wire.len = 0;
	}
	wire_add_change_cipher(&wire);
	if (device->three_datagrams) {
		send_wire(world, device, &wire, CONTENT_OTHER);
		wire.len = 0;
	}
	wire_add_protected(&wire, 0, &device->cid, device->key, 0, &finished, WIRE_LEAST);
	send_wire(world, device, &wire, CONTENT_CID);
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
	timer_set(world, device, dice_between(&world->dice, 200, longest));
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
	send_wire(world, device, &wire, CONTENT_OTHER);
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
			move(world, device);
		if (device->unserved == UNSERVED_REPEATS && device->session != NOBODY)
			handshake(world, device);
		else
			send_request(world, device);
	} else if (device->state == DEVICE_READY) {
		if (dice_percent(&world->dice, world->traits.move_percent))
			move(world, device);
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

static void take_verify_request(struct world *world, struct device *device, const struct wire_record *record)
{
	if (device->state != DEVICE_HELLO && device->state != DEVICE_COOKIE)
		return;
	device->cookie = wire_read_verify_request(record);
	invariants_answered(world, device);
	device->state = DEVICE_COOKIE;
	device->repeats = 0;
	send_flight(world, device);
}

static void take_server_hello(struct world *world, struct device *device, const struct wire_record *record)
{
	if (device->state != DEVICE_COOKIE)
		return;
	wire_read_server_hello(record, &device->server_random, &device->cid);
	device->key = device_key((int)(device - world->devices), device->client_random, device->server_random);
	invariants_answered(world, device);
	device->state = DEVICE_FINISHING;
	device->repeats = device->tries = 0;
	send_flight(world, device);
}

static void take_protected(struct world *world, struct device *device, const struct datagram *datagram,
			   const struct wire_message *message)
{
	if (device->state == DEVICE_FINISHING && message->op == WIRE_FINISHED) {
		invariants_answered(world, device);
		device->state = DEVICE_READY;
		device->session = datagram->session.slot;
		sleep_on(world, device);
	}
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
	uint16_t identity;
	size_t at = 0;

	if (datagram->service != device->service)
		return;
	if (balancer_pool(device->service) == POOL_PLAIN) {
		if (wire_read_plain(&datagram->wire, &message, &identity) && identity == number)
			take_answer(world, device, &message);
		return;
	}
	while (at < datagram->wire.len && wire_read(&datagram->wire, &at, device->own_cid.len, &record)) {
		if (record.handshake == 3)
			take_verify_request(world, device, &record);
		else if (record.handshake == 2)
			take_server_hello(world, device, &record);
		else if (record.epoch && device->state >= DEVICE_FINISHING && wire_open(&record, device->key, &message))
			take_protected(world, device, datagram, &message);
	}
}

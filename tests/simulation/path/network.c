#include "tests/simulation/path/network.h"

#include <errno.h>
#include <stdlib.h>

#include "io/gso.h"
#include "tests/simulation/path/world.h"

enum { FIRST_PORT = 20000 };

/* Several devices are behind each IPv4 address. Every fourth has IPv6, and every 16th the port of a listener. */
struct addr network_address(int number)
{
	struct addr addr = { .port = (uint16_t)(FIRST_PORT + number) };

	if (number % 4 == 3)
		memcpy(addr.ip, (uint8_t[16]){ 0x20, 1, 0x0d, 0xb8, [15] = (uint8_t)number }, 16);
	else
		memcpy(addr.ip, (uint8_t[16]){ [10] = 0xff, 0xff, 198, 51, 100, (uint8_t)(number / 8) }, 16);
	if (number % 16 == 4) {
		addr.ip[14] = 101;
		addr.port = 5684;
	}
	return addr;
}

static int backend_number(const struct network *network, const struct addr *addr)
{
	for (int i = 0; i < network->backend_count; i++)
		if (addr_equal(&network->backends[i], addr))
			return ADDRESS_BACKENDS + i;
	return ADDRESS_BAD;
}

int network_number(const struct world *world, const struct addr *addr)
{
	int number = addr->port - FIRST_PORT;
	struct addr there;

	if (addr->port == 5684)
		number = addr->ip[15] * 8 + 4;
	for (int i = 0; i < 2; i++, number += 8) {
		if (number < 0 || number >= ADDRESS_BACKENDS)
			continue;
		there = network_address(number);
		if (addr_equal(&there, addr))
			return number;
	}
	return backend_number(&world->network, addr);
}

/* Listener 1 is on the wildcard address. */
static const struct {
	int listener;
	uint8_t host;
	uint16_t port;
} services[SERVICES] = { { 0, 1, 5684 }, { 1, 1, 5685 }, { 1, 2, 5685 }, { 2, 1, 5686 },
			 { 3, 1, 5687 }, { 4, 1, 5683 }, { 5, 1, 5688 }, { 6, 1, 5689 } };

struct addr network_service(int service)
{
	return (struct addr){ .ip = { [10] = 0xff, 0xff, 192, 0, 2, services[service].host },
			      .port = services[service].port };
}

int network_listener(int service)
{
	return services[service].listener;
}

static struct addr v4_of(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
	return (struct addr){ .ip = { [10] = 0xff, 0xff, a, b, c, d }, .port = port };
}

struct addr network_bad(struct world *world, enum bad kind)
{
	const uint8_t any = (uint8_t)dice_below(&world->dice, 256);

	switch (kind) {
	case BAD_PORT:
		return v4_of(198, 51, 100, any, 0);
	case BAD_MULTICAST:
		return v4_of(239, 1, 1, any, 5684);
	case BAD_MULTICAST_V6:
		return (struct addr){ .ip = { 0xff, 2, [15] = any }, .port = 5684 };
	case BAD_BROADCAST:
		return v4_of(255, 255, 255, 255, 20000);
	case BAD_UNSPECIFIED:
		return v4_of(0, 0, 0, 0, 20000);
	case BAD_LISTENER:
		return network_service((int)dice_below(&world->dice, SERVICES));
	case BAD_BACKEND:
		return world->balancer.members[dice_below(&world->dice, MEMBERS)].addr;
	case BAD_ENDPOINT:
		return v4_of(127, 64, any, 1, (uint16_t)dice_between(&world->dice, 40684, 40691));
	default:
		return (struct addr){ .ip = { 0xfd, 1, [15] = any }, .port = 40684 };
	}
}

bool network_is_nobody(const struct addr *addr)
{
	const uint8_t *ip = addr->ip;
	bool v4 = addr_is_v4(addr);

	if (addr->port == 0 || (v4 ? ip[12] == 0 || ip[12] >= 224 || (ip[12] == 127 && ip[13] >> 6 == 1)
				   : ip[0] == 0xff || (ip[0] == 0xfd && ip[1] == 1)))
		return true;
	for (int i = 0; i < SERVICES; i++) {
		const struct addr service = network_service(i);

		if (addr_equal(&service, addr))
			return true;
	}
	return false;
}

bool network_is_bad(const struct world *world, const struct addr *addr)
{
	for (int i = 0; i < MEMBERS; i++)
		if (world->balancer.members[i].configured && addr_equal(&world->balancer.members[i].addr, addr))
			return true;
	return network_is_nobody(addr);
}

static int send_one(struct io *io, int handle, const struct io_send *sends, const struct gso *groups, size_t first);

/* What the balancer sends through: of the world that runs. */
struct sockets {
	struct io io; /* first */
	struct world *world;
};

static const struct io_ops ops = { .send = send_one };
static struct sockets sockets = { .io = { &ops } };

void network_begin(struct world *world)
{
	struct network *network = &world->network;

	sockets.world = world;
	network->free = NOBODY;
	for (int i = NETWORK_DATAGRAMS - 1; i >= 0; i--) {
		network->datagrams[i].next = network->free;
		network->free = i;
	}
}

struct datagram *network_take(struct world *world)
{
	struct network *network = &world->network;
	struct datagram *datagram;

	if (network->free == NOBODY)
		abort();
	datagram = &network->datagrams[network->free];
	network->free = datagram->next;
	datagram->wire.len = 0;
	datagram->address = datagram->service = datagram->session.slot = NOBODY;
	datagram->shape = (struct wire_shape){ 0 };
	datagram->probe = false;
	return datagram;
}

void network_drop(struct world *world, struct datagram *datagram)
{
	datagram->next = world->network.free;
	world->network.free = (int)(datagram - world->network.datagrams);
}

static struct datagram *copy_of(struct world *world, const struct datagram *datagram)
{
	struct datagram *copy = network_take(world);

	*copy = *datagram;
	return copy;
}

static void on_its_way(struct world *world, struct datagram *datagram, unsigned delay_ms)
{
	unsigned jitter = world->traits.jitter_ms ? dice_below(&world->dice, world->traits.jitter_ms) : 0;

	world_schedule(world, world->traits.latency_ms + delay_ms + jitter, EVENT_DATAGRAM,
		       (int)(datagram - world->network.datagrams), 0);
}

void network_send(struct world *world, struct datagram *datagram, enum leg leg, unsigned delay_ms)
{
	datagram->leg = leg;
	if (dice_percent(&world->dice, world->traits.loss_percent)) {
		network_drop(world, datagram);
		return;
	}
	if (dice_percent(&world->dice, world->traits.duplicate_percent))
		on_its_way(world, copy_of(world, datagram), delay_ms);
	on_its_way(world, datagram, delay_ms);
}

struct datagram *network_arrive(struct world *world, int number)
{
	return &world->network.datagrams[number];
}

static struct datagram *uplink_take(struct world *world, const struct wire *wire, int address, int service)
{
	struct datagram *datagram = network_take(world);
	int pool = balancer_pool(service);

	memcpy(datagram->wire.data, wire->data, wire->len);
	datagram->wire.len = wire->len;
	datagram->from = network_address(address);
	datagram->address = address;
	datagram->service = service;
	if (pool != POOL_PLAIN)
		datagram->shape = wire_shape(wire, balancer_layout(pool)->length);
	return datagram;
}

void network_send_up(struct world *world, const struct wire *wire, int address, int service, unsigned delay_ms)
{
	network_send(world, uplink_take(world, wire, address, service), LEG_LISTENER, delay_ms);
}

/* ADDRESS_BAD: none is left. */
static int backend_number_give(struct network *network, const struct addr *addr)
{
	int number = backend_number(network, addr);

	if (number == ADDRESS_BAD && ADDRESS_BACKENDS + network->backend_count < ADDRESS_BAD) {
		number = ADDRESS_BACKENDS + network->backend_count;
		network->backends[network->backend_count++] = *addr;
	}
	return number;
}

void network_send_bad(struct world *world, const struct wire *wire, enum bad kind, int service)
{
	struct datagram *datagram = uplink_take(world, wire, ADDRESS_BAD, service);

	datagram->from = network_bad(world, kind);
	if (kind == BAD_BACKEND)
		datagram->address = backend_number_give(&world->network, &datagram->from);
	if (kind == BAD_BACKEND && datagram->address == ADDRESS_BAD)
		network_drop(world, datagram);
	else
		network_send(world, datagram, LEG_LISTENER, 0);
}

/* What is sent is a datagram of the batch being served. `data` says which. */
static struct datagram *datagram_of(struct world *world, const uint8_t *data)
{
	size_t at = (size_t)(data - (const uint8_t *)world->network.datagrams);

	return &world->network.datagrams[at / sizeof(struct datagram)];
}

static struct addr endpoint_of(const struct io_send *send)
{
	struct addr endpoint = { .port = (uint16_t)(send->handle - BALANCER_ENDPOINTS) };

	memcpy(endpoint.ip, send->local, sizeof endpoint.ip);
	return endpoint;
}

static void sends_up(struct world *world, const struct io_send *send)
{
	struct datagram *datagram = datagram_of(world, send->data), *copy;

	invariants_sent_up(world, datagram, send);
	copy = copy_of(world, datagram);
	copy->from = endpoint_of(send);
	copy->to = send->to;
	network_send(world, copy, LEG_BACKEND, 0);
}

static void sends_down(struct world *world, const struct io_send *send)
{
	struct datagram *datagram = datagram_of(world, send->data), *copy;
	int service = balancer_service(send->handle - BALANCER_LISTENERS, send->local);
	int address = network_number(world, &send->to);

	trace_event(world, "sent down to address %d, service %d", address, service);
	invariants_expect(world, !network_is_nobody(&send->to), "12: a downlink to where nobody can be answered");
	invariants_sent_down(world, datagram, address, service);
	if (address >= ADDRESS_BACKENDS || service == NOBODY)
		return;
	copy = copy_of(world, datagram);
	copy->address = address;
	copy->service = service;
	network_send(world, copy, LEG_DEVICE, 0);
}

/* Sends one at a time: what the kernel would refuse is refused here. */
static int send_one(struct io *io, int handle, const struct io_send *sends, const struct gso *groups, size_t first)
{
	struct world *world = ((struct sockets *)io)->world;
	const struct io_send *send = &sends[groups->order[groups->sends[first].at]];
	struct datagram *datagram = datagram_of(world, send->data);
	bool up = handle >= BALANCER_ENDPOINTS;

	if (up) {
		struct addr endpoint = endpoint_of(send);
		char text[ADDR_TEXT_OCTETS];

		trace_event(world, "sent up through %s", addr_format(&endpoint, text));
		invariants_endpoint(world, datagram, &endpoint, &send->to);
	}
	if (dice_percent(&world->dice, world->traits.refuse_percent)) {
		invariants_refused(world, datagram, up ? NOBODY : network_number(world, &send->to),
				   up ? NOBODY : balancer_service(send->handle - BALANCER_LISTENERS, send->local));
		return -ENOBUFS;
	}
	if (up)
		sends_up(world, send);
	else
		sends_down(world, send);
	return 1;
}

struct io *network_io(void)
{
	return &sockets.io;
}

#include "tests/simulation/path/network.h"

#include <errno.h>
#include <stdlib.h>

#include "io/gso.h"
#include "tests/simulation/path/world.h"

enum { FIRST_PORT = 20000 };

/* Several devices are behind each IPv4 address. Every fourth has IPv6. */
struct addr network_address(int number)
{
	struct addr addr = { .port = (uint16_t)(FIRST_PORT + number) };

	if (number % 4 == 3)
		memcpy(addr.ip, (uint8_t[16]){ 0x20, 1, 0x0d, 0xb8, [15] = (uint8_t)number }, 16);
	else
		memcpy(addr.ip, (uint8_t[16]){ [10] = 0xff, 0xff, 198, 51, 100, (uint8_t)(number / 8) }, 16);
	return addr;
}

int network_number(const struct addr *addr)
{
	int number = addr->port - FIRST_PORT;
	struct addr there;

	if (number < 0 || number >= ADDRESSES)
		return NOBODY;
	there = network_address(number);
	return addr_equal(&there, addr) ? number : NOBODY;
}

/* Listener 1 is on the wildcard address. */
static const struct {
	int listener;
	uint8_t host;
	uint16_t port;
} services[SERVICES] = {
	{ 0, 1, 5684 }, { 1, 1, 5685 }, { 1, 2, 5685 }, { 2, 1, 5686 }, { 3, 1, 5687 }, { 4, 1, 5683 }
};

struct addr network_service(int service)
{
	return (struct addr){ .ip = { [10] = 0xff, 0xff, 192, 0, 2, services[service].host },
			      .port = services[service].port };
}

int network_listener(int service)
{
	return services[service].listener;
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
	datagram->content = CONTENT_OTHER;
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

void network_send_up(struct world *world, const struct wire *wire, int address, int service, enum content content,
		     const struct wire_cid *cid, unsigned delay_ms)
{
	struct datagram *datagram = network_take(world);

	memcpy(datagram->wire.data, wire->data, wire->len);
	datagram->wire.len = wire->len;
	datagram->from = network_address(address);
	datagram->address = address;
	datagram->service = service;
	datagram->content = content;
	if (cid)
		datagram->cid = *cid;
	network_send(world, datagram, LEG_LISTENER, delay_ms);
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
	int address = network_number(&send->to);

	trace_event(world, "sent down to address %d, service %d", address, service);
	invariants_sent_down(world, datagram, address, service);
	if (address == NOBODY || service == NOBODY)
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

		invariants_endpoint(world, datagram, &endpoint);
	}
	if (dice_percent(&world->dice, world->traits.refuse_percent)) {
		invariants_refused(world, datagram, network_number(&send->to));
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

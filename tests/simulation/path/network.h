/* Datagrams under way, on four legs, with latency, loss, duplication and reordering. Also replaces lb/io/socket_*.c. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_NETWORK_H
#define CIDLB_TESTS_SIMULATION_PATH_NETWORK_H

#include <stdint.h>

#include "common/addr.h"
#include "io/io.h"
#include "tests/simulation/path/wire.h"

struct world;

/* Device-side addresses have numbers. */
enum {
	ADDRESS_NATS = 0,        /* what NATs give to devices */
	ADDRESS_FORGERS = 48,    /* forgers can be reached there */
	ADDRESS_BYSTANDERS = 64, /* third parties: forgers write them into datagrams as source */
	/* Addresses that a backend has, had or will have, as they come: it sends from there to a listener. */
	ADDRESS_BACKENDS = 96,
	ADDRESS_BAD = 128, /* whoever else: see network_bad(). Nothing of theirs may leave */
	ADDRESSES = 129,
	NOBODY = -1,
};

/* Where devices send to: a listener at one of its local addresses. */
enum { SERVICES = 8 };

enum leg { LEG_LISTENER, LEG_BACKEND, LEG_ENDPOINT, LEG_DEVICE };

/* Sources that no honest datagram has: port 0, multicast and broadcast, and what would make a loop. */
enum bad {
	BAD_PORT,
	BAD_MULTICAST,
	BAD_MULTICAST_V6,
	BAD_BROADCAST,
	BAD_UNSPECIFIED,
	BAD_LISTENER,
	BAD_BACKEND,
	BAD_ENDPOINT,
	BAD_ENDPOINT_V6,
	BADS
};

struct session_name {
	int slot; /* NOBODY: none */
	uint32_t generation;
};

struct datagram {
	struct wire wire;
	enum leg leg;
	struct addr from, to;
	int address; /* uplinks: the sender's; LEG_DEVICE: the receiver's */
	int service;
	struct wire_shape shape;     /* uplinks; the packet path sees only octets */
	bool probe;                  /* downlinks: a return routability check, not what the device waits for */
	struct session_name session; /* downlinks: whose */
	int next;                    /* free, or in a batch */
};

enum { NETWORK_DATAGRAMS = 4096 };

struct network {
	struct datagram datagrams[NETWORK_DATAGRAMS];
	int free;
	struct addr backends[ADDRESS_BAD - ADDRESS_BACKENDS]; /* ADDRESS_BACKENDS and on */
	int backend_count;
};

struct addr network_address(int number);
int network_number(const struct world *world, const struct addr *addr); /* ADDRESS_BAD: none that has a number */
struct addr network_service(int service);
int network_listener(int service);
struct addr network_bad(struct world *world, enum bad kind);
/* Whether nobody can be answered there, and whether that is so with the backends that are configured now. */
bool network_is_nobody(const struct addr *addr);
bool network_is_bad(const struct world *world, const struct addr *addr);

void network_begin(struct world *world);

/* What the balancer of the world that runs sends through. What the kernel would refuse is refused there. */
struct io *network_io(void);

/* Takes an empty datagram, which is then the caller's. */
struct datagram *network_take(struct world *world);
void network_drop(struct world *world, struct datagram *datagram);

/* Sends the datagram or loses it; it is then the network's. `delay_ms` is added to the latency of a leg. */
void network_send(struct world *world, struct datagram *datagram, enum leg leg, unsigned delay_ms);

/* The datagram arrives, and is the caller's again. */
struct datagram *network_arrive(struct world *world, int number);

/* From a device, or from a forger that pretends to be one, to a service. */
void network_send_up(struct world *world, const struct wire *wire, int address, int service, unsigned delay_ms);
/* The same from a source that is bad. Without a number left for it, it is not sent. */
void network_send_bad(struct world *world, const struct wire *wire, enum bad kind, int service);

#endif

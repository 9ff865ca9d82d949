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
	ADDRESSES = 96,
	NOBODY = -1,
};

/* Where devices send to: a listener at one of its local addresses. */
enum { SERVICES = 6 };

enum leg { LEG_LISTENER, LEG_BACKEND, LEG_ENDPOINT, LEG_DEVICE };

/* What the sender made. The packet path sees only octets. */
enum content { CONTENT_HELLO, CONTENT_CID /* `cid` in a whole record */, CONTENT_OTHER };

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
	enum content content;
	struct wire_cid cid;
	struct session_name session; /* downlinks: whose */
	int next;                    /* free, or in a batch */
};

enum { NETWORK_DATAGRAMS = 2048 };

struct network {
	struct datagram datagrams[NETWORK_DATAGRAMS];
	int free;
};

struct addr network_address(int number);
int network_number(const struct addr *addr); /* NOBODY: not a device-side one */
struct addr network_service(int service);
int network_listener(int service);

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
void network_send_up(struct world *world, const struct wire *wire, int address, int service, enum content content,
		     const struct wire_cid *cid, unsigned delay_ms);

#endif

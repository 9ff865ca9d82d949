/* Attackers. They see what passes, CIDs, cookies and tickets too, but cannot make a MAC. They can write any address
 * into their datagrams: third parties', devices', backends', listeners'. They get what comes to their own addresses,
 * and may have sessions of their own (the last devices are theirs). They send blindly, and around what they see or
 * expect. They can neither suppress nor overtake a device's datagram, and replay what a server has had. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_FORGER_H
#define CIDLB_TESTS_SIMULATION_PATH_FORGER_H

#include <stdint.h>

#include "tests/simulation/path/network.h"

struct world;
struct device;

enum { FORGER_SEEN = 16 };

struct forgers {
	struct {
		struct wire_cid cid;
		bool v13;
		int service, address;
	} seen[FORGER_SEEN]; /* CIDs, overheard */
	struct {
		struct wire wire;
		int service;
	} had[FORGER_SEEN];       /* datagrams of devices that servers have had */
	struct addr endpoints[8]; /* overheard */
	unsigned seen_count, had_count, endpoint_count;
};

/* The forger that acts on its own. */
void forger_wake(struct world *world);

/* Forgers overhear an uplink datagram at the balancer and at a server, and a datagram at an endpoint. */
void forger_overhear(struct world *world, const struct datagram *datagram);
void forger_overhear_server(struct world *world, const struct datagram *datagram);
void forger_overhear_endpoint(struct world *world, const struct addr *endpoint);

/* They know when a server will speak. */
void forger_expect_downlink(struct world *world, const struct datagram *datagram);

/* A datagram has come to an address of theirs, or to one that belongs to nobody. */
void forger_receive(struct world *world, const struct datagram *datagram);

/* The device sends the last flight of a handshake. If it is an insider, it sends more than that. */
void forger_at_handshake(struct world *world, const struct device *device);

#endif

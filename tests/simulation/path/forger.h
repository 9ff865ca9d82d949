/* Attackers: they see what passes, cannot make a MAC, can write any third party's address into their datagrams, and
 * choose their moments at random around those of the devices. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_FORGER_H
#define CIDLB_TESTS_SIMULATION_PATH_FORGER_H

#include <stdint.h>

#include "tests/simulation/path/network.h"

struct world;

enum { FORGER_SEEN = 16 };

struct forgers {
	struct {
		struct wire wire;
		enum content content;
		struct wire_cid cid;
		int service;
	} seen[FORGER_SEEN];      /* uplink datagrams, overheard */
	struct addr endpoints[8]; /* overheard */
	unsigned seen_count, endpoint_count;
};

/* The one that acts on its own. */
void forger_wake(struct world *world);

/* An uplink datagram arrives at the balancer; a datagram at an endpoint. */
void forger_overhear(struct world *world, const struct datagram *datagram);
void forger_overhear_endpoint(struct world *world, const struct addr *endpoint);

#endif

/* Attackers. They see what passes, but cannot make a MAC. They can write any third party's address into their
 * datagrams. They act at random moments around those of the devices. */
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

/* The forger that acts on its own. */
void forger_wake(struct world *world);

/* Forgers overhear an uplink datagram at the balancer, and a datagram at an endpoint. */
void forger_overhear(struct world *world, const struct datagram *datagram);
void forger_overhear_endpoint(struct world *world, const struct addr *endpoint);

#endif

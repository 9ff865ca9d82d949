/* The published table (path/table.h) and the network, written as the program of the fast path reads them. Control
 * thread.
 *
 * What does not fit is left out. Then the program passes up what it would have been for, and never does anything
 * else. */
#ifndef CIDLB_XDP_FILL_H
#define CIDLB_XDP_FILL_H

#include <stdint.h>

#include "path/table.h"
#include "xdp/fast_map.h"
#include "xdp/net.h"

struct fast_fill {
	const struct table *table;
	const struct fast_net *net;
	uint64_t key;        /* of the hashes: random, and the same as long as the program is loaded */
	uint16_t generation; /* of the CIDs in the cache (fast_homes_digest()) */
	const bool *hashed;  /* by index of the pool: from fast_hashing_look(); NULL: none */
	unsigned workers;    /* servers answer to a port of each, from that of tunnel.local on; 0: to the first */
};

/* Fills `out` whatever it held. Returns how much was left out: rows and services that found no place. */
unsigned fast_fill(struct fast_table *out, const struct fast_fill *fill);

#endif

/* Endpoints are computed, not remembered: the address and port of cidlb's own that a backend sees, as a function of a
 * keyed hash.
 *
 * A space is the set of addresses of some prefixes times a range of ports. Pure. */
#ifndef CIDLB_ENDPOINT_H
#define CIDLB_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

enum { ENDPOINT_PREFIXES = 8 };

struct endpoint_prefix {
	struct addr first; /* the prefix's first address; port unused */
	uint8_t host_bits; /* 0..32 for IPv4; for IPv6 at most the low 64 are used */
};

struct endpoint_space {
	struct endpoint_prefix prefixes[ENDPOINT_PREFIXES];
	size_t prefix_count;
	uint16_t port_first, port_last; /* inclusive */
};

/* The endpoint that `hash` stands for, in the prefixes of the wanted family; `probe` 0, 1, … are further choices where
 * that one is taken. The prefix is drawn in proportion to its size. False: the space has no prefix of that family. */
bool endpoint_at(struct addr *out, const struct endpoint_space *space, bool v4, uint64_t hash, unsigned probe);

/* True if the address, whatever the port, is in one of the space's prefixes. */
bool endpoint_has_address(const struct endpoint_space *space, const uint8_t ip[static 16]);

/* True if `addr` is an endpoint of this space. */
bool endpoint_contains(const struct endpoint_space *space, const struct addr *addr);

#endif

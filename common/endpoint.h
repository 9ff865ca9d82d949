/* Endpoints are computed, not remembered. An endpoint is an address and port of cidlb that a backend sees. A keyed hash
 * determines it.
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
	uint8_t host_bits; /* IPv4: 0..32; IPv6: at most the low 64 are used */
};

struct endpoint_space {
	struct endpoint_prefix prefixes[ENDPOINT_PREFIXES];
	size_t prefix_count;
	uint16_t port_first, port_last; /* inclusive */
};

/* The endpoint for `hash`, in the prefixes of the wanted family. `probe` 0 is the first choice; 1, 2, … are further
 * ones if that is taken. The prefix is drawn in proportion to its size. False: the space has no prefix of that
 * family. */
bool endpoint_at(struct addr *out, const struct endpoint_space *space, bool v4, uint64_t hash, unsigned probe);

/* True if the address is in one of the space's prefixes. */
bool endpoint_has_address(const struct endpoint_space *space, const uint8_t ip[static 16]);

/* True if `addr` is an endpoint of this space. */
bool endpoint_contains(const struct endpoint_space *space, const struct addr *addr);

#endif

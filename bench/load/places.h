/* Where the load comes from, and where a forwarder that computes nothing lets it leave: one address per source, out of 127.0.0.0/8,
 * all of which is local without set-up. Of more sources than PLACES each further million has a port of its own. IPv4, host order. */
#ifndef CIDLB_BENCH_PLACES_H
#define CIDLB_BENCH_PLACES_H

#include <stdint.h>

enum {
	PLACES = 1 << 20,
	PLACES_SOURCES = 0x7f100000,   /* 127.16.0.0/12 */
	PLACES_ENDPOINTS = 0x7f400000, /* 127.64.0.0/12 */
	PLACES_PORTS = 16,
	PLACES_SERVERS = 64, /* at most: consecutive ports of one address */
};

/* The number of an address of either kind. */
static inline uint32_t place_number(uint32_t ip)
{
	return ip & (PLACES - 1);
}

#endif

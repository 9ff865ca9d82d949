/* Where the load comes from, and where a forwarder that computes nothing lets it leave: one address per source, out of
 * a /12; those of 127.0.0.0/8 are local without set-up. Of more sources than PLACES each further million has a port of
 * its own. IPv4, host order. */
#ifndef CIDLB_BENCH_LOAD_PLACES_H
#define CIDLB_BENCH_LOAD_PLACES_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PLACES = 1 << 20,
	PLACES_SOURCES = 0x7f100000, /* 127.16.0.0/12, unless they are elsewhere */
	PLACES_PORTS = 16,
	PLACES_SERVERS = 64, /* at most: consecutive ports of one address */
};

/* The number of an address of either kind. */
static inline uint32_t place_number(uint32_t ip)
{
	return ip & (PLACES - 1);
}

/* Of the first of them: all have the same 12 bits in front. */
static inline bool place_is_first(uint32_t ip)
{
	return place_number(ip) == 0;
}

#endif

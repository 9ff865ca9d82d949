/* The /12 that devices have their addresses from, and the one that cidlb-floor sends on from: an address for each
 * source. All of 127.0.0.0/8 is local without set-up. If there are more sources than addresses, each further million
 * has a port of its own. Addresses are IPv4, in host order. */
#ifndef CIDLB_BENCH_LOAD_ADDR_BLOCK_H
#define CIDLB_BENCH_LOAD_ADDR_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BLOCK_ADDRESSES = 1 << 20,
	BLOCK_DEVICES = 0x7f100000, /* 127.16.0.0/12, unless an option says another */
	BLOCK_PORTS = 16,
	LOAD_SERVERS_MAX = 64, /* on consecutive ports of one address */
};

/* The number of an address within its block. */
static inline uint32_t block_number(uint32_t ip)
{
	return ip & (BLOCK_ADDRESSES - 1);
}

/* True for the first address of a block. */
static inline bool block_is_first(uint32_t ip)
{
	return block_number(ip) == 0;
}

#endif

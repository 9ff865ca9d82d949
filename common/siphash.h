/* SipHash-2-4 (Aumasson, Bernstein, 2012) with 64-bit output: the one keyed hash of cidlb.
 *
 * All values are the same on every machine. So nodes that share a key make the same decisions. Pure, any thread.
 */
#ifndef CIDLB_SIPHASH_H
#define CIDLB_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"

struct siphash_key {
	uint64_t k0, k1; /* little-endian halves of the 16-octet key */
};

/* The key that these 16 octets are, as in the reference implementation. */
struct siphash_key siphash_key_load(const uint8_t octets[static 16]);

/* The hash of `len` octets. `data` may be unaligned. */
uint64_t siphash24(const struct siphash_key *key, const void *data, size_t len);

/* Derives a key for one purpose: two SipHash values of `label` under `key`. Labels are NUL-terminated names. */
struct siphash_key siphash_key_derive(const struct siphash_key *key, const char *label);

/* Hash of an address and port, field by field: 6 octets for IPv4 (address, port big endian), 18 for IPv6. with_port
 * false: the address alone (4 or 16 octets). */
uint64_t siphash_addr(const struct siphash_key *key, const struct addr *a, bool with_port);

#endif

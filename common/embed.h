/* Endpoints of mode nat without a table: IPv6 addresses that carry the device's address and port, and a keyed check
 * over them.
 *
 * In the manner of RFC 6052, a prefix is followed by what is embedded in it:
 *
 *      prefix, 8..64 bits | zeros | check, 16..24 bits | IPv4 address, 32 bits | port, 16 bits
 *
 * so that address and port are the last six octets, whatever the prefix. The check is as wide as the prefix leaves room
 * for: 24 bits after a /56 and all shorter ones, 16 after a /64. It is SipHash-2-4 over the device's and the service's
 * address and port, its low bits. Pure.
 */
#ifndef CIDLB_EMBED_H
#define CIDLB_EMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "siphash.h"

enum { EMBED_BITS_MAX = 64, EMBED_CHECK_MAX = 24 /* bits */, EMBED_KEYS = 2 };

struct embed {
	uint8_t prefix[16]; /* host bits are 0 */
	uint8_t bits;       /* of the prefix, at most EMBED_BITS_MAX */
	uint8_t service[6]; /* IPv4 address and port that devices send to, network order */
	/* The first writes, all read: while keys are changed, replies still come to addresses of the one before. */
	struct siphash_key keys[EMBED_KEYS];
	size_t key_count; /* 1..EMBED_KEYS */
};

/* prefix: IPv6, without host bits. service: IPv4. With no key yet. */
struct embed embed_make(const struct addr *prefix, unsigned bits, const struct addr *service);

/* Bits of the check after a prefix of `bits`. */
unsigned embed_check_bits(unsigned bits);

/* The address that a backend sees the device at. device: IPv4. */
void embed_write(uint8_t ip[static 16], const struct embed *embed, const struct addr *device);

bool embed_contains(const struct embed *embed, const uint8_t ip[static 16]);

/* Who that is. False: outside the prefix, or the check does not fit, or what must be 0 is not. The same work in any
 * case. */
bool embed_read(struct addr *device, const struct embed *embed, const uint8_t ip[static 16]);

#endif

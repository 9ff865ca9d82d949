/* Endpoints of mode nat without a table: IPv6 addresses that carry the device's address and port, and a keyed check
 * over them.
 *
 * In the manner of RFC 6052, the embedded fields follow a prefix:
 *
 *      prefix, 8..64 bits | zeros | check, 16..24 bits | IPv4 address, 32 bits | port, 16 bits
 *
 * So address and port are the last six octets, whatever the prefix. The check is as wide as the prefix leaves room for:
 * 24 bits after a /56 and all shorter prefixes, 16 bits after a /64. It is the low bits of SipHash-2-4 over the address
 * and port of the device and of the service. Pure.
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
	/* The first key writes, all keys read. While keys are changed, replies still come to addresses made with the
	 * older key. */
	struct siphash_key keys[EMBED_KEYS];
	size_t key_count; /* 1..EMBED_KEYS */
};

/* prefix: IPv6, without host bits. service: IPv4. There is no key yet. */
struct embed embed_make(const struct addr *prefix, unsigned bits, const struct addr *service);

/* Bits of the check after a prefix of `bits` bits. */
unsigned embed_check_bits(unsigned bits);

/* Writes the address under which a backend sees the device. device: IPv4. */
void embed_write(uint8_t ip[static 16], const struct embed *embed, const struct addr *device);

bool embed_contains(const struct embed *embed, const uint8_t ip[static 16]);

/* Reads the device from the address. False: the address is outside the prefix, its check is wrong, or bits that must be
 * 0 are not. Takes the same work in every case. */
bool embed_read(struct addr *device, const struct embed *embed, const uint8_t ip[static 16]);

#endif

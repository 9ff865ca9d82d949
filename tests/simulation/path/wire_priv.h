/* What wire.c and wire_read.c share. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_WIRE_PRIV_H
#define CIDLB_TESTS_SIMULATION_PATH_WIRE_PRIV_H

#include "common/siphash.h"
#include "tests/simulation/path/wire.h"

enum { PART_HEADER = 12, BODY_OCTETS = 7, MAC_OCTETS = 8, RANDOM = 32, PLAIN_OCTETS = 10 };
enum { EXTENSION_PADDING = 21, EXTENSION_VERSIONS = 43, EXTENSION_COOKIE = 44, EXTENSION_CID = 54 };

/* RFC 8446, section 4.1.3 */
static const uint8_t wire_retry_random[RANDOM] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static inline uint64_t wire_mac(uint64_t key, uint64_t sequence, const uint8_t *body)
{
	const struct siphash_key keys = { key, sequence };

	return siphash24(&keys, body, BODY_OCTETS);
}

static inline uint64_t wire_nonce(bool v13, uint64_t epoch, uint64_t sequence)
{
	return (uint64_t)v13 << 63 | epoch << 48 | sequence;
}

#endif

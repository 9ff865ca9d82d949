/* The header of mode tunnel: PROXY protocol version 2 over UDP (design, section 5).
 *
 * Each datagram between cidlb and a server begins with a header that names the two ends of what it carries:
 *
 *   0d0a0d0a000d0a515549540a | 21 | 12 (IPv4) or 22 (IPv6) | length 2 | source | destination | ports 2 + 2 | TLVs
 *
 * and one TLV of type e0, 10 octets: version (high nibble, 1) and direction (low nibble) | key id | SipHash-2-4 tag, 8.
 * The tag is over those two octets, source and destination as 16 octets each (IPv4 mapped) and their ports; it
 * authenticates the pair of addresses, not what they carry, so tunnels belong on a private network. A key is of one
 * pool: that binds the pool.
 *
 * Up: source is the device, destination the service address that it had addressed. Down: the other way round.
 * Pure: no I/O, no globals, no allocation; safe from any thread. A server that links this needs neither the shim nor
 * cidlb.
 */
#ifndef CIDLB_PROXY2_H
#define CIDLB_PROXY2_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "siphash.h"

enum {
	PROXY2_V4_OCTETS = 16 + 12 + 13,
	PROXY2_V6_OCTETS = 16 + 36 + 13,
	PROXY2_MAX_OCTETS = PROXY2_V6_OCTETS, /* of those that proxy2_write() makes */
	PROXY2_KEYS = 2,
};

enum proxy2_direction { PROXY2_UP = 0, PROXY2_DOWN = 1 };

struct proxy2_key {
	uint8_t id;
	struct siphash_key key;
};

/* Both are accepted; the first one signs. */
struct proxy2_keys {
	struct proxy2_key keys[PROXY2_KEYS];
	size_t count; /* 1..PROXY2_KEYS, distinct ids */
};

/* Reads a key file: a line ID:HEX per key, id 0..255, 16 octets in hex. -EINVAL: anything else, two of one id, none or
 * too many. */
int proxy2_parse_keys(struct proxy2_keys *out, const char *text);

struct proxy2_ends {
	struct addr source, destination;
};

/* Writes the header; returns its octets: PROXY2_V4_OCTETS if both ends are IPv4, else PROXY2_V6_OCTETS. */
size_t proxy2_write(uint8_t out[static PROXY2_MAX_OCTETS], const struct proxy2_keys *keys,
		    enum proxy2_direction direction, const struct proxy2_ends *ends);

enum proxy2_result {
	PROXY2_GOOD,
	PROXY2_NO_HEADER, /* not the signature, or cut short within the first 16 octets */
	PROXY2_LENGTH,    /* addresses or TLVs go beyond the header's own length, or that beyond the datagram */
	PROXY2_KIND,      /* neither PROXY over IPv4 or IPv6 nor DGRAM: LOCAL, STREAM, UNIX, another version */
	PROXY2_NO_TAG,    /* no TLV e0, two of them, or one of another size or version */
	PROXY2_DIRECTION, /* the other direction's */
	PROXY2_KEY,       /* of a key that is not live */
	PROXY2_TAG,       /* the tag does not verify */
	PROXY2_RESULTS,
};

/* Reads the header that `data` begins with; `*octets` of it precede the payload. Other TLVs are skipped, a CRC32C
 * unchecked: the tag says more. Nothing is written unless it is good, and nothing read beyond `len`. */
enum proxy2_result proxy2_read(struct proxy2_ends *out, size_t *octets, const struct proxy2_keys *keys,
			       enum proxy2_direction direction, const uint8_t *data, size_t len);

const char *proxy2_result_name(enum proxy2_result result); /* as in metrics: "no_header", … */

#endif

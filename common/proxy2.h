/* The header of mode tunnel: PROXY protocol version 2 over UDP (packaging/guide/tunnel.md).
 *
 * Each datagram between cidlb and a server begins with a header that names the two ends of its payload:
 *
 *   0d0a0d0a000d0a515549540a | 21 | 12 (IPv4) or 22 (IPv6) | length 2 | source | destination | ports 2 + 2 | TLVs
 *
 * Up: the source is the device, the destination the service address that it sent to. Down: the other way round.
 *
 * One TLV has type e0 and 10 octets: two marks and a tag.
 *
 *   version, 1 or 2 (high nibble), and direction (low nibble) | key id | SipHash-2-4 tag, 8
 *
 * The direction is 0 up, or 1 down. In version 2 it may also be 2: up, and the answer goes from the service address
 * straight to the device, not back to the node. The tag covers it as well: nobody without a key turns an answer.
 *
 * The tag is over a text of 38 octets. Addresses in it have 16 octets (IPv4 mapped), ports 2, in network order:
 *
 *   version 1    marks 2 | source | destination | port of the source | port of the destination
 *   version 2    marks 2 | service address | its port | device's address | its port
 *
 * In version 2 the first 20 octets, and of an IPv4 device the first 32, are the same for all devices of a service
 * address, so whoever keeps the hash of those has the last word to add (proxy2_memo.h). Nothing else is different.
 *
 * Which version is written. Readers of both must not meet a version that the other end does not know:
 *
 *   cidlb writes version 1 with an empty TLV of type e1 before e0, which says: "I read version 2, too". Who does not
 *   know it skips it. To a server that has answered in version 2 lately, it writes version 2.
 *   A server writes the version that it was spoken to in; version 2 if TLV e1 was there.
 *   Direction 2 is read by who knows it. To others its datagrams are of the wrong direction.
 *
 * The tag authenticates the pair of addresses, not the payload, so tunnels belong on a private network. The service
 * address is that of one pool, so the tag also says which pool it is, whether pools have keys of their own or not.
 *
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
	PROXY2_OFFER_OCTETS = 3,                                    /* of TLV e1 */
	PROXY2_MAX_OCTETS = PROXY2_V6_OCTETS + PROXY2_OFFER_OCTETS, /* the longest that proxy2_write() makes */
	PROXY2_POOL_KEYS = 2,                                       /* that can be live at once in a pool */
	PROXY2_KEYS = 16,                                           /* of a server, which may be in several pools */
};

enum proxy2_direction { PROXY2_UP = 0, PROXY2_DOWN = 1 };

enum proxy2_version {
	PROXY2_V1,       /* its writer may know no other */
	PROXY2_V1_OFFER, /* version 1 with TLV e1: its writer reads version 2, too */
	PROXY2_V2,
	PROXY2_V2_DIRECT, /* version 2 up, of direction 2. Down it is written as PROXY2_V2 */
};

struct proxy2_key {
	uint8_t id;
	struct siphash_key key;
};

/* All are accepted. Pools choose their ids without regard to each other. So a server's keys may have the same id. */
struct proxy2_keys {
	struct proxy2_key keys[PROXY2_KEYS];
	size_t count; /* 1..PROXY2_KEYS */
};

/* Reads a key file with one line ID:HEX per key: id 0..255, 16 octets in hex. -EINVAL: anything else, a line that is
 * there twice, no key or too many. */
int proxy2_parse_keys(struct proxy2_keys *out, const char *text);

struct proxy2_ends {
	struct addr source, destination;
	uint8_t key; /* index of the key that signs. cidlb signs with its first, a server with that of the datagram */
	uint8_t version; /* enum proxy2_version. A server answers with that of the datagram */
};
_Static_assert(sizeof(struct proxy2_ends) == 38, "no padding");

/* Writes the header, signed with ends->key, and returns its octets: PROXY2_V4_OCTETS if both ends are IPv4, else
 * PROXY2_V6_OCTETS; PROXY2_OFFER_OCTETS more for PROXY2_V1_OFFER. There is no such header down: whoever answers an
 * offer writes version 2. */
size_t proxy2_write(uint8_t out[static PROXY2_MAX_OCTETS], const struct proxy2_keys *keys,
		    enum proxy2_direction direction, const struct proxy2_ends *ends);

enum proxy2_result {
	PROXY2_GOOD,
	PROXY2_NO_HEADER, /* not the signature, or cut short within the first 16 octets */
	PROXY2_LENGTH,    /* addresses or TLVs exceed the header's own length, or that exceeds the datagram */
	PROXY2_KIND,      /* not PROXY with DGRAM over IPv4 or IPv6: LOCAL, STREAM, UNIX, another version */
	PROXY2_NO_TAG,    /* no TLV e0, two of them, or one of another size or version */
	PROXY2_DIRECTION, /* of the other direction */
	PROXY2_KEY,       /* signed with a key that is not live */
	PROXY2_TAG,       /* the tag does not verify */
	PROXY2_RESULTS,
};

/* Reads the header at the start of `data`. The payload begins after `*octets`. Other TLVs are skipped, and a CRC32C is
 * not checked, because the tag says more. Nothing is written unless the header is good. Nothing is read beyond
 * `len`. */
enum proxy2_result proxy2_read(struct proxy2_ends *out, size_t *octets, const struct proxy2_keys *keys,
			       enum proxy2_direction direction, const uint8_t *data, size_t len);

const char *proxy2_result_name(enum proxy2_result result); /* as in metrics: "no_header", … */

#endif

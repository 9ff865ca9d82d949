/* The header of mode tunnel (proxy2.h) for whoever handles thousands of them a second. A tag of version 2 begins with
 * what is the same for all devices of one key, direction and service address. So its hash can be kept half done, and a
 * datagram of an IPv4 device costs the last word of five. Pure. A memo belongs to one thread.
 */
#ifndef CIDLB_PROXY2_MEMO_H
#define CIDLB_PROXY2_MEMO_H

#include "proxy2.h"
#include "siphash_rounds.h"

enum { PROXY2_MEMO_PLACES = 16 /* a power of two */ };

/* A tag of version 2 that lacks its device. The text is what proxy2.h says. */
struct proxy2_half {
	struct siphash_state v4; /* for IPv4 devices: octets 0..31 are absorbed, also ::ffff:0:0/96 of the device */
	struct siphash_state v6; /* for IPv6 devices: octets 0..15 are absorbed */
	uint32_t middle;         /* octets 16..19, little-endian: the end of the service address, and its port */
};

struct proxy2_half proxy2_half_make(const struct proxy2_key *key, enum proxy2_direction direction,
				    const struct addr *service);

/* The tag, the little-endian number of its octets. */
uint64_t proxy2_half_end(const struct proxy2_half *half, const struct addr *device);

/* The halves that were used last. All zero: none. What is not in it is computed, so it need not be told of changes. */
struct proxy2_memo {
	struct proxy2_memo_place {
		struct siphash_key key;
		struct addr service;
		uint8_t marks[2]; /* with which the text begins; 0: the place is empty */
		struct proxy2_half half;
	} places[PROXY2_MEMO_PLACES];
};

/* Who reads or writes. */
struct proxy2_party {
	const struct proxy2_keys *keys;
	enum proxy2_direction direction; /* of what is read or written */
	struct proxy2_memo *memo;        /* NULL: nothing is kept */
};

/* The same as proxy2_write() and proxy2_read(). */
size_t proxy2_party_write(uint8_t out[static PROXY2_MAX_OCTETS], const struct proxy2_party *party,
			  const struct proxy2_ends *ends);
enum proxy2_result proxy2_party_read(struct proxy2_ends *out, size_t *octets, const struct proxy2_party *party,
				     const uint8_t *data, size_t len);

/* The tag over a header's two marks and its ends. The version is in the marks. */
uint64_t proxy2_party_tag(const struct proxy2_party *party, const struct siphash_key *key,
			  const uint8_t marks[static 2], const struct proxy2_ends *ends);

#endif

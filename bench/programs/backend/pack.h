/* Puts numbers (in network order) and octets into a buffer of the caller's, and takes them out again. Both go on after
 * a failure, which shows at the end. */
#ifndef CIDLB_BENCH_BACKEND_PACK_H
#define CIDLB_BENCH_BACKEND_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"

struct pack {
	uint8_t *out;
	size_t size, len; /* octets */
	bool full;        /* something did not fit */
};

static inline void pack_octets(struct pack *pack, const void *from, size_t len)
{
	if (len > pack->size - pack->len) {
		pack->full = true;
		return;
	}
	memcpy(pack->out + pack->len, from, len);
	pack->len += len;
}

static inline void pack_number(struct pack *pack, uint64_t value, size_t octets)
{
	uint8_t out[sizeof value];

	for (size_t i = 0; i < octets; i++)
		out[i] = (uint8_t)(value >> 8 * (octets - 1 - i));
	pack_octets(pack, out, octets);
}

struct unpack {
	struct bytes in;
	bool bad; /* something was missing, or too large */
};

static inline void unpack_octets(struct unpack *unpack, void *out, size_t len)
{
	const uint8_t *at = bytes_take(&unpack->in, len);

	if (at)
		memcpy(out, at, len);
	else
		unpack->bad = true;
}

/* Returns 0 if the number is missing or more than `max`. */
static inline uint64_t unpack_number(struct unpack *unpack, size_t octets, uint64_t max)
{
	const uint8_t *at = bytes_take(&unpack->in, octets);
	uint64_t value = 0;

	for (size_t i = 0; at && i < octets; i++)
		value = value << 8 | at[i];
	if (at && value <= max)
		return value;
	unpack->bad = true;
	return 0;
}

#endif

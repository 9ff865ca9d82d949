/* What the shim makes of a received datagram. Input: kind of header, octets of its further TLV, number of buffers, one
 * octet each with their sizes. Then comes the datagram, or what follows the header that is made for it. */
#include <stdlib.h>
#include <string.h>

#include "shim/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RAW, MADE_V4, MADE_V6, KINDS, BUFFERS = 8, DATAGRAM_OCTETS = 4096 };

struct input {
	uint8_t kind, padding, count;
	uint8_t sizes[BUFFERS];
	uint8_t datagram[DATAGRAM_OCTETS];
	size_t len;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Makes a good header, with TLV 04 if padding is not 0. */
static void make_header(struct input *in, const struct proxy2_keys *keys)
{
	struct proxy2_ends ends = { { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 56324 },
				    { { [10] = 0xff, 0xff, 198, 51, 100, 7 }, 5684 } };

	if (in->kind == MADE_V6)
		ends.source.ip[0] = ends.destination.ip[0] = 0x20;
	in->len = proxy2_write(in->datagram, keys, PROXY2_UP, &ends);
	if (!in->padding)
		return;
	const size_t length = in->len - 16 + 3 + in->padding;
	in->datagram[14] = (uint8_t)(length >> 8);
	in->datagram[15] = (uint8_t)length;
	in->datagram[in->len] = 0x04;
	in->datagram[in->len + 1] = 0;
	in->datagram[in->len + 2] = in->padding;
	memset(in->datagram + in->len + 3, 0, in->padding);
	in->len += 3U + in->padding;
}

static bool read_input(struct input *in, const struct proxy2_keys *keys, const uint8_t *data, size_t len)
{
	if (len < 3 || len - 3 < data[2] % (BUFFERS + 1U))
		return false;
	in->kind = data[0] % KINDS;
	in->padding = data[1];
	in->count = data[2] % (BUFFERS + 1);
	memcpy(in->sizes, data + 3, in->count);
	data += 3 + in->count;
	len -= 3U + in->count;
	in->len = 0;
	if (in->kind != RAW)
		make_header(in, keys);
	const size_t rest = smaller(len, sizeof in->datagram - in->len);
	if (rest > 0)
		memcpy(in->datagram + in->len, data, rest);
	in->len += rest;
	return true;
}

/* Each piece has memory of its own, so that AddressSanitizer sees an access beyond it. */
static size_t scatter(struct iovec *pieces, const struct input *in)
{
	const size_t count = in->count + 2U;
	size_t done = 0;

	for (size_t i = 0; i < count; i++) {
		const size_t size = i == 0           ? REWRITE_HEAD_OCTETS
				    : i == count - 1 ? REWRITE_TAIL_OCTETS
						     : in->sizes[i - 1];
		const size_t held = smaller(size, in->len - done);
		pieces[i] = (struct iovec){ calloc(1, size), size };
		if (held > 0)
			memcpy(pieces[i].iov_base, in->datagram + done, held);
		done += held;
	}
	return count;
}

static void check_payload(const struct iovec *buffers, size_t count, const uint8_t *payload, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		const size_t held = smaller(buffers[i].iov_len, len);
		require(held == 0 || memcmp(buffers[i].iov_base, payload, held) == 0);
		payload += held;
		len -= held;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct input in;
	struct iovec pieces[BUFFERS + 2];
	struct proxy2_ends ends, expected_ends;
	struct proxy2_keys keys;
	size_t octets, expected_octets;

	require(proxy2_parse_keys(&keys,
				  "1:000102030405060708090a0b0c0d0e0f\n200:101112131415161718191a1b1c1d1e1f\n") == 0);
	if (!read_input(&in, &keys, data, len))
		return 0;
	const size_t count = scatter(pieces, &in);
	const enum proxy2_result result =
		rewrite_unwrap(&ends, &octets, &keys, &(struct rewrite_datagram){ pieces, count, in.len });
	require(result == proxy2_read(&expected_ends, &expected_octets, &keys, PROXY2_UP, in.datagram,
				      smaller(in.len, REWRITE_HEADER_OCTETS)));
	if (result == PROXY2_GOOD) {
		require(octets == expected_octets && memcmp(&ends, &expected_ends, sizeof ends) == 0);
		check_payload(pieces + 1, count - 2, in.datagram + octets, in.len - octets);
	}
	for (size_t i = 0; i < count; i++)
		free(pieces[i].iov_base);
	return 0;
}

/* The header of mode tunnel. Input: direction, then the datagram. The keys are those of
 * tests/unit/common/check_proxy2.c. */
#include <stdlib.h>
#include <string.h>

#include "common/proxy2_memo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* The ends are the same when they are written and read again. A header of the other direction or with a changed address
 * is refused. */
static void check_again(const struct proxy2_keys *keys, enum proxy2_direction direction, const struct proxy2_ends *ends)
{
	static struct proxy2_memo memo;
	const struct proxy2_party party = { keys, direction, &memo };
	uint8_t out[PROXY2_MAX_OCTETS], other[PROXY2_MAX_OCTETS];
	const size_t len = proxy2_write(out, keys, direction, ends);
	const bool offers = ends->version == PROXY2_V1_OFFER && direction == PROXY2_UP;
	struct proxy2_ends expected = *ends, again;
	size_t octets;

	if ((ends->version == PROXY2_V1_OFFER && !offers) ||
	    (ends->version == PROXY2_V2_DIRECT && direction == PROXY2_DOWN))
		expected.version = PROXY2_V2;
	require(len - (offers ? PROXY2_OFFER_OCTETS : 0) == PROXY2_V4_OCTETS ||
		len - (offers ? PROXY2_OFFER_OCTETS : 0) == PROXY2_V6_OCTETS);
	require(proxy2_read(&again, &octets, keys, direction, out, len) == PROXY2_GOOD && octets == len);
	require(memcmp(&again, &expected, sizeof again) == 0);
	require(proxy2_party_write(other, &party, ends) == len && memcmp(other, out, len) == 0);
	require(proxy2_party_read(&again, &octets, &party, out, len) == PROXY2_GOOD && octets == len);
	require(memcmp(&again, &expected, sizeof again) == 0);
	require(proxy2_read(&again, &octets, keys, direction == PROXY2_UP ? PROXY2_DOWN : PROXY2_UP, out, len) ==
		PROXY2_DIRECTION);
	out[16] ^= 1;
	require(proxy2_read(&again, &octets, keys, direction, out, len) == PROXY2_TAG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct proxy2_keys keys;
	struct proxy2_ends ends;
	size_t octets;

	if (len < 1)
		return 0;
	require(proxy2_parse_keys(&keys,
				  "1:000102030405060708090a0b0c0d0e0f\n200:101112131415161718191a1b1c1d1e1f\n") == 0);
	const enum proxy2_direction direction = data[0] & 1 ? PROXY2_DOWN : PROXY2_UP;
	const enum proxy2_result result = proxy2_read(&ends, &octets, &keys, direction, data + 1, len - 1);
	require(result < PROXY2_RESULTS && strlen(proxy2_result_name(result)) > 0);
	if (result == PROXY2_GOOD) {
		require(octets >= PROXY2_V4_OCTETS && octets <= len - 1);
		check_again(&keys, direction, &ends);
	}
	/* The fuzzer finds no tag by chance. So any ends are also checked as if they had been read. */
	if (len - 1 >= 2 * sizeof(struct addr)) {
		memcpy(&ends, data + 1, 2 * sizeof(struct addr));
		ends.key = data[0] >> 1 & 1;
		ends.version = (data[0] >> 2) % 4;
		check_again(&keys, direction, &ends);
	}
	return 0;
}

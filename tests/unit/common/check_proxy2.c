#include <errno.h>

#include "common/proxy2_memo.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

/* Tags were computed by tests/e2e/proxy2.py, an implementation of its own. */
#define SIGNATURE "0d0a0d0a000d0a515549540a"
#define ENDS4     "c0000201 c6336407 dc04 1634"
#define TAG_UP    "a9750b7c3742f7a0"
#define OURS_UP   "e0000a 10 01 " TAG_UP
#define OURS_UP_2 "e0000a 20 01 ec40bf37d3af5615"
#define OFFER     "e10000"

/* Two live keys: 1 signs, 200 is accepted. */
static struct proxy2_keys keys;
static const struct addr device = { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 56324 };
static const struct addr service = { { [10] = 0xff, 0xff, 198, 51, 100, 7 }, 5684 };
static const struct addr device6 = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 56324 };
static const struct addr service6 = { { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 7 }, 5684 };

static void set_up(void)
{
	ck_assert_int_eq(
		proxy2_parse_keys(&keys, "1:000102030405060708090a0b0c0d0e0f\n200:101112131415161718191A1B1C1D1E1F\n"),
		0);
}

static void assert_ends(const struct proxy2_ends *ends, const struct addr *source, const struct addr *destination)
{
	ck_assert(addr_equal(&ends->source, source));
	ck_assert(addr_equal(&ends->destination, destination));
}

static const struct {
	const char *name;
	enum proxy2_direction direction;
	enum proxy2_version version;
	const struct addr *source, *destination;
	const char *hex;
} written[] = {
	{ "up, IPv4", PROXY2_UP, PROXY2_V1, &device, &service, SIGNATURE "21 12 0019" ENDS4 OURS_UP },
	{ "down, IPv4", PROXY2_DOWN, PROXY2_V1, &service, &device,
	  SIGNATURE "21 12 0019 c6336407 c0000201 1634 dc04 e0000a 11 01 094165044dd71593" },
	{ "up, IPv6", PROXY2_UP, PROXY2_V1, &device6, &service6,
	  SIGNATURE "21 22 0031 20010db8000000000000000000000001 20010db8ffff00000000000000000007 dc04 1634 e0000a 10 "
		    "01 941979f479ae92af" },
	{ "version 2, up, IPv4", PROXY2_UP, PROXY2_V2, &device, &service, SIGNATURE "21 12 0019" ENDS4 OURS_UP_2 },
	{ "version 2, direct, IPv4", PROXY2_UP, PROXY2_V2_DIRECT, &device, &service,
	  SIGNATURE "21 12 0019" ENDS4 "e0000a 22 01 ce1658eca6c9a191" },
	{ "version 2, direct, IPv6", PROXY2_UP, PROXY2_V2_DIRECT, &device6, &service6,
	  SIGNATURE "21 22 0031 20010db8000000000000000000000001 20010db8ffff00000000000000000007 dc04 1634 e0000a 22 "
		    "01 60df6506e1dfa871" },
	{ "version 2, down, IPv4", PROXY2_DOWN, PROXY2_V2, &service, &device,
	  SIGNATURE "21 12 0019 c6336407 c0000201 1634 dc04 e0000a 21 01 70431882d44ffe49" },
	{ "version 2, up, IPv6", PROXY2_UP, PROXY2_V2, &device6, &service6,
	  SIGNATURE "21 22 0031 20010db8000000000000000000000001 20010db8ffff00000000000000000007 dc04 1634 e0000a 20 "
		    "01 7dd06c825b758ef0" },
	{ "version 2, down, IPv6", PROXY2_DOWN, PROXY2_V2, &service6, &device6,
	  SIGNATURE "21 22 0031 20010db8ffff00000000000000000007 20010db8000000000000000000000001 1634 dc04 e0000a 21 "
		    "01 9366cbaac52c74da" },
	{ "version 2, up, IPv4 device, IPv6 service", PROXY2_UP, PROXY2_V2, &device, &service6,
	  SIGNATURE "21 22 0031 00000000000000000000ffffc0000201 20010db8ffff00000000000000000007 dc04 1634 e0000a 20 "
		    "01 74ae288500964787" },
};

START_TEST(written_as)
{
	const struct proxy2_ends ends = { *written[_i].source, *written[_i].destination, 0,
					  (uint8_t)written[_i].version };
	const struct octets expected = octets_of(written[_i].hex);
	uint8_t out[PROXY2_MAX_OCTETS];
	struct proxy2_ends read;
	size_t octets = 0;

	ck_assert_msg(proxy2_write(out, &keys, written[_i].direction, &ends) == expected.len, "%s", written[_i].name);
	ck_assert_mem_eq(out, expected.at, expected.len);
	ck_assert_int_eq(proxy2_read(&read, &octets, &keys, written[_i].direction, expected.at, expected.len),
			 PROXY2_GOOD);
	ck_assert_uint_eq(octets, expected.len);
	assert_ends(&read, &ends.source, &ends.destination);
	ck_assert_uint_eq(read.version, written[_i].version);
	free(expected.at);
}
END_TEST

/* A reader of before skips the TLV, as it skips others. Whoever answers knows it. */
START_TEST(offered)
{
	const struct proxy2_ends ends = { device, service, 0, PROXY2_V1_OFFER };
	const struct proxy2_ends back = { service, device, 0, PROXY2_V1_OFFER };
	const struct proxy2_ends back_direct = { service, device, 0, PROXY2_V2_DIRECT };
	const struct octets up = octets_of(SIGNATURE "21 12 001c" ENDS4 OFFER OURS_UP);
	const struct octets down =
		octets_of(SIGNATURE "21 12 0019 c6336407 c0000201 1634 dc04 e0000a 21 01 70431882d44ffe49");
	uint8_t out[PROXY2_MAX_OCTETS];

	ck_assert_uint_eq(proxy2_write(out, &keys, PROXY2_UP, &ends), PROXY2_V4_OCTETS + PROXY2_OFFER_OCTETS);
	ck_assert_mem_eq(out, up.at, up.len);
	ck_assert_uint_eq(proxy2_write(out, &keys, PROXY2_DOWN, &back), PROXY2_V4_OCTETS);
	ck_assert_mem_eq(out, down.at, down.len);
	/* So does whoever does not care to answer directly. */
	ck_assert_uint_eq(proxy2_write(out, &keys, PROXY2_DOWN, &back_direct), PROXY2_V4_OCTETS);
	ck_assert_mem_eq(out, down.at, down.len);
	ck_assert_uint_eq(
		proxy2_write(out, &keys, PROXY2_UP, &(struct proxy2_ends){ device6, service6, 0, PROXY2_V1_OFFER }),
		PROXY2_MAX_OCTETS);
	free(up.at);
	free(down.at);
}
END_TEST

/* What is kept of a tag is the right part of the right one: many services, keys and devices, in turn and at random. */
START_TEST(memo)
{
	static struct proxy2_memo memos[2];
	uint64_t random = 88172645463325252;

	for (unsigned i = 0; i < 20000; i++) {
		const bool up = i % 2 == 0;
		const struct proxy2_party party = { &keys, up ? PROXY2_UP : PROXY2_DOWN, &memos[0] },
					  reader = { &keys, party.direction, &memos[1] };
		struct addr from = random & 1 ? device : device6, to = random & 2 ? service : service6;
		uint8_t out[PROXY2_MAX_OCTETS], expected[PROXY2_MAX_OCTETS];
		struct proxy2_ends read;
		size_t octets;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		from.ip[15] = (uint8_t)(random >> 8);
		from.port = (uint16_t)(random >> 16);
		to.ip[15] = (uint8_t)(random >> 32 & 3);
		to.port = (uint16_t)(random >> 40 & 0x11);
		const struct proxy2_ends ends = { up ? from : to, up ? to : from, random >> 50 & 1,
						  (uint8_t)((random >> 52) % 3) };
		const size_t len = proxy2_party_write(out, &party, &ends);
		ck_assert_uint_eq(len, proxy2_write(expected, &keys, party.direction, &ends));
		ck_assert_mem_eq(out, expected, len);
		ck_assert_int_eq(proxy2_party_read(&read, &octets, &reader, out, len), PROXY2_GOOD);
		ck_assert_uint_eq(read.key, ends.key);
		assert_ends(&read, &ends.source, &ends.destination);
		out[len - 1] ^= 1;
		ck_assert_int_eq(proxy2_party_read(&read, &octets, &reader, out, len), PROXY2_TAG);
	}
}
END_TEST

/* What the fast path keeps for each service address. */
START_TEST(half)
{
	const struct proxy2_half up = proxy2_half_make(&keys.keys[0], PROXY2_UP, &service);
	const struct proxy2_half down = proxy2_half_make(&keys.keys[0], PROXY2_DOWN, &service6);

	ck_assert_uint_eq(proxy2_half_end(&up, &device), 0x1556afd337bf40ec);
	ck_assert_uint_eq(proxy2_half_end(&down, &device6), 0xda742cc5aacb6693);
}
END_TEST

/* All are read as going up, from `device` to `service` if good. */
static const struct {
	const char *name;
	enum proxy2_result result;
	size_t octets; /* of the header, if good */
	const char *hex;
} rows[] = {
	{ "no payload", PROXY2_GOOD, 41, SIGNATURE "21 12 0019" ENDS4 OURS_UP },
	{ "payload", PROXY2_GOOD, 41, SIGNATURE "21 12 0019" ENDS4 OURS_UP "19fefd00" },
	{ "CRC32C before, not checked", PROXY2_GOOD, 48, SIGNATURE "21 12 0020" ENDS4 "030004 0e6ce81a" OURS_UP "ff" },
	{ "CRC32C after", PROXY2_GOOD, 48, SIGNATURE "21 12 0020" ENDS4 OURS_UP "030004 0e6ce81a ff" },
	{ "empty TLVs about", PROXY2_GOOD, 47, SIGNATURE "21 12 001f" ENDS4 "040000" OURS_UP "ef0000" },
	{ "version 2", PROXY2_GOOD, 41, SIGNATURE "21 12 0019" ENDS4 OURS_UP_2 },
	{ "version 2, the other key", PROXY2_GOOD, 41, SIGNATURE "21 12 0019" ENDS4 "e0000a 20 c8 a1bc24cb1987ee2c" },
	{ "an offer", PROXY2_GOOD, 44, SIGNATURE "21 12 001c" ENDS4 OFFER OURS_UP "19fefd00" },
	{ "an offer that has octets", PROXY2_GOOD, 45, SIGNATURE "21 12 001d" ENDS4 "e1000100" OURS_UP },
	{ "the other key", PROXY2_GOOD, 41, SIGNATURE "21 12 0019" ENDS4 "e0000a 10 c8 7695de1601a85eba" },
	{ "nothing", PROXY2_NO_HEADER, 0, "" },
	{ "a DTLS record", PROXY2_NO_HEADER, 0, "19fefd00010000000000010720b1d07b359d3c00200001000000000001a324" },
	{ "last octet of the signature", PROXY2_NO_HEADER, 0, "0d0a0d0a000d0a515549540b 21 12 0019" ENDS4 OURS_UP },
	{ "first octet of the signature", PROXY2_NO_HEADER, 0, "8d0a0d0a000d0a515549540a 21 12 0019" ENDS4 OURS_UP },
	{ "15 octets", PROXY2_NO_HEADER, 0, SIGNATURE "21 12 00" },
	{ "16 octets", PROXY2_LENGTH, 0, SIGNATURE "21 12 0019" },
	{ "one octet short", PROXY2_LENGTH, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 10 01 a9750b7c3742f7" },
	{ "longer than the datagram", PROXY2_LENGTH, 0, SIGNATURE "21 12 001a" ENDS4 OURS_UP },
	{ "longest", PROXY2_LENGTH, 0, SIGNATURE "21 12 ffff" ENDS4 OURS_UP },
	{ "length 0", PROXY2_LENGTH, 0, SIGNATURE "21 12 0000" ENDS4 OURS_UP },
	{ "length 11: addresses reach into the payload", PROXY2_LENGTH, 0, SIGNATURE "21 12 000b" ENDS4 OURS_UP },
	{ "length 35 with IPv6", PROXY2_LENGTH, 0, SIGNATURE "21 22 0023" ENDS4 ENDS4 ENDS4 OURS_UP },
	{ "our TLV reaches into the payload", PROXY2_LENGTH, 0, SIGNATURE "21 12 0018" ENDS4 OURS_UP "ffff" },
	{ "two octets of a TLV", PROXY2_LENGTH, 0, SIGNATURE "21 12 001b" ENDS4 OURS_UP "0400 ff" },
	{ "a TLV behind ours lies", PROXY2_LENGTH, 0, SIGNATURE "21 12 001c" ENDS4 OURS_UP "040001 ff" },
	{ "a TLV before ours lies", PROXY2_LENGTH, 0, SIGNATURE "21 12 001c" ENDS4 "04ffff" OURS_UP "ff" },
	{ "LOCAL", PROXY2_KIND, 0, SIGNATURE "20 00 0000" },
	{ "LOCAL with all of it", PROXY2_KIND, 0, SIGNATURE "20 12 0019" ENDS4 OURS_UP },
	{ "version 1", PROXY2_KIND, 0, SIGNATURE "11 12 0019" ENDS4 OURS_UP },
	{ "command 2", PROXY2_KIND, 0, SIGNATURE "22 12 0019" ENDS4 OURS_UP },
	{ "STREAM over IPv4", PROXY2_KIND, 0, SIGNATURE "21 11 0019" ENDS4 OURS_UP },
	{ "STREAM over IPv6", PROXY2_KIND, 0, SIGNATURE "21 21 0019" ENDS4 OURS_UP },
	{ "UNIX", PROXY2_KIND, 0, SIGNATURE "21 32 0019" ENDS4 OURS_UP },
	{ "unspecified family", PROXY2_KIND, 0, SIGNATURE "21 00 0019" ENDS4 OURS_UP },
	{ "no TLV", PROXY2_NO_TAG, 0, SIGNATURE "21 12 000c" ENDS4 OURS_UP },
	{ "CRC32C alone", PROXY2_NO_TAG, 0, SIGNATURE "21 12 0013" ENDS4 "030004 0e6ce81a" },
	{ "9 octets", PROXY2_NO_TAG, 0, SIGNATURE "21 12 0018" ENDS4 "e00009 10 01 a9750b7c3742f7" },
	{ "11 octets", PROXY2_NO_TAG, 0, SIGNATURE "21 12 001a" ENDS4 "e0000b 10 01 " TAG_UP "00" },
	{ "0 octets", PROXY2_NO_TAG, 0, SIGNATURE "21 12 000f" ENDS4 "e00000" },
	{ "version 0", PROXY2_NO_TAG, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 00 01 " TAG_UP },
	{ "version 3", PROXY2_NO_TAG, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 30 01 " TAG_UP },
	{ "version 2 with the tag of version 1", PROXY2_TAG, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 20 01 " TAG_UP },
	{ "version 1 with the tag of version 2", PROXY2_TAG, 0,
	  SIGNATURE "21 12 0019" ENDS4 "e0000a 10 01 ec40bf37d3af5615" },
	{ "an offer that lies", PROXY2_LENGTH, 0, SIGNATURE "21 12 001c" ENDS4 OURS_UP "e10001" },
	{ "an offer alone", PROXY2_NO_TAG, 0, SIGNATURE "21 12 000f" ENDS4 OFFER },
	{ "twice", PROXY2_NO_TAG, 0, SIGNATURE "21 12 0026" ENDS4 OURS_UP OURS_UP },
	{ "type e1", PROXY2_NO_TAG, 0, SIGNATURE "21 12 0019" ENDS4 "e1000a 10 01 " TAG_UP },
	{ "down", PROXY2_DIRECTION, 0,
	  SIGNATURE "21 12 0019 c6336407 c0000201 1634 dc04 e0000a 11 01 094165044dd71593" },
	{ "direction 2", PROXY2_DIRECTION, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 12 01 " TAG_UP },
	{ "a direct one without its tag", PROXY2_TAG, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 22 01 ec40bf37d3af5615" },
	{ "the tag of a direct one", PROXY2_TAG, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 20 01 ce1658eca6c9a191" },
	{ "version 2, direction 3", PROXY2_DIRECTION, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 23 01 ce1658eca6c9a191" },
	{ "key 2", PROXY2_KEY, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 10 02 " TAG_UP },
	{ "key 0", PROXY2_KEY, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 10 00 " TAG_UP },
	{ "the other key's id", PROXY2_TAG, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 10 c8 " TAG_UP },
	{ "first bit of the tag", PROXY2_TAG, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 10 01 29750b7c3742f7a0" },
	{ "last bit of the tag", PROXY2_TAG, 0, SIGNATURE "21 12 0019" ENDS4 "e0000a 10 01 a9750b7c3742f7a1" },
	{ "source", PROXY2_TAG, 0, SIGNATURE "21 12 0019 c0000202 c6336407 dc04 1634" OURS_UP },
	{ "destination", PROXY2_TAG, 0, SIGNATURE "21 12 0019 c0000201 c6336408 dc04 1634" OURS_UP },
	{ "source port", PROXY2_TAG, 0, SIGNATURE "21 12 0019 c0000201 c6336407 dc05 1634" OURS_UP },
	{ "destination port", PROXY2_TAG, 0, SIGNATURE "21 12 0019 c0000201 c6336407 dc04 1635" OURS_UP },
	{ "turned round", PROXY2_TAG, 0, SIGNATURE "21 12 0019 c6336407 c0000201 1634 dc04" OURS_UP },
	{ "the tag of the other direction", PROXY2_TAG, 0,
	  SIGNATURE "21 12 0019" ENDS4 "e0000a 10 01 094165044dd71593" },
};

START_TEST(read_as)
{
	const struct octets in = octets_of(rows[_i].hex);
	static const struct proxy2_ends untouched;
	struct proxy2_ends ends = untouched;
	size_t octets = 0;

	const enum proxy2_result result = proxy2_read(&ends, &octets, &keys, PROXY2_UP, in.at, in.len);
	ck_assert_msg(result == rows[_i].result, "%s: %s, not %s", rows[_i].name, proxy2_result_name(result),
		      proxy2_result_name(rows[_i].result));
	ck_assert_msg(octets == rows[_i].octets, "%s: %zu", rows[_i].name, octets);
	if (result == PROXY2_GOOD)
		assert_ends(&ends, &device, &service);
	else
		ck_assert_mem_eq(&ends, &untouched, sizeof ends);
	free(in.at);
}
END_TEST

START_TEST(every_prefix_is_refused)
{
	const struct octets whole = octets_of(written[_i].hex);
	struct proxy2_ends ends;
	size_t octets;

	for (size_t len = 0; len < whole.len; len++) {
		const struct octets in = octets_copy(whole.at, len);
		ck_assert_int_eq(proxy2_read(&ends, &octets, &keys, written[_i].direction, in.at, in.len),
				 len < 16 ? PROXY2_NO_HEADER : PROXY2_LENGTH);
		free(in.at);
	}
	free(whole.at);
}
END_TEST

/* Beyond the signature each bit is either of the frame or under the tag. */
START_TEST(every_bit_counts)
{
	const struct octets whole = octets_of(written[_i].hex);
	struct proxy2_ends ends;
	size_t octets;

	for (size_t bit = 0; bit < 8 * whole.len; bit++) {
		const uint8_t before = whole.at[bit / 8];
		whole.at[bit / 8] = before ^ (uint8_t)(1 << bit % 8);
		const struct octets in = octets_copy(whole.at, whole.len);
		whole.at[bit / 8] = before;
		ck_assert_msg(proxy2_read(&ends, &octets, &keys, written[_i].direction, in.at, in.len) != PROXY2_GOOD,
			      "bit %zu", bit);
		free(in.at);
	}
	free(whole.at);
}
END_TEST

START_TEST(mixed_families_are_ipv6)
{
	const struct proxy2_ends ends = { device, service6, 0, PROXY2_V1 };
	uint8_t out[PROXY2_MAX_OCTETS];
	struct proxy2_ends read;
	size_t octets;

	ck_assert_uint_eq(proxy2_write(out, &keys, PROXY2_UP, &ends), PROXY2_V6_OCTETS);
	ck_assert_int_eq(proxy2_read(&read, &octets, &keys, PROXY2_UP, out, sizeof out), PROXY2_GOOD);
	assert_ends(&read, &device, &service6);
}
END_TEST

START_TEST(old_key_is_gone)
{
	struct proxy2_keys rotated = { .keys = { keys.keys[1] }, .count = 1 };
	const struct proxy2_ends ends = { device, service, 0, PROXY2_V1 };
	uint8_t out[PROXY2_MAX_OCTETS];
	struct proxy2_ends read;
	size_t octets;

	const size_t len = proxy2_write(out, &rotated, PROXY2_UP, &ends);
	ck_assert_int_eq(proxy2_read(&read, &octets, &keys, PROXY2_UP, out, len), PROXY2_GOOD);
	proxy2_write(out, &keys, PROXY2_UP, &ends);
	ck_assert_int_eq(proxy2_read(&read, &octets, &rotated, PROXY2_UP, out, len), PROXY2_KEY);
}
END_TEST

START_TEST(answers_have_the_key_of_the_datagram)
{
	for (uint8_t key = 0; key < 2; key++) {
		const struct proxy2_keys only = { .keys = { keys.keys[key] }, .count = 1 };
		const struct proxy2_ends ends = { device, service, 0, PROXY2_V1 };
		uint8_t out[PROXY2_MAX_OCTETS];
		struct proxy2_ends read;
		size_t octets;

		size_t len = proxy2_write(out, &only, PROXY2_UP, &ends);
		ck_assert_int_eq(proxy2_read(&read, &octets, &keys, PROXY2_UP, out, len), PROXY2_GOOD);
		ck_assert_uint_eq(read.key, key);
		const struct proxy2_ends back = { read.destination, read.source, read.key, read.version };
		len = proxy2_write(out, &keys, PROXY2_DOWN, &back);
		ck_assert_int_eq(proxy2_read(&read, &octets, &only, PROXY2_DOWN, out, len), PROXY2_GOOD);
		ck_assert_uint_eq(read.key, 0);
	}
}
END_TEST

/* Pools that know nothing of each other both call their key 1. */
START_TEST(keys_of_one_id)
{
	const struct proxy2_ends ends = { device, service, 0, PROXY2_V1 };
	uint8_t out[PROXY2_MAX_OCTETS];
	struct proxy2_keys both;
	struct proxy2_ends read;
	size_t octets;

	ck_assert_int_eq(proxy2_parse_keys(&both, "1:101112131415161718191a1b1c1d1e1f\n"
						  "1:000102030405060708090a0b0c0d0e0f\n"),
			 0);
	const size_t len = proxy2_write(out, &keys, PROXY2_UP, &ends);
	ck_assert_int_eq(proxy2_read(&read, &octets, &both, PROXY2_UP, out, len), PROXY2_GOOD);
	ck_assert_uint_eq(read.key, 1);
	out[len - 1] ^= 1;
	ck_assert_int_eq(proxy2_read(&read, &octets, &both, PROXY2_UP, out, len), PROXY2_TAG);
}
END_TEST

#define KEY_HEX       "000102030405060708090a0b0c0d0e0f"
#define KEY_HEX_UPPER "000102030405060708090A0B0C0D0E0F"
#define FOUR(tens)    tens "0:" KEY_HEX "\n" tens "1:" KEY_HEX "\n" tens "2:" KEY_HEX "\n" tens "3:" KEY_HEX "\n"

static const struct {
	const char *text;
	int err;
	size_t count;
} key_files[] = {
	{ "1:" KEY_HEX, 0, 1 },
	{ "\n 0:" KEY_HEX " \r\n\n255:" KEY_HEX "\t\n\n", 0, 2 },
	{ "007:" KEY_HEX "\n", 0, 1 },
	{ "", -EINVAL, 0 },
	{ "\n", -EINVAL, 0 },
	{ "1", -EINVAL, 0 },
	{ "1:", -EINVAL, 0 },
	{ ":" KEY_HEX, -EINVAL, 0 },
	{ KEY_HEX, -EINVAL, 0 },
	{ "256:" KEY_HEX, -EINVAL, 0 },
	{ "0001:" KEY_HEX, -EINVAL, 0 },
	{ "-1:" KEY_HEX, -EINVAL, 0 },
	{ "1:000102030405060708090a0b0c0d0e0", -EINVAL, 0 },
	{ "1:" KEY_HEX "0", -EINVAL, 0 },
	{ "1:" KEY_HEX "00", -EINVAL, 0 },
	{ "1:000102030405060708090a0b0c0d0e0g", -EINVAL, 0 },
	{ "1:" KEY_HEX " x", -EINVAL, 0 },
	{ "1:" KEY_HEX "\n1:" KEY_HEX, -EINVAL, 0 },
	{ "1:" KEY_HEX "\n1:100102030405060708090a0b0c0d0e0f", 0, 2 },
	{ "1:" KEY_HEX "\n1:" KEY_HEX_UPPER, -EINVAL, 0 },
	{ FOUR("1") FOUR("2") FOUR("3") FOUR("4"), 0, 16 },
	{ FOUR("1") FOUR("2") FOUR("3") FOUR("4") "50:" KEY_HEX, -EINVAL, 0 },
};

START_TEST(key_file)
{
	struct proxy2_keys read;

	ck_assert_msg(proxy2_parse_keys(&read, key_files[_i].text) == key_files[_i].err, "%s", key_files[_i].text);
	if (!key_files[_i].err)
		ck_assert_uint_eq(read.count, key_files[_i].count);
}
END_TEST

START_TEST(key_file_in_order)
{
	ck_assert_uint_eq(keys.count, 2);
	ck_assert_uint_eq(keys.keys[0].id, 1);
	ck_assert_uint_eq(keys.keys[0].key.k0, 0x0706050403020100);
	ck_assert_uint_eq(keys.keys[1].id, 200);
	ck_assert_uint_eq(keys.keys[1].key.k1, 0x1f1e1d1c1b1a1918);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, set_up, NULL);
	tcase_add_loop_test(tests, written_as, 0, COUNT_OF(written));
	tcase_add_test(tests, offered);
	tcase_add_test(tests, memo);
	tcase_add_test(tests, half);
	tcase_add_loop_test(tests, read_as, 0, COUNT_OF(rows));
	tcase_add_loop_test(tests, every_prefix_is_refused, 0, COUNT_OF(written));
	tcase_add_loop_test(tests, every_bit_counts, 0, COUNT_OF(written));
	tcase_add_test(tests, mixed_families_are_ipv6);
	tcase_add_test(tests, old_key_is_gone);
	tcase_add_test(tests, answers_have_the_key_of_the_datagram);
	tcase_add_test(tests, keys_of_one_id);
	tcase_add_loop_test(tests, key_file, 0, COUNT_OF(key_files));
	tcase_add_test(tests, key_file_in_order);
}

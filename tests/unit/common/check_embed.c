/* The address that carries a device: its layout, and that nothing but it is read back. */
#include <stdlib.h>

#include "common/embed.h"
#include "tests/unit/suite.h"

static uint64_t seed = 9146;

/* xorshift64* (Vigna, 2016). */
static uint64_t draw(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static struct addr parsed(const char *text)
{
	struct addr a;

	ck_assert(addr_parse(&a, text) == 0 || addr_parse_ip(&a, text) == 0);
	return a;
}

static struct embed embed_of(const char *prefix, unsigned bits)
{
	static const uint8_t octets[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	const struct addr first = parsed(prefix), service = parsed("198.51.100.7:5684");
	struct embed embed = embed_make(&first, bits, &service);

	embed.keys[0] = siphash_key_load(octets);
	embed.key_count = 1;
	return embed;
}

static struct addr random_device(void)
{
	struct addr a = parsed("0.0.0.0");
	const uint64_t bits = draw();

	for (size_t i = 0; i < 4; i++)
		a.ip[12 + i] = (uint8_t)(bits >> 8 * i);
	a.port = (uint16_t)(bits >> 32);
	return a;
}

/* Of c0 00 02 01 | dc 04 | c6 33 64 07 | 16 34 under the key 00..0f SipHash-2-4 is 01dd54da4f8301c8 (computed by
 * another implementation). Sessions go on over an upgrade of cidlb only if these never change. */
START_TEST(literal_octets)
{
	static const struct {
		const char *prefix;
		unsigned bits;
		uint8_t octets[16];
	} rows[] = {
		{ "fd00::", 8, { 0xfd, 0, 0, 0, 0, 0, 0, 0x83, 0x01, 0xc8, 192, 0, 2, 1, 0xdc, 0x04 } },
		{ "2001:db8::", 32, { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0x83, 0x01, 0xc8, 192, 0, 2, 1, 0xdc, 0x04 } },
		{ "2001:db8:1::", 48, { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0x83, 0x01, 0xc8, 192, 0, 2, 1, 0xdc, 0x04 } },
		{ "2001:db8:1:ab00::",
		  56,
		  { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0xab, 0x83, 0x01, 0xc8, 192, 0, 2, 1, 0xdc, 0x04 } },
		{ "2001:db8:1:ab80::",
		  57,
		  { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0xab, 0x83, 0x01, 0xc8, 192, 0, 2, 1, 0xdc, 0x04 } },
		{ "2001:db8:1:abc0::",
		  60,
		  { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0xab, 0xc3, 0x01, 0xc8, 192, 0, 2, 1, 0xdc, 0x04 } },
		{ "2001:db8:1:abcc::",
		  63,
		  { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0xab, 0xcd, 0x01, 0xc8, 192, 0, 2, 1, 0xdc, 0x04 } },
		{ "2001:db8:1:abcd::",
		  64,
		  { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0xab, 0xcd, 0x01, 0xc8, 192, 0, 2, 1, 0xdc, 0x04 } },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct embed embed = embed_of(rows[i].prefix, rows[i].bits);
		const struct addr device = parsed("192.0.2.1:56324");
		struct addr back;
		uint8_t ip[16];

		embed_write(ip, &embed, &device);
		ck_assert_mem_eq(ip, rows[i].octets, sizeof ip);
		ck_assert(embed_read(&back, &embed, rows[i].octets));
		ck_assert(addr_equal(&back, &device));
	}
}
END_TEST

START_TEST(bits_of_the_check)
{
	static const unsigned rows[][2] = { { 8, 24 },  { 32, 24 }, { 48, 24 }, { 55, 24 }, { 56, 24 },
					    { 57, 23 }, { 60, 20 }, { 63, 17 }, { 64, 16 } };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_uint_eq(embed_check_bits(rows[i][0]), rows[i][1]);
}
END_TEST

static const struct {
	const char *prefix;
	unsigned bits, octet; /* octet 7 with all bits of the check set */
} prefixes[] = {
	{ "fd00::", 8, 0xff },
	{ "2001:db8::", 32, 0xff },
	{ "2001:db8:1::", 48, 0xff },
	{ "2001:db8:1:ab00::", 56, 0xff },
	{ "2001:db8:1:ab80::", 57, 0xff },
	{ "2001:db8:1:abc0::", 60, 0xcf },
	{ "2001:db8:1:abcd::", 64, 0xcd },
};

START_TEST(round_trip)
{
	const struct embed embed = embed_of(prefixes[_i].prefix, prefixes[_i].bits);
	uint32_t checks = 0;
	unsigned wrong = 0;

	for (int i = 0; i < 20000; i++) {
		const struct addr device = random_device();
		struct addr back;
		uint8_t ip[16];

		embed_write(ip, &embed, &device);
		wrong += !embed_read(&back, &embed, ip) || !addr_equal(&back, &device);
		checks |= (uint32_t)ip[7] << 16 | (uint32_t)ip[8] << 8 | ip[9];
	}
	ck_assert_uint_eq(wrong, 0);
	/* Every bit of it is in use. */
	ck_assert_uint_eq(checks & 0xffff, 0xffff);
	ck_assert_uint_eq(checks >> 16, prefixes[_i].octet);
}
END_TEST

/* Outside the check and the device nothing may differ; a wrong check is never taken; another device is as often as its
 * check happens to be this one's. */
START_TEST(every_flipped_bit)
{
	enum { DEVICES = 20000 };
	const struct embed embed = embed_of(prefixes[_i].prefix, prefixes[_i].bits);
	const unsigned check = embed_check_bits(embed.bits);
	unsigned taken = 0, wrong = 0;

	for (int i = 0; i < DEVICES; i++) {
		const struct addr device = random_device();
		struct addr back;
		uint8_t ip[16];

		embed_write(ip, &embed, &device);
		for (unsigned bit = 0; bit < 128; bit++) {
			bool good;

			ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			good = embed_read(&back, &embed, ip);
			wrong += embed_contains(&embed, ip) != (bit >= embed.bits);
			ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			if (bit < 80)
				wrong += good;
			else
				taken += good;
		}
	}
	ck_assert_uint_eq(wrong, 0);
	/* Expected: 14.6 of 960,000 with 16 bits, 0.06 with 24. */
	ck_assert_uint_le(taken, 3 + 2 * (DEVICES * 48u >> check));
	ck_assert(check > 16 || taken > 0);
}
END_TEST

/* Of addresses drawn from the prefix, which is what somebody who does not know the key can do. */
START_TEST(guesses)
{
	const struct embed embed = embed_of("2001:db8:1:abcd::", 64);
	struct addr back;
	uint8_t ip[16];
	unsigned taken = 0;

	memcpy(ip, embed.prefix, sizeof ip);
	for (int i = 0; i < 1 << 20; i++) {
		const uint64_t low = draw();

		memcpy(ip + 8, &low, sizeof low);
		taken += embed_read(&back, &embed, ip);
	}
	ck_assert_uint_ge(taken, 2);
	ck_assert_uint_le(taken, 40); /* expected: 16 */
}
END_TEST

START_TEST(another_service)
{
	const struct embed embed = embed_of("2001:db8:1:ab00::", 56);
	const struct addr device = parsed("192.0.2.1:56324");
	struct embed other = embed;
	struct addr back;
	uint8_t ip[16];

	embed_write(ip, &embed, &device);
	for (unsigned bit = 0; bit < 48; bit++) {
		other.service[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		ck_assert(!embed_read(&back, &other, ip));
		other.service[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
	ck_assert(embed_read(&back, &other, ip));
}
END_TEST

START_TEST(two_keys)
{
	const struct embed before = embed_of("2001:db8:1:ab00::", 56);
	const struct addr device = parsed("192.0.2.1:56324");
	struct embed now = before;
	struct addr back;
	uint8_t old[16], new[16];

	now.keys[0].k0 ^= 1;
	embed_write(old, &before, &device);
	embed_write(new, &now, &device);
	ck_assert_mem_ne(old, new, sizeof old);
	/* The second is there, but not in force. */
	now.keys[1] = before.keys[0];
	ck_assert(!embed_read(&back, &now, old));
	now.key_count = 2;
	ck_assert(embed_read(&back, &now, old));
	ck_assert(addr_equal(&back, &device));
	ck_assert(embed_read(&back, &now, new));
	embed_write(old, &now, &device);
	ck_assert_mem_eq(old, new, sizeof old);
	ck_assert(!embed_read(&back, &before, new));
}
END_TEST

void suite(TCase *tests)
{
	const int count = sizeof prefixes / sizeof prefixes[0];

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, literal_octets);
	tcase_add_test(tests, bits_of_the_check);
	tcase_add_loop_test(tests, round_trip, 0, count);
	tcase_add_loop_test(tests, every_flipped_bit, 0, count);
	tcase_add_test(tests, guesses);
	tcase_add_test(tests, another_service);
	tcase_add_test(tests, two_keys);
}

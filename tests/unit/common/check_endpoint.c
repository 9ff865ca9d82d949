/* Endpoints: within bounds and family, spread, and the same for ever. */
#include <stdlib.h>

#include "common/endpoint.h"
#include "tests/unit/suite.h"

static struct endpoint_prefix prefix(const char *first, unsigned host_bits)
{
	struct endpoint_prefix p = { .host_bits = (uint8_t)host_bits };

	ck_assert_int_eq(addr_parse_ip(&p.first, first), 0);
	return p;
}

static struct endpoint_space loopback(void)
{
	return (struct endpoint_space){
		.prefixes = { prefix("127.64.0.0", 22) }, .prefix_count = 1, .port_first = 40684, .port_last = 40691
	};
}

static uint32_t v4_of(const struct addr *a)
{
	return (uint32_t)a->ip[12] << 24 | (uint32_t)a->ip[13] << 16 | (uint32_t)a->ip[14] << 8 | a->ip[15];
}

/* A session keeps its endpoint over an upgrade of cidlb only if these never change. */
START_TEST(literal_endpoints)
{
	static const struct {
		uint64_t hash;
		unsigned probe;
		bool v4;
		const char *text;
	} rows[] = {
		{ UINT64_C(0x0), 0, true, "127.64.0.0:40685" },
		{ UINT64_C(0x1), 0, true, "127.75.5.229:40687" },
		{ UINT64_C(0x1), 1, true, "127.66.92.193:40685" },
		{ UINT64_C(0x123456789abcdef), 0, true, "127.117.17.44:40687" },
		{ UINT64_C(0xffffffffffffffff), 15, true, "127.88.120.193:40684" },
		{ UINT64_C(0x0), 0, false, "[2001:db8:1:2::]:40685" },
		{ UINT64_C(0x123456789abcdef), 0, false, "[2001:db8:1:2:b2c0:58e4:ebb5:112c]:40687" },
		{ UINT64_C(0x123456789abcdef), 1, false, "[2001:db8:1:2:157a:3807:a48f:aa9d]:40690" },
	};
	struct endpoint_space space = loopback();
	char text[ADDR_TEXT_OCTETS];
	struct addr a;

	space.prefixes[space.prefix_count++] = prefix("2001:db8:1:2::", 64);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert(endpoint_at(&a, &space, rows[i].v4, rows[i].hash, rows[i].probe));
		ck_assert_str_eq(addr_format(&a, text), rows[i].text);
	}
}
END_TEST

START_TEST(within_bounds)
{
	struct endpoint_space space = loopback();
	unsigned ports[8] = { 0 };
	struct addr a;

	for (uint64_t hash = 0; hash < 100000; hash++) {
		ck_assert(endpoint_at(&a, &space, true, hash, 0));
		if (v4_of(&a) >> 22 != 0x7f400000u >> 22 || a.port < 40684 || a.port > 40691 || !addr_is_v4(&a) ||
		    !endpoint_contains(&space, &a))
			ck_abort_msg("hash %u", (unsigned)hash);
		ports[a.port - 40684]++;
	}
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_gt(ports[i], 12500 - 700);
		ck_assert_uint_lt(ports[i], 12500 + 700);
	}
}
END_TEST

/* As few collisions as of independent draws: n * n / 2 / size. */
START_TEST(few_collisions)
{
	enum { DRAWS = 100000 };
	struct endpoint_space space = loopback();
	uint8_t *seen = calloc(1u << 22, 1);
	unsigned collisions = 0;
	struct addr a;

	ck_assert_ptr_nonnull(seen);
	for (uint64_t hash = 0; hash < DRAWS; hash++) {
		uint8_t bit;
		uint32_t host;

		ck_assert(endpoint_at(&a, &space, true, hash, 0));
		host = v4_of(&a) & 0x3fffff;
		bit = (uint8_t)(1u << (a.port - 40684));
		collisions += (seen[host] & bit) != 0;
		seen[host] |= bit;
	}
	free(seen);
	/* 149 are expected. */
	ck_assert_uint_lt(collisions, 220);
	ck_assert_uint_gt(collisions, 80);
}
END_TEST

START_TEST(probes_differ)
{
	struct endpoint_space space = loopback();
	struct addr a[16];
	unsigned same = 0;

	for (uint64_t hash = 0; hash < 1000; hash++)
		for (unsigned probe = 0; probe < 16; probe++) {
			ck_assert(endpoint_at(&a[probe], &space, true, hash * 77777, probe));
			for (unsigned i = 0; i < probe; i++)
				same += addr_equal(&a[i], &a[probe]);
		}
	ck_assert_uint_le(same, 1);
}
END_TEST

START_TEST(single_address)
{
	struct endpoint_space space = {
		.prefixes = { prefix("192.0.2.9", 0) }, .prefix_count = 1, .port_first = 20000, .port_last = 20000
	};
	struct addr a;

	for (uint64_t hash = 0; hash < 50; hash++) {
		ck_assert(endpoint_at(&a, &space, true, hash * UINT64_C(0x123456789abcdef), 0));
		ck_assert_uint_eq(v4_of(&a), 0xc0000209);
		ck_assert_uint_eq(a.port, 20000);
	}
}
END_TEST

START_TEST(all_ports)
{
	struct endpoint_space space = {
		.prefixes = { prefix("192.0.2.9", 0) }, .prefix_count = 1, .port_first = 1, .port_last = UINT16_MAX
	};
	unsigned low = 0;
	struct addr a;

	for (uint64_t hash = 0; hash < 20000; hash++) {
		ck_assert(endpoint_at(&a, &space, true, hash, 0));
		ck_assert_uint_ge(a.port, 1);
		low += a.port < 32768;
	}
	ck_assert_uint_gt(low, 9500);
	ck_assert_uint_lt(low, 10500);
}
END_TEST

START_TEST(families)
{
	struct endpoint_space v4 = loopback(), both = loopback(), none = loopback();
	struct addr a;

	both.prefixes[both.prefix_count++] = prefix("2001:db8::", 64);
	none.prefix_count = 0;
	ck_assert(!endpoint_at(&a, &v4, false, 1, 0));
	ck_assert(!endpoint_at(&a, &none, true, 1, 0));
	for (uint64_t hash = 0; hash < 1000; hash++) {
		ck_assert(endpoint_at(&a, &both, true, hash, 0));
		ck_assert(addr_is_v4(&a));
		ck_assert(endpoint_at(&a, &both, false, hash, 0));
		ck_assert(!addr_is_v4(&a));
		ck_assert_mem_eq(a.ip, both.prefixes[1].first.ip, 8);
	}
}
END_TEST

/* In proportion to their sizes: a quarter each, and a half. */
START_TEST(several_prefixes)
{
	struct endpoint_space space = {
		.prefixes = { prefix("198.51.100.0", 8), prefix("203.0.113.0", 8), prefix("192.0.2.0", 9) },
		.prefix_count = 3,
		.port_first = 5000,
		.port_last = 5001,
	};
	unsigned counts[3] = { 0 };
	struct addr a;

	for (uint64_t hash = 0; hash < 40000; hash++) {
		ck_assert(endpoint_at(&a, &space, true, hash, 0));
		counts[a.ip[12] == 198 ? 0 : a.ip[12] == 203 ? 1 : 2]++;
	}
	ck_assert_uint_gt(counts[0], 9500);
	ck_assert_uint_lt(counts[0], 10500);
	ck_assert_uint_gt(counts[1], 9500);
	ck_assert_uint_lt(counts[1], 10500);
}
END_TEST

START_TEST(contains)
{
	static const struct {
		const char *text;
		bool in;
	} rows[] = {
		{ "127.64.0.0:40684", true },        { "127.127.255.255:40691", true },
		{ "127.63.255.255:40684", false },   { "127.128.0.0:40684", false },
		{ "127.64.0.1:40683", false },       { "127.64.0.1:40692", false },
		{ "[2001:db8::]:40684", true },      { "[2001:db8::ffff:ffff:ffff:ffff]:40691", true },
		{ "[2001:db8:0:1::]:40684", false }, { "[::]:40684", false },
	};
	struct endpoint_space space = loopback();
	struct addr a;

	space.prefixes[space.prefix_count++] = prefix("2001:db8::", 64);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_int_eq(addr_parse(&a, rows[i].text), 0);
		ck_assert_msg(endpoint_contains(&space, &a) == rows[i].in, "%s", rows[i].text);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, literal_endpoints);
	tcase_add_test(tests, within_bounds);
	tcase_add_test(tests, few_collisions);
	tcase_add_test(tests, probes_differ);
	tcase_add_test(tests, single_address);
	tcase_add_test(tests, all_ports);
	tcase_add_test(tests, families);
	tcase_add_test(tests, several_prefixes);
	tcase_add_test(tests, contains);
}

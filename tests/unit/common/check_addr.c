#include <errno.h>
#include <stdlib.h>

#include "common/addr.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

static const struct addr v4 = { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .port = 5684 };
static const struct addr v6 = { .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x01 }, .port = 5684 };

static const struct {
	const char *text;
	struct addr is;
} accepted[] = {
	{ "192.0.2.1:5684", { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 5684 } },
	{ "0.0.0.0:1", { { [10] = 0xff, 0xff }, 1 } },
	{ "10.9.8.7:10090", { { [10] = 0xff, 0xff, 10, 9, 8, 7 }, 10090 } },
	{ "255.255.255.255:65535", { { [10] = 0xff, 0xff, 255, 255, 255, 255 }, 65535 } },
	{ "[2001:db8::1]:5684", { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 5684 } },
	{ "[::]:5684", { { 0 }, 5684 } },
	{ "[::ffff:192.0.2.1]:5684", { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 5684 } },
	{ "[fd80:1111:2222:3333:4444:5555:255.255.255.255]:65535",
	  { { 0xfd, 0x80, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x55, 0x55, 255, 255, 255, 255 }, 65535 } },
	{ "[fe80::1]:5684", { { 0xfe, 0x80, [15] = 1 }, 5684 } },
	{ "[fe80::1%3]:5684", { { 0xfe, 0x80, [7] = 3, [15] = 1 }, 5684 } },
	{ "[fe80::4444:5555:6666:7777%4294967295]:65535",
	  { { 0xfe, 0x80, 0, 0, 255, 255, 255, 255, 0x44, 0x44, 0x55, 0x55, 0x66, 0x66, 0x77, 0x77 }, 65535 } },
};

START_TEST(parse_accepts)
{
	struct addr got;

	memset(&got, 0xee, sizeof got);
	ck_assert_int_eq(addr_parse(&got, accepted[_i].text), 0);
	ck_assert_mem_eq(&got, &accepted[_i].is, sizeof got);
}
END_TEST

static const char *const refused[] = {
	"",
	":",
	":5684",
	"192.0.2.1",
	"192.0.2.1:",
	"192.0.2.1:0",
	"192.0.2.1:05684",
	"192.0.2.1:65536",
	"192.0.2.1:4294972980",
	"192.0.2.1:99999999999999999999999",
	"192.0.2.1:+5684",
	"192.0.2.1:-1",
	"192.0.2.1: 5684",
	"192.0.2.1:5684 ",
	" 192.0.2.1:5684",
	"192.0.2.1:5684x",
	"192.0.2.256:5684",
	"192.0.2:5684",
	"192.0.2.01:5684",
	"localhost:5684",
	"2001:db8::1:5684",
	"[2001:db8::1]",
	"[2001:db8::1]5684",
	"[2001:db8::1]:",
	"[2001:db8::1:5684",
	"[]:5684",
	"[192.0.2.1]:5684",
	"[fe80::1%lo]:5684",
	"[fe80::1%]:5684",
	"[fe80::1%0]:5684",
	"[fe80::1%03]:5684",
	"[fe80::1%3 ]:5684",
	"[fe80::1%4294967296]:5684",
	"[fe80::1%99999999999999999999999]:5684",
	"[2001:db8::1%3]:5684",
	"192.0.2.1%3:5684",
	"[fe80:0:0:3::1]:5684", /* what a scope would look like */
	"[fe80:1::1]:5684",
	"[fe90::1]:5684",
	"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
	"1111111111111111111111111111111111111111111111:1", /* INET6_ADDRSTRLEN octets: no room for the NUL */
	"1111111111111111111111111111111111111111111111111111111111111:1",
};

START_TEST(parse_refuses)
{
	struct addr got;

	ck_assert_msg(addr_parse(&got, refused[_i]) == -EINVAL, "\"%s\" was taken", refused[_i]);
}
END_TEST

START_TEST(parse_ip)
{
	struct addr got = { .port = 1 };

	ck_assert_int_eq(addr_parse_ip(&got, "192.0.2.1"), 0);
	ck_assert_mem_eq(got.ip, v4.ip, sizeof got.ip);
	ck_assert_uint_eq(got.port, 0);
	ck_assert_int_eq(addr_parse_ip(&got, "2001:db8::1"), 0);
	ck_assert_mem_eq(got.ip, v6.ip, sizeof got.ip);
	ck_assert_uint_eq(got.port, 0);
	ck_assert_int_eq(addr_parse_ip(&got, ""), -EINVAL);
	ck_assert_int_eq(addr_parse_ip(&got, "192.0.2.1:5684"), -EINVAL);
	ck_assert_int_eq(addr_parse_ip(&got, "[2001:db8::1]"), -EINVAL);
	ck_assert_int_eq(addr_parse_ip(&got, "192.0.2.1/32"), -EINVAL);
}
END_TEST

static const char *const formatted[] = {
	"192.0.2.1:5684",     "0.0.0.0:1",   "255.255.255.255:65535",
	"[2001:db8::1]:5684", "[::1]:65535", "[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
};

START_TEST(format_is_what_parse_reads)
{
	char text[ADDR_TEXT_OCTETS];
	struct addr got;

	ck_assert_int_eq(addr_parse(&got, formatted[_i]), 0);
	ck_assert_ptr_eq(addr_format(&got, text), text);
	ck_assert_str_eq(text, formatted[_i]);
}
END_TEST

START_TEST(format_without_port)
{
	char text[ADDR_TEXT_OCTETS];
	struct addr a = v4, b = v6;

	a.port = b.port = 0;
	ck_assert_str_eq(addr_format(&a, text), "192.0.2.1");
	ck_assert_str_eq(addr_format(&b, text), "2001:db8::1");
}
END_TEST

START_TEST(equal_and_family)
{
	struct addr other = v4;

	ck_assert(addr_equal(&v4, &other));
	other.port++;
	ck_assert(!addr_equal(&v4, &other));
	other = v4;
	other.ip[15]++;
	ck_assert(!addr_equal(&v4, &other));
	ck_assert(addr_is_v4(&v4));
	ck_assert(!addr_is_v4(&v6));
}
END_TEST

static const struct {
	const char *ip;
	bool loopback, wildcard, unicast;
} kinds[] = {
	{ "127.0.0.0", true, false, true },
	{ "127.0.0.1", true, false, true },
	{ "127.255.255.255", true, false, true },
	{ "126.255.255.255", false, false, true },
	{ "128.0.0.0", false, false, true },
	{ "::1", true, false, true },
	{ "::2", false, false, true },
	{ "::7f00:1", false, false, true },
	{ "0.0.0.0", false, true, false },
	{ "0.0.0.1", false, false, true },
	{ "1.0.0.0", false, false, true },
	{ "::", false, true, false },
	{ "1::", false, false, true },
	{ "223.255.255.255", false, false, true },
	{ "224.0.0.0", false, false, false },
	{ "239.255.255.255", false, false, false },
	{ "240.0.0.0", false, false, true },
	{ "255.255.255.254", false, false, true },
	{ "255.255.255.255", false, false, false },
	{ "feff::1", false, false, true },
	{ "ff00::", false, false, false },
	{ "ff02::1", false, false, false },
	{ "e000::1", false, false, true },
};

START_TEST(kinds_of_address)
{
	struct addr a;

	ck_assert_int_eq(addr_parse_ip(&a, kinds[_i].ip), 0);
	ck_assert_msg(addr_is_loopback(&a) == kinds[_i].loopback, "loopback: %s", kinds[_i].ip);
	ck_assert_msg(addr_is_wildcard(&a) == kinds[_i].wildcard, "wildcard: %s", kinds[_i].ip);
	ck_assert_msg(addr_is_unicast(&a) == kinds[_i].unicast, "unicast: %s", kinds[_i].ip);
}
END_TEST

/* What is read is written as it was, and the wire has no scope. */
START_TEST(scopes)
{
	static const struct {
		const char *text, *bare;
		uint32_t scope;
	} rows[] = {
		{ "[fe80::1%3]:5684", "[fe80::1]:5684", 3 },
		{ "[fe80::1%4294967295]:5684", "[fe80::1]:5684", UINT32_MAX },
		{ "[fe80::1]:5684", "[fe80::1]:5684", 0 },
		{ "[2001:db8:0:3::1]:5684", "[2001:db8:0:3::1]:5684", 0 },
		{ "192.0.2.1:5684", "192.0.2.1:5684", 0 },
	};
	char text[ADDR_TEXT_OCTETS];
	struct addr addr;

	ck_assert_int_eq(addr_parse(&addr, rows[_i].text), 0);
	ck_assert_uint_eq(addr_scope(addr.ip), rows[_i].scope);
	ck_assert_str_eq(addr_format(&addr, text), rows[_i].text);
	addr_set_scope(addr.ip, 0);
	ck_assert(addr_can_have_scope(addr.ip));
	ck_assert_str_eq(addr_format(&addr, text), rows[_i].bare);
	addr_set_scope(addr.ip, rows[_i].scope);
	ck_assert_str_eq(addr_format(&addr, text), rows[_i].text);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, parse_accepts, 0, COUNT_OF(accepted));
	tcase_add_loop_test(tests, parse_refuses, 0, COUNT_OF(refused));
	tcase_add_test(tests, parse_ip);
	tcase_add_loop_test(tests, format_is_what_parse_reads, 0, COUNT_OF(formatted));
	tcase_add_test(tests, format_without_port);
	tcase_add_test(tests, equal_and_family);
	tcase_add_loop_test(tests, kinds_of_address, 0, COUNT_OF(kinds));
	tcase_add_loop_test(tests, scopes, 0, 5);
}

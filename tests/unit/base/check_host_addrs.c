#include "base/host_addrs.h"

#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static struct addr addr_of(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse_ip(&addr, text), 0);
	return addr;
}

START_TEST(this_host)
{
	struct host_addrs one, two;
	const struct addr loopback = addr_of("127.0.0.1"), anywhere = addr_of("127.200.3.4"),
			  other = addr_of("192.0.2.77"), other_6 = addr_of("2001:db8::77");

	ck_assert_int_eq(host_addrs_read(&one), 0);
	ck_assert_uint_gt(one.count, 0);
	ck_assert(host_addrs_have(&one, &loopback));
	ck_assert(host_addrs_have(&one, &anywhere));
	ck_assert(!host_addrs_have(&one, &other));
	ck_assert(!host_addrs_have(&one, &other_6));
	/* Every prefix holds its own address. */
	for (size_t i = 0; i < one.count; i++)
		ck_assert(host_addrs_have(&one, &one.at[i].addr));
	ck_assert_int_eq(host_addrs_read(&two), 0);
	ck_assert(host_addrs_equal(&one, &two));
	two.at[0].bits ^= 1;
	ck_assert(!host_addrs_equal(&one, &two));
	host_addrs_free(&one);
	host_addrs_free(&two);
}
END_TEST

START_TEST(prefixes)
{
	static const struct {
		const char *prefix;
		uint8_t bits;
		const char *addr;
		bool have;
	} all[] = {
		{ "127.0.0.0", 8, "127.255.255.255", true },
		{ "127.0.0.0", 8, "128.0.0.0", false },
		{ "10.0.0.2", 32, "10.0.0.2", true },
		{ "10.0.0.2", 32, "10.0.0.3", false },
		{ "198.51.100.64", 26, "198.51.100.127", true },
		{ "198.51.100.64", 26, "198.51.100.128", false },
		{ "198.51.100.64", 26, "198.51.100.63", false },
		{ "0.0.0.0", 0, "203.0.113.1", true },
		{ "0.0.0.0", 0, "2001:db8::1", false },
		{ "2001:db8::", 61, "2001:db8:0:7::1", true },
		{ "2001:db8::", 61, "2001:db8:0:8::1", false },
		{ "::", 0, "2001:db8::1", true },
		{ "::", 0, "10.0.0.2", false },
		{ "::1", 128, "::1", true },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct host_prefix prefix = { addr_of(all[i].prefix), all[i].bits };
		const struct host_addrs addrs = { &prefix, 1 };
		const struct addr addr = addr_of(all[i].addr);

		ck_assert_msg(host_addrs_have(&addrs, &addr) == all[i].have, "%s in %s/%u", all[i].addr, all[i].prefix,
			      all[i].bits);
	}
}
END_TEST

static const struct {
	const char *host; /* its prefixes, sorted */
	const char *prefix;
	bool all;
} whole[] = {
	{ "10.64.0.0/16", "10.64.0.0/16", true },
	{ "10.64.0.0/15", "10.64.0.0/16", true },
	{ "10.64.0.0/17", "10.64.0.0/16", false },
	{ "10.64.128.0/17", "10.64.0.0/16", false },
	{ "10.64.0.0/17 10.64.128.0/17", "10.64.0.0/16", true },
	{ "10.64.0.0/17 10.64.0.1/32 10.64.128.0/18 10.64.192.0/18", "10.64.0.0/16", true },
	{ "10.64.0.0/17 10.64.128.0/18 10.64.192.0/19", "10.64.0.0/16", false },
	{ "10.64.0.0/17 10.64.160.0/19 10.64.192.0/18", "10.64.0.0/16", false },
	{ "10.0.0.0/8 10.64.0.1/32", "10.64.0.0/16", true },
	{ "10.63.0.0/16 10.65.0.0/16", "10.64.0.0/16", false },
	{ "10.64.0.5/32", "10.64.0.5/32", true },
	{ "10.64.0.4/32", "10.64.0.5/32", false },
	{ "", "10.64.0.0/16", false },
	{ "255.255.255.0/25 255.255.255.128/25", "255.255.255.0/24", true },
	{ "0.0.0.0/0", "255.255.255.0/24", true },
	{ "::/0", "10.64.0.0/16", false },
	{ "10.64.0.0/16", "fd00:64::/64", false },
	{ "fd00:64::/64", "fd00:64::/64", true },
	{ "fd00:64::/65 fd00:64::8000:0:0:0/65", "fd00:64::/64", true },
	{ "fd00:64::/65 fd00:64::8000:0:0:0/66", "fd00:64::/64", false },
	{ "ffff:ffff:ffff:ffff::/64", "ffff:ffff:ffff:ffff::/64", true },
	{ "::/0", "fd00:64::/64", true },
};

static struct host_prefix prefix_of(const char *text)
{
	char ip[64];
	unsigned bits;

	ck_assert_int_eq(sscanf(text, "%63[^/]/%u", ip, &bits), 2);
	return (struct host_prefix){ addr_of(ip), (uint8_t)bits };
}

START_TEST(whole_prefixes)
{
	const struct host_prefix prefix = prefix_of(whole[_i].prefix);
	struct host_prefix at[4];
	struct host_addrs addrs = { at, 0 };

	for (const char *text = whole[_i].host; *text; text += strcspn(text, " "), text += strspn(text, " "))
		at[addrs.count++] = prefix_of(text);
	ck_assert_msg(host_addrs_have_all(&addrs, &prefix) == whole[_i].all, "%s in %s", whole[_i].prefix,
		      whole[_i].host);
}
END_TEST

START_TEST(interfaces)
{
	ck_assert_uint_eq(host_iface("lo"), if_nametoindex("lo"));
	ck_assert_uint_eq(host_iface("no-such-thing"), 0);
	ck_assert_uint_eq(host_iface(""), 0);
	ck_assert_uint_eq(host_iface("0123456789abcdef"), 0); /* longer than any */
	ck_assert_uint_eq(host_iface("lo"), if_nametoindex("lo"));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, this_host);
	tcase_add_test(tests, prefixes);
	tcase_add_loop_test(tests, whole_prefixes, 0, sizeof whole / sizeof *whole);
	tcase_add_test(tests, interfaces);
}

/* The kernel's answers about this host. As root each test runs in a network of its own, with a few interfaces. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/addr.h"
#include "io/netlink.h"
#include "tests/unit/suite.h"

static struct netlink *netlink;

/* False: there is no network of our own to be had. */
static bool own_network(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET) == 0 &&
	       system("ip link set lo up && ip link add one type veth peer one2 && ip link add two type veth peer two2 "
		      "&&"
		      "ip link set one up && ip link set two up && ip link set one2 up && ip link set two2 up &&"
		      "ip address add 10.1.0.1/24 dev one && ip address add fd01::1/64 dev one nodad &&"
		      "ip address add 10.2.0.1/24 dev two && ip address add fd02::1/64 dev two nodad &&"
		      /* The kernel adds the routes to addresses of IPv6 a little later. */
		      "timeout 20 sh -c 'until [ $(ip -6 route show table local | grep -c \"^local fd0[12]::1 \") = 2 ]"
		      "; do sleep 0.01; done'") == 0;
}

static void command(const char *text)
{
	ck_assert_msg(system(text) == 0, "%s", text);
}

static uint32_t iface_of(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse_ip(&addr, text), 0);
	return netlink_route(netlink, addr.ip, NULL).iface;
}

static bool is_local(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse_ip(&addr, text), 0);
	return netlink_route(netlink, addr.ip, NULL).local;
}

static void assert_reached(const char *text, const char *iface)
{
	char name[IF_NAMESIZE];

	ck_assert_msg(strcmp(netlink_name(netlink, iface_of(text), name), iface) == 0, "%s by %s, not %s", text, name,
		      iface);
}

START_TEST(test_loopback)
{
	ck_assert_int_eq(netlink_open(&netlink), 0);
	assert_reached("127.0.0.1", "lo");
	assert_reached("127.64.3.4", "lo");
	ck_assert(is_local("127.64.3.4"));
	netlink_close(netlink);
}
END_TEST

START_TEST(test_routes)
{
	if (!own_network())
		return;
	ck_assert_int_eq(netlink_open(&netlink), 0);
	assert_reached("10.1.0.9", "one");
	assert_reached("10.2.0.9", "two");
	assert_reached("fd01::9", "one");
	assert_reached("fd02::9", "two");
	ck_assert(!is_local("10.1.0.9") && !is_local("fd01::9"));
	assert_reached("10.1.0.1", "one");
	assert_reached("fd01::1", "one");
	ck_assert(is_local("10.1.0.1") && is_local("fd01::1"));
	command("ip route add local 10.64.0.0/16 dev lo && ip -6 route add local fd64::/64 dev lo");
	assert_reached("10.64.1.2", "lo");
	assert_reached("fd64::1:2", "lo");
	ck_assert(is_local("10.64.1.2") && is_local("fd64::1:2"));
	ck_assert_uint_eq(iface_of("192.0.2.1"), 0);
	ck_assert_uint_eq(iface_of("2001:db8::1"), 0);
	command("ip route add default via 10.2.0.2 && ip -6 route add default via fd02::2");
	assert_reached("192.0.2.1", "two");
	assert_reached("2001:db8::1", "two");
	command("ip route add unreachable 192.0.2.0/24");
	ck_assert_uint_eq(iface_of("192.0.2.1"), 0);
	netlink_close(netlink);
}
END_TEST

START_TEST(test_any)
{
	if (!own_network())
		return;
	ck_assert_int_eq(netlink_open(&netlink), 0);
	command("ip route add 192.0.2.0/24 nexthop via 10.1.0.2 nexthop via 10.2.0.2");
	ck_assert_uint_eq(iface_of("192.0.2.1"), 0);
	command("ip -6 route add 2001:db8::/32 nexthop via fd01::2 nexthop via fd02::2");
	ck_assert_uint_eq(iface_of("2001:db8::1"), 0);
	/* Whoever has rules may have another way back. */
	command("ip route add 198.51.100.0/24 via 10.1.0.2 table 77 && ip rule add to 198.51.100.0/24 lookup 77");
	ck_assert_uint_eq(iface_of("198.51.100.1"), 0);
	netlink_close(netlink);
}
END_TEST

static bool changes_within(int ms)
{
	struct pollfd poll_on = { .fd = netlink_changes(netlink), .events = POLLIN };

	return poll(&poll_on, 1, ms) == 1;
}

static bool changed(void)
{
	return changes_within(0);
}

/* The kernel tells some changes a little later. */
static void settle(void)
{
	while (changes_within(100))
		netlink_read_changes(netlink);
}

static uint32_t iface_from(const char *to_text, const char *from_text)
{
	struct addr to, from;

	ck_assert_int_eq(addr_parse_ip(&to, to_text), 0);
	ck_assert_int_eq(addr_parse_ip(&from, from_text), 0);
	return netlink_route(netlink, to.ip, from.ip).iface;
}

/* What leaves from some addresses may go another way, and its answers may come another way. */
START_TEST(test_rules_of_sources)
{
	if (!own_network())
		return;
	ck_assert_int_eq(netlink_open(&netlink), 0);
	command("ip route add local 10.64.0.0/16 dev lo && ip -6 route add local fd64::/64 dev lo");
	ck_assert_uint_ne(iface_of("10.1.0.9"), 0);
	ck_assert_uint_eq(iface_from("10.1.0.9", "10.64.0.0"), iface_of("10.1.0.9"));
	ck_assert_uint_eq(iface_from("fd01::9", "fd64::"), iface_of("fd01::9"));
	command("ip rule add from 10.64.0.0/16 lookup 77 && ip route add 10.1.0.0/16 via 10.2.0.2 table 77");
	command("ip -6 rule add from fd64::/64 lookup 77 && ip -6 route add fd01::/64 via fd02::2 table 77");
	ck_assert_uint_eq(iface_from("10.1.0.9", "10.64.0.0"), 0);
	ck_assert_uint_eq(iface_from("fd01::9", "fd64::"), 0);
	ck_assert_uint_eq(iface_from("10.1.0.9", "10.1.0.1"), iface_of("10.1.0.9"));
	/* No address of this host. */
	ck_assert_uint_eq(iface_from("10.1.0.9", "192.0.2.1"), 0);
	netlink_close(netlink);
}
END_TEST

START_TEST(test_changes)
{
	static const char *const commands[] = {
		"ip route add 192.0.2.0/24 via 10.1.0.2",
		"ip -6 route add 2001:db8::/32 via fd01::2",
		"ip address add 10.3.0.1/24 dev two",
		"ip -6 address add fd03::1/64 dev two nodad",
		"ip link set two down",
		"ip rule add to 198.51.100.0/24 lookup 77",
	};

	if (!own_network())
		return;
	ck_assert_int_eq(netlink_open(&netlink), 0);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		settle();
		command(commands[i]);
		ck_assert_msg(changed(), "%s", commands[i]);
	}
	settle();
	/* Questions are no changes. */
	assert_reached("10.1.0.9", "one");
	ck_assert(!changed());
	netlink_close(netlink);
}
END_TEST

struct found {
	unsigned count;
	bool v4, v6;
	uint32_t iface;
};

static void find(void *ctx, uint32_t iface, const uint8_t ip[static 16])
{
	struct found *found = ctx;
	struct addr v4, v6;

	ck_assert_int_eq(addr_parse_ip(&v4, "10.1.0.1"), 0);
	ck_assert_int_eq(addr_parse_ip(&v6, "fd02::1"), 0);
	found->count++;
	found->v4 |= memcmp(v4.ip, ip, 16) == 0 && iface == found->iface;
	found->v6 |= memcmp(v6.ip, ip, 16) == 0;
}

START_TEST(test_addresses)
{
	struct found found = { 0 }, many = { 0 };

	if (!own_network())
		return;
	ck_assert_int_eq(netlink_open(&netlink), 0);
	found.iface = iface_of("10.1.0.9");
	ck_assert_int_eq(netlink_addresses(netlink, find, &found), 0);
	ck_assert(found.v4 && found.v6);
	/* More than one part of an answer holds. */
	command("for i in $(seq 1 250); do for j in 1 2 3 4; do echo address add 10.$((8 + j)).0.$i/32 dev one; done; "
		"done | ip -batch -");
	ck_assert_int_eq(netlink_addresses(netlink, find, &many), 0);
	ck_assert_uint_eq(many.count, found.count + 1000);
	assert_reached("10.12.0.250", "one");
	netlink_close(netlink);
}
END_TEST

static struct netlink_hop hop_to(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse_ip(&addr, text), 0);
	return netlink_hop(netlink, addr.ip);
}

static void assert_neighbour(const char *text, const char *mac, bool is_sure)
{
	const struct netlink_hop hop = hop_to(text);
	char found[18];

	ck_assert_msg(hop.has_mac && !hop.behind_gateway, "%s", text);
	snprintf(found, sizeof found, "%02x:%02x:%02x:%02x:%02x:%02x", hop.mac[0], hop.mac[1], hop.mac[2], hop.mac[3],
		 hop.mac[4], hop.mac[5]);
	ck_assert_str_eq(found, mac);
	ck_assert(hop.is_sure == is_sure);
}

static void assert_leaves_from(const struct netlink_hop *hop, const char *text)
{
	struct addr from;

	ck_assert_int_eq(addr_parse_ip(&from, text), 0);
	ck_assert_msg(memcmp(from.ip, hop->from, sizeof from.ip) == 0, "%s", text);
}

START_TEST(test_hops)
{
	char name[IF_NAMESIZE];

	if (!own_network())
		return;
	ck_assert_int_eq(netlink_open(&netlink), 0);
	/* This host's own, nobody's, and a neighbour that nobody has asked for. */
	ck_assert_uint_eq(hop_to("10.1.0.1").iface, 0);
	ck_assert_uint_eq(hop_to("203.0.113.1").iface, 0);
	command("ip link set one mtu 1400");
	struct netlink_hop hop = hop_to("10.1.0.2");
	ck_assert_str_eq(netlink_name(netlink, hop.iface, name), "one");
	ck_assert_uint_eq(hop.mtu, 1400);
	ck_assert(!hop.has_mac && !hop.behind_gateway);
	assert_leaves_from(&hop, "10.1.0.1");
	command("ip neighbour add 10.1.0.2 lladdr 02:00:00:00:00:02 dev one nud permanent");
	assert_neighbour("10.1.0.2", "02:00:00:00:00:02", true);
	command("ip neighbour replace 10.1.0.2 lladdr 02:00:00:00:00:03 dev one nud stale");
	assert_neighbour("10.1.0.2", "02:00:00:00:00:03", false);
	command("ip neighbour replace 10.1.0.2 lladdr 02:00:00:00:00:03 dev one nud failed");
	ck_assert(!hop_to("10.1.0.2").has_mac);
	command("ip neighbour add fd02::2 lladdr 02:00:00:00:00:06 dev two nud permanent");
	assert_neighbour("fd02::2", "02:00:00:00:00:06", true);
	hop = hop_to("fd02::2");
	assert_leaves_from(&hop, "fd02::1");
	/* A router's address is not that of who is behind it. */
	command("ip route add 10.7.0.0/16 via 10.1.0.2 && ip route add 10.8.0.0/16 via inet6 fd02::2");
	hop = hop_to("10.7.0.1");
	ck_assert_str_eq(netlink_name(netlink, hop.iface, name), "one");
	ck_assert(hop.behind_gateway && !hop.has_mac);
	hop = hop_to("10.8.0.1");
	ck_assert_str_eq(netlink_name(netlink, hop.iface, name), "two");
	ck_assert(hop.behind_gateway && !hop.has_mac);
	command("ip route replace 10.7.0.0/16 via 10.1.0.2 src 10.2.0.1");
	hop = hop_to("10.7.0.1");
	assert_leaves_from(&hop, "10.2.0.1");
	netlink_close(netlink);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_loopback);
	tcase_add_test(tests, test_routes);
	tcase_add_test(tests, test_any);
	tcase_add_test(tests, test_rules_of_sources);
	tcase_add_test(tests, test_changes);
	tcase_add_test(tests, test_addresses);
	tcase_add_test(tests, test_hops);
}

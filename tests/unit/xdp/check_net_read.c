/* What the fast path makes of this host's routes and neighbours. As root each test runs in a network of its own. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>

#include "base/host_addrs.h"
#include "tests/unit/suite.h"
#include "xdp/net_read.h"

static struct netlink *netlink;
static struct fast_around *around;

static void command(const char *text)
{
	ck_assert_msg(system(text) == 0, "%s", text);
}

/* False: there is no network of our own to be had. Else interfaces one and two are the fast path's, and three is not.
 */
static bool begin(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return false;
	command("ip link set lo up; for i in one two three; do"
		" ip link add $i type veth peer ${i}2; ip link set $i up; ip link set ${i}2 up; done;"
		"ip link set two mtu 1400;"
		"ip address add 10.1.0.1/24 dev one; ip address add fd01::1/64 dev one nodad;"
		"ip address add 10.2.0.1/24 dev two; ip address add 10.3.0.1/24 dev three;"
		"ip neighbour add 10.1.0.2 lladdr 02:00:00:00:00:12 dev one nud permanent;"
		"ip neighbour add 10.1.0.3 lladdr 02:00:00:00:00:13 dev one nud stale;"
		"ip neighbour add 10.2.0.2 lladdr 02:00:00:00:00:22 dev two nud permanent;"
		"ip neighbour add 10.3.0.2 lladdr 02:00:00:00:00:32 dev three nud permanent;"
		"ip neighbour add fd01::2 lladdr 02:00:00:00:01:12 dev one nud permanent;"
		"ip route add 10.10.0.0/16 via 10.1.0.2; ip route add 10.10.5.0/24 via 10.2.0.2 mtu 1300;"
		"ip route add 10.11.0.0/16 via 10.3.0.2; ip route add blackhole 10.12.0.0/16;"
		"ip route add 10.13.0.0/16 nexthop via 10.1.0.2 nexthop via 10.2.0.2;"
		"ip route add 10.14.0.0/16 via 10.2.0.2 metric 20; ip route add 10.14.0.0/16 via 10.1.0.2 metric 10;"
		"ip route add 10.15.0.0/16 via 10.1.0.9; ip route add fd10::/32 via fd01::2");
	const uint32_t ifindexes[] = { if_nametoindex("one"), if_nametoindex("two") };
	ck_assert_int_eq(host_addrs_open(), 0);
	ck_assert_int_eq(netlink_open_all(&netlink), 0);
	around = fast_around_new(ifindexes, 2);
	ck_assert_ptr_nonnull(around);
	return true;
}

static void end(void)
{
	fast_around_free(around);
	netlink_close(netlink);
}

static void look(const char *wanted)
{
	struct addr addr = { .port = 0 };

	if (wanted)
		ck_assert_int_eq(addr_parse_ip(&addr, wanted), 0);
	ck_assert_int_eq(fast_around_read(around, netlink, &addr, wanted ? 1 : 0), 0);
}

/* "device mtu last-octet" of the next hop, or "". */
static const char *hop_to(const char *text)
{
	static char out[32];
	struct addr addr;

	ck_assert_int_eq(addr_parse_ip(&addr, text), 0);
	const struct fast_hop hop = fast_net_hop(fast_around_net(around), &addr);
	out[0] = '\0';
	if (hop.mtu)
		snprintf(out, sizeof out, "%u %u %02x", hop.device, hop.mtu, hop.to[5]);
	return out;
}

static const struct {
	const char *to, *hop;
} hops[] = {
	{ "10.1.0.2", "0 1500 12" },  /* a neighbour */
	{ "10.1.0.4", "" },           /* nobody knows it */
	{ "10.2.0.2", "1 1400 22" },  /* with the link's MTU */
	{ "10.3.0.2", "" },           /* on an interface that is not the fast path's */
	{ "10.10.1.1", "0 1500 12" }, /* behind a gateway */
	{ "10.10.5.1", "1 1300 22" }, /* the longer prefix, with an MTU of its own */
	{ "10.11.0.1", "" },          /* behind another interface */
	{ "10.12.0.1", "" },          /* dropped by the kernel */
	{ "10.13.0.1", "" },          /* several next hops: only the kernel knows which */
	{ "10.14.0.1", "0 1500 12" }, /* the lower metric */
	{ "10.15.0.1", "" },          /* its gateway does not answer */
	{ "192.0.2.1", "" },          /* no route */
	{ "fd01::2", "0 1500 12" },   { "fd10:0:5::1", "0 1500 12" }, { "fd11::1", "" },
};

START_TEST(next_hops)
{
	if (!begin())
		return;
	look(NULL);
	ck_assert_uint_eq(fast_around_left_out(around), 0);
	for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
		ck_assert_msg(strcmp(hop_to(hops[i].to), hops[i].hop) == 0, "%s: %s", hops[i].to, hop_to(hops[i].to));
	end();
}
END_TEST

/* Only for who is asked after, what the kernel has not seen lately is good enough. */
START_TEST(stale_neighbours)
{
	const struct addr *stale;
	size_t count;

	if (!begin())
		return;
	look(NULL);
	ck_assert_str_eq(hop_to("10.1.0.3"), "");
	look("10.1.0.3");
	ck_assert_str_eq(hop_to("10.1.0.3"), "0 1500 13");
	stale = fast_around_stale(around, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(stale[0].ip[15], 3);
	command("ip neighbour replace 10.1.0.2 lladdr 02:00:00:00:00:14 dev one nud stale");
	look(NULL);
	/* The gateway of several routes is one neighbour each time. */
	ck_assert_str_eq(hop_to("10.10.1.1"), "0 1500 14");
	(void)fast_around_stale(around, &count);
	ck_assert_uint_gt(count, 0);
	end();
}
END_TEST

/* Rules of one's own, and more routes than there is room for: nobody knows any way, in that family. */
START_TEST(what_only_the_kernel_knows)
{
	if (!begin())
		return;
	command("ip rule add from 10.9.9.9 lookup main");
	look(NULL);
	ck_assert_str_eq(hop_to("10.1.0.2"), "");
	ck_assert_str_eq(hop_to("fd01::2"), "0 1500 12");
	command("ip rule del from 10.9.9.9 lookup main; ip route add default via 10.1.0.2 table default");
	look(NULL);
	ck_assert_str_eq(hop_to("10.1.0.2"), "");
	command("ip route del default via 10.1.0.2 table default");
	look(NULL);
	ck_assert_str_eq(hop_to("10.1.0.2"), "0 1500 12");
	command("for i in $(seq 40); do ip route add 10.20.$i.0/24 via 10.1.0.2; done");
	look(NULL);
	ck_assert_str_eq(hop_to("10.1.0.2"), "");
	ck_assert_uint_gt(fast_around_left_out(around), 0);
	ck_assert_str_eq(hop_to("fd01::2"), "0 1500 12");
	end();
}
END_TEST

START_TEST(a_link_goes_down)
{
	if (!begin())
		return;
	look(NULL);
	(void)netlink_read_changes(netlink);
	command("ip link set two down");
	ck_assert(netlink_read_changes(netlink));
	look(NULL);
	ck_assert_str_eq(hop_to("10.2.0.2"), "");
	ck_assert_str_eq(hop_to("10.1.0.2"), "0 1500 12");
	end();
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, next_hops);
	tcase_add_test(tests, stale_neighbours);
	tcase_add_test(tests, what_only_the_kernel_knows);
	tcase_add_test(tests, a_link_goes_down);
}

/* Mode tunnel: the header in front of what leaves, and everything that a reply is checked for. tests/e2e/proxy2.py
 * computed the tags. */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "path/forward.h"
#include "tests/fixtures/open_socket.h"
#include "tests/fixtures/path_bed.h"
#include "tests/unit/suite.h"

#define SIGNATURE "0d0a0d0a000d0a515549540a"
#define RECORD                                                                                                         \
	"19fefd0001000000000001 0120b1d07b359d3c 0020 "                                                                \
	"000100000000000100112233445566778899aabbccddeeff0011223344556677"

/* 198.51.100.7:5684 to 192.0.2.1:56324. */
#define DOWN_ENDS "c6336407 c0000201 1634 dc04"
#define DOWN_TAG  "094165044dd71593"
#define DOWN      SIGNATURE "21 12 0019" DOWN_ENDS "e0000a 11 01" DOWN_TAG
#define DOWN_2    SIGNATURE "21 12 0019" DOWN_ENDS "e0000a 21 01 70431882d44ffe49"

/* The other way round. Version 1 has the offer of version 2. */
#define UP_ENDS   "c0000201 c6336407 dc04 1634"
#define UP        SIGNATURE "21 12 001c" UP_ENDS "e10000 e0000a 10 01 a9750b7c3742f7a0"
#define UP_DIRECT SIGNATURE "21 12 0019" UP_ENDS "e0000a 22 01 ce1658eca6c9a191"
#define UP_2      SIGNATURE "21 12 0019" UP_ENDS "e0000a 20 01 ec40bf37d3af5615"

static struct path_bed bed;
static int server; /* backend "a" */
static int tunnel;

static void publish(void)
{
	path_bed_publish(&bed);
}

static void set_up(void)
{
	struct addr local;

	path_bed_begin(&bed, socket_io_new());
	bed.configured.pool.nat = (struct conf_nat){ 0 };
	bed.configured.pool.forward = FORWARD_TUNNEL;
	ck_assert_int_eq(proxy2_parse_keys(&bed.configured.pool.tunnel.keys, "1:000102030405060708090a0b0c0d0e0f"), 0);
	ck_assert_int_eq(addr_parse(&bed.configured.listener.addr, "198.51.100.7:5684"), 0);
	server = open_socket("127.0.0.1", SOCKET_LISTENER, &bed.configured.backend[0].addr);
	tunnel = open_socket("127.0.0.1", SOCKET_TUNNEL, &local);
	bed.path->pool_handles[bed.configured.pool_uid] = tunnel;
	publish();
}

static void tear_down(void)
{
	close(server);
	close(tunnel);
	path_bed_end(&bed);
}

static uint64_t dropped(unsigned reason)
{
	return atomic_load(&bed.path->stats.tunnel_dropped[bed.configured.pool_uid][reason]);
}

static uint64_t dropped_in_all(void)
{
	uint64_t sum = 0;

	for (unsigned reason = 0; reason < TUNNEL_DROPS; reason++)
		sum += dropped(reason);
	return sum;
}

static void receive(const char *from, const char *local, const char *hex)
{
	struct addr device, service;

	ck_assert_int_eq(addr_parse(&device, from), 0);
	if (local)
		ck_assert_int_eq(addr_parse_ip(&service, local), 0);
	path_bed_receive(&bed, &device, local ? &service : NULL, hex);
}

static void assert_arrives(int fd, const char *hex)
{
	struct octets expected = octets_of(hex);
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	uint8_t data[2048];

	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	ck_assert_int_eq(recv(fd, data, sizeof data, 0), (ssize_t)expected.len);
	ck_assert_mem_eq(data, expected.at, expected.len);
	free(expected.at);
}

static void assert_silence(int fd)
{
	uint8_t octet;

	ck_assert_int_eq(recv(fd, &octet, sizeof octet, MSG_DONTWAIT), -1);
}

START_TEST(header_in_front)
{
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP RECORD);
	ck_assert_uint_eq(bed.path->stats.sent_up[bed.configured.uid[0]].datagrams, 1);
	ck_assert_uint_eq(bed.path->stats.verdicts[bed.configured.listener_uid][VERDICT_CID], 1);
	ck_assert_uint_eq(flows_count(bed.shared.flows, bed.configured.pool_uid).flows[FLOW_CLASS_HANDSHAKE], 0);
}
END_TEST

/* Servers are asked to answer devices themselves. */
START_TEST(direct)
{
	bed.configured.pool.tunnel.reply = REPLY_DIRECT;
	publish();
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP_DIRECT RECORD);
	ck_assert_uint_eq(bed.path->stats.sent_up[bed.configured.uid[0]].datagrams, 1);
}
END_TEST

/* But not those that only this host reaches, over a link. */
START_TEST(not_direct_over_a_link)
{
	bed.configured.pool.tunnel.reply = REPLY_DIRECT;
	ck_assert_int_eq(addr_parse(&bed.configured.listener.addr, "[2001:db8:ffff::7]:5684"), 0);
	publish();
	receive("[fe80::1%3]:56324", NULL, RECORD);
	assert_arrives(server, SIGNATURE "21 22 0034 fe800000000000030000000000000001 20010db8ffff00000000000000000007 "
					 "dc04 1634 e10000 e0000a 10 01 cc56fe144ed5b3d8" RECORD);
}
END_TEST

/* The service address is the one that the device sent to. IPv6 devices go through an IPv4 tunnel. */
START_TEST(header_of_a_wildcard_listener)
{
	ck_assert_int_eq(addr_parse(&bed.configured.listener.addr, "0.0.0.0:5684"), 0);
	publish();
	receive("192.0.2.1:56324", "198.51.100.7", RECORD);
	assert_arrives(server, UP RECORD);
	ck_assert_int_eq(addr_parse(&bed.configured.listener.addr, "[::]:5684"), 0);
	publish();
	receive("[2001:db8::1]:56324", "2001:db8:ffff::7", RECORD);
	assert_arrives(server, SIGNATURE
		       "21 22 0034 20010db8000000000000000000000001 20010db8ffff00000000000000000007 dc04 1634"
		       "e10000 e0000a 10 01 941979f479ae92af" RECORD);
	/* No numbers are given out for addresses that strangers choose. */
	ck_assert_uint_lt(service_addrs_number(bed.shared.service_addrs, bed.configured.listener_uid,
					       bed.configured.listener.addr.ip),
			  STATS_LISTENERS + 1);
}
END_TEST

START_TEST(the_first_key_signs)
{
	ck_assert_int_eq(proxy2_parse_keys(&bed.configured.pool.tunnel.keys,
					   "200:101112131415161718191a1b1c1d1e1f\n1:000102030405060708090a0b0c0d0e0f"),
			 0);
	publish();
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server,
		       SIGNATURE "21 12 001c c0000201 c6336407 dc04 1634 e10000 e0000a 10 c8 7695de1601a85eba" RECORD);
}
END_TEST

START_TEST(no_address)
{
	bed.configured.backend[0].addr = (struct addr){ .port = 6001 };
	publish();
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert_uint_eq(bed.path->stats.refused_up[bed.configured.pool_uid][REFUSED_NO_ADDRESS], 1);
	ck_assert_uint_eq(bed.path->stats.sent_up[bed.configured.uid[0]].datagrams, 0);
}
END_TEST

#define HELLO_OF(random, seq, offset)                                                                                  \
	"16fefd0000000000000000 0034 01 000028" seq offset "000028 fefd" random                                        \
	"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 00 0002 c0a8"
#define HELLO(seq, offset) HELLO_OF("00", seq, offset)
#define KEY_EXCHANGE       "16fefd0000000000000002 000d 10 000001 0002 000000 000001 00"
#define VERIFY             "16fefd0000000000000000 0010 03 000004 0000 000000 000004 fefd 01 aa"

static uint64_t sent_to(int backend)
{
	return atomic_load(&bed.path->stats.sent_up[bed.configured.uid[backend]].datagrams);
}

static uint64_t verdicts(enum verdict verdict)
{
	return bed.path->stats.verdicts[bed.configured.listener_uid][verdict];
}

/* The server that a handshake began with gets the rest of it, while it is drained and others take its place; another
 * address, and what begins anew, goes where the table leads. */
START_TEST(hint_of_a_handshake)
{
	bed.configured.backend[1].admin = bed.configured.backend[2].admin = BACKEND_MAINT;
	publish();
	receive("192.0.2.1:56324", NULL, HELLO("0000", "000000"));
	ck_assert_uint_eq(sent_to(0), 1);
	bed.configured.backend[1].admin = BACKEND_READY;
	bed.configured.backend[0].admin = BACKEND_DRAIN;
	publish();
	receive("192.0.2.1:56324", NULL, HELLO("0001", "000000"));
	receive("192.0.2.1:56324", NULL, KEY_EXCHANGE);
	ck_assert_uint_eq(sent_to(0), 3);
	ck_assert_uint_eq(verdicts(VERDICT_HINT), 2);
	receive("192.0.2.1:56325", NULL, KEY_EXCHANGE);
	ck_assert_uint_eq(verdicts(VERDICT_HASH), 2);
	/* A first ClientHello that comes again may have been answered. */
	receive("192.0.2.1:56324", NULL, HELLO("0000", "000000"));
	ck_assert_uint_eq(sent_to(0), 4);
	receive("192.0.2.1:56324", NULL, HELLO_OF("01", "0000", "000000"));
	receive("192.0.2.1:56324", NULL, KEY_EXCHANGE);
	ck_assert_uint_eq(sent_to(1), 3);
	/* In maint it gets nothing. */
	bed.configured.backend[1].admin = BACKEND_MAINT;
	bed.configured.backend[0].admin = BACKEND_READY;
	publish();
	receive("192.0.2.1:56324", NULL, HELLO_OF("01", "0000", "000000"));
	receive("192.0.2.1:56324", NULL, KEY_EXCHANGE);
	ck_assert_uint_eq(sent_to(0), 6);
}
END_TEST

/* What was limited is not remembered. */
START_TEST(hint_of_what_was_admitted)
{
	bed.configured.pool.hello_rate.pool = 1;
	publish();
	for (int i = 0; i < 4; i++) {
		const char *const from[] = { "192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "192.0.2.1:4" };
		receive(from[i], NULL, HELLO("0000", "000000"));
	}
	ck_assert_uint_eq(verdicts(VERDICT_LIMITED), 2);
	receive("192.0.2.1:2", NULL, KEY_EXCHANGE);
	receive("192.0.2.1:3", NULL, KEY_EXCHANGE);
	ck_assert_uint_eq(verdicts(VERDICT_HINT), 1);
	/* The second ClientHello is free, a fragment of a handshake that was not admitted is limited. */
	receive("192.0.2.1:2", NULL, HELLO("0001", "000000"));
	ck_assert_uint_eq(verdicts(VERDICT_LIMITED), 2);
	receive("192.0.2.1:3", NULL, HELLO("0001", "000000"));
	receive("192.0.2.1:3", NULL, "16fefd0000000000000000 000d 01 000028 0000 000001 000001 fd");
	ck_assert_uint_eq(verdicts(VERDICT_LIMITED), 4);
}
END_TEST

/* There is no flow to follow: a datagram without a CID goes by hash, and always the same way. */
START_TEST(no_hint)
{
	for (int i = 1; i < NAT_BACKENDS; i++)
		bed.configured.backend[i].weight = 0;
	publish();
	receive("192.0.2.1:56324", NULL, "16fefd0001000000000001 0004 00112233");
	assert_arrives(server, UP "16fefd0001000000000001 0004 00112233");
	ck_assert_uint_eq(bed.path->stats.verdicts[bed.configured.listener_uid][VERDICT_HASH], 1);
}
END_TEST

/* Datagrams of one size leave together, and arrive as they were. */
START_TEST(a_batch)
{
	struct octets in = octets_of(RECORD);
	struct io_datagram datagrams[4];

	for (int i = 0; i < COUNT_OF(datagrams); i++) {
		datagrams[i] = (struct io_datagram){ .data = in.at, .len = in.len };
		ck_assert_int_eq(addr_parse(&datagrams[i].from, "192.0.2.1:56324"), 0);
	}
	batch_uplink(bed.path, path_bed_table(&bed), bed.configured.listener_uid, datagrams, COUNT_OF(datagrams));
	io_flush(bed.path->outbox);
	free(in.at);
	for (int i = 0; i < COUNT_OF(datagrams); i++)
		assert_arrives(server, UP RECORD);
	ck_assert_uint_eq(bed.path->stats.tunnel_segmented[bed.configured.pool_uid], 4);
	ck_assert_uint_eq(bed.path->stats.sent_up[bed.configured.uid[0]].datagrams, 4);
}
END_TEST

/* What is learnt of a path is forgotten when it leads elsewhere, and after a minute. */
START_TEST(paths)
{
	const struct io_pmtu *path = &bed.path->pmtus[bed.configured.uid[0]];

	bed.path->now_ms = 5000;
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert(addr_equal(&path->to, &bed.configured.backend[0].addr));
	ck_assert_uint_eq(path->most, UINT16_MAX);
	bed.path->pmtus[bed.configured.uid[0]].most = 50;
	bed.path->now_ms = 65000;
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert_uint_eq(path->most, 50);
	ck_assert_uint_eq(bed.path->stats.tunnel_fragmented[bed.configured.pool_uid], 1);
	bed.path->now_ms = 65001;
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert_uint_eq(path->most, UINT16_MAX);
	bed.path->pmtus[bed.configured.uid[0]].most = 50;
	ck_assert_int_eq(addr_parse_ip(&bed.configured.backend[0].addr, "127.0.0.2"), 0);
	bed.configured.backend[0].addr.port = 9;
	publish();
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert_uint_eq(path->most, UINT16_MAX);
	ck_assert_uint_eq(bed.path->stats.tunnel_fragmented[bed.configured.pool_uid], 1);
}
END_TEST

/* One receive at the tunnel's socket; `segment` as in io.h. */
static void reply(const struct addr *from, const char *hex, size_t segment)
{
	struct octets in = octets_of(hex);
	struct io_datagram datagram = { .data = in.at, .len = in.len, .from = *from, .segment = segment };
	const struct table *table = path_bed_table(&bed);

	batch_pool_reply(bed.path, table, table->pool_of_uid[bed.configured.pool_uid], &datagram, 1);
	io_flush(bed.path->outbox);
	free(in.at);
}

/* There is no listener's socket, so a good reply is refused. */
static uint64_t refused_down(void)
{
	return atomic_load(&bed.path->stats.refused_down[bed.configured.pool_uid][REFUSED_SEND]);
}

static const struct {
	const char *name;
	unsigned reason; /* PROXY2_GOOD: taken */
	const char *hex;
} replies[] = {
	{ "good", PROXY2_GOOD, DOWN "17fefd" },
	{ "good and empty", PROXY2_GOOD, DOWN },
	{ "version 2", PROXY2_GOOD, DOWN_2 "17fefd" },
	{ "nothing at all", PROXY2_NO_HEADER, "" },
	{ "no header", PROXY2_NO_HEADER, "17fefd00010000000000010004aabbccdd" },
	{ "lies about its length", PROXY2_LENGTH, SIGNATURE "21 12 0020" DOWN_ENDS "e0000a 11 01" DOWN_TAG },
	{ "a TLV that lies", PROXY2_LENGTH, SIGNATURE "21 12 0019" DOWN_ENDS "e0000b 11 01" DOWN_TAG },
	{ "LOCAL", PROXY2_KIND, SIGNATURE "20 00 0000" },
	{ "STREAM", PROXY2_KIND, SIGNATURE "21 11 0019" DOWN_ENDS "e0000a 11 01" DOWN_TAG },
	{ "no tag", PROXY2_NO_TAG, SIGNATURE "21 12 000c" DOWN_ENDS },
	{ "what went up comes back", PROXY2_DIRECTION,
	  SIGNATURE "21 12 0019 c0000201 c6336407 dc04 1634 e0000a 10 01 a9750b7c3742f7a0" },
	{ "what asked for a direct answer comes back", PROXY2_DIRECTION, UP_DIRECT },
	{ "another key's id", PROXY2_KEY, SIGNATURE "21 12 0019" DOWN_ENDS "e0000a 11 02" DOWN_TAG },
	{ "a wrong tag", PROXY2_TAG, SIGNATURE "21 12 0019" DOWN_ENDS "e0000a 11 01 094165044dd71592" },
	{ "another device under the tag", PROXY2_TAG,
	  SIGNATURE "21 12 0019 c6336407 c0000202 1634 dc04 e0000a 11 01" DOWN_TAG },
	/* 198.51.100.8:5684, 198.51.100.7:5685 */
	{ "an address that is no listener", TUNNEL_SERVICE,
	  SIGNATURE "21 12 0019 c6336408 c0000201 1634 dc04 e0000a 11 01 fa66bf039f9f1817" },
	{ "a port that is no listener", TUNNEL_SERVICE,
	  SIGNATURE "21 12 0019 c6336407 c0000201 1635 dc04 e0000a 11 01 859b6403ae56f641" },
};

START_TEST(held_against)
{
	const unsigned reason = replies[_i].reason;

	reply(&bed.configured.backend[0].addr, replies[_i].hex, 0);
	ck_assert_msg(dropped_in_all() == (reason != PROXY2_GOOD), "%s", replies[_i].name);
	ck_assert_msg(reason == PROXY2_GOOD || dropped(reason) == 1, "%s", replies[_i].name);
	ck_assert_uint_eq(bed.path->stats.replies[bed.configured.pool_uid], reason == PROXY2_GOOD);
	ck_assert_uint_eq(refused_down(), reason == PROXY2_GOOD);
}
END_TEST

#define RETRY                                                                                                          \
	"16fefd0000000000000000 0034 02 000028 0000 000000 000028 fefd"                                                \
	"cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c 00 1301 00 0000"

/* The server that asks for a cookie gets it back, and whoever repeats it pays nothing. */
START_TEST(cookie)
{
	bed.configured.pool.hello_rate.pool = 1;
	bed.configured.backend[1].weight = bed.configured.backend[2].weight = 0;
	publish();
	receive("192.0.2.1:56324", NULL, HELLO("0000", "000000"));
	receive("192.0.2.1:56324", NULL, HELLO("0000", "000000"));
	ck_assert_uint_eq(sent_to(0), 2);
	ck_assert_uint_eq(bed.path->stats.begun[bed.configured.uid[0]], 1);
	ck_assert_uint_eq(bed.path->stats.answered[bed.configured.uid[0]], 0);
	reply(&bed.configured.backend[0].addr, DOWN KEY_EXCHANGE, 0);
	ck_assert_uint_eq(bed.path->stats.answered[bed.configured.uid[0]], 0);
	reply(&bed.configured.backend[0].addr, DOWN "15fefd0000000000000000 0002 0228", 0);
	ck_assert_uint_eq(bed.path->stats.answered[bed.configured.uid[0]], 1);
	reply(&bed.configured.backend[1].addr, DOWN VERIFY, 0);
	ck_assert_uint_eq(bed.path->stats.answered[bed.configured.uid[1]], 1);
	receive("192.0.2.1:56324", NULL, KEY_EXCHANGE);
	ck_assert_uint_eq(sent_to(1), 1);
	reply(&bed.configured.backend[2].addr, DOWN RETRY, 0);
	receive("192.0.2.1:56324", NULL, KEY_EXCHANGE);
	ck_assert_uint_eq(sent_to(2), 1);
	reply(&bed.configured.backend[1].addr, DOWN VERIFY, 0);
	receive("192.0.2.1:1", NULL, HELLO("0000", "000000"));
	receive("192.0.2.1:2", NULL, HELLO("0000", "000000"));
	ck_assert_uint_eq(verdicts(VERDICT_LIMITED), 1);
	/* Another random, and the cookie */
	receive("192.0.2.1:56324", NULL,
		"16fefd0000000000000000 0035 01 000029 0001 000000 000029 fefd"
		"ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 01aa 0002 c0a8");
	ck_assert_uint_eq(sent_to(1), 2);
	ck_assert_uint_eq(verdicts(VERDICT_LIMITED), 1);
	/* Another cookie */
	receive("192.0.2.1:56324", NULL,
		"16fefd0000000000000000 0035 01 000029 0001 000000 000029 fefd"
		"fe0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 01ab 0002 c0a8");
	ck_assert_uint_eq(verdicts(VERDICT_LIMITED), 2);
}
END_TEST

/* A reply may come from the address and port of any backend of the pool, even one in maint. */
START_TEST(outer_source)
{
	struct addr other = bed.configured.backend[0].addr;

	other.port++;
	reply(&other, DOWN, 0);
	other = bed.configured.backend[0].addr;
	other.ip[15]++;
	reply(&other, DOWN, 0);
	ck_assert_uint_eq(dropped(TUNNEL_OUTER_SOURCE), 2);
	ck_assert_uint_eq(bed.path->stats.replies[bed.configured.pool_uid], 0);
	bed.configured.backend[2].admin = BACKEND_MAINT;
	publish();
	reply(&bed.configured.backend[1].addr, DOWN, 0);
	reply(&bed.configured.backend[2].addr, DOWN, 0);
	ck_assert_uint_eq(dropped_in_all(), 2);
	ck_assert_uint_eq(bed.path->stats.replies[bed.configured.pool_uid], 2);
}
END_TEST

/* A wildcard listener has every address of its family and port. The kernel has the last word on it. */
START_TEST(service_of_a_wildcard_listener)
{
	ck_assert_int_eq(addr_parse(&bed.configured.listener.addr, "0.0.0.0:5684"), 0);
	publish();
	reply(&bed.configured.backend[0].addr, DOWN, 0);
	ck_assert_uint_eq(bed.path->stats.replies[bed.configured.pool_uid], 1);
	ck_assert_int_eq(addr_parse(&bed.configured.listener.addr, "[::]:5684"), 0);
	publish();
	reply(&bed.configured.backend[0].addr, DOWN, 0);
	ck_assert_int_eq(addr_parse(&bed.configured.listener.addr, "0.0.0.0:5685"), 0);
	publish();
	reply(&bed.configured.backend[0].addr, DOWN, 0);
	ck_assert_uint_eq(dropped(TUNNEL_SERVICE), 2);
	ck_assert_uint_eq(bed.path->stats.replies[bed.configured.pool_uid], 1);
}
END_TEST

/* Several datagrams in one receive are taken one by one. One of them is bad, and the last one is shorter. */
START_TEST(taken_apart)
{
	reply(&bed.configured.backend[0].addr,
	      DOWN "170001" SIGNATURE "21 12 0019" DOWN_ENDS "e0000a 11 01 ffffffffffffffff 170002" DOWN "170003" DOWN
		   "17",
	      41 + 3);
	ck_assert_uint_eq(bed.path->stats.replies[bed.configured.pool_uid], 3);
	ck_assert_uint_eq(dropped(PROXY2_TAG), 1);
	ck_assert_uint_eq(dropped_in_all(), 1);
	/* Each datagram of a stranger is counted as well. */
	reply(&bed.configured.listener.addr, DOWN DOWN DOWN, 41);
	ck_assert_uint_eq(dropped(TUNNEL_OUTER_SOURCE), 3);
}
END_TEST

/* Version 2 is written to a server that has answered in it, for as long as it does. */
START_TEST(version_of_a_server)
{
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP RECORD);
	reply(&bed.configured.backend[0].addr, DOWN, 0);
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP RECORD);
	reply(&bed.configured.backend[1].addr, DOWN_2, 0);
	reply(&bed.configured.backend[0].addr, DOWN_2 "17", 0);
	ck_assert_uint_eq(bed.path->stats.replies[bed.configured.pool_uid], 3);
	ck_assert_uint_eq(dropped_in_all(), 0);
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP_2 RECORD);
	/* It was replaced by one that says nothing of what is sent to it. */
	bed.path->clock_ms += 1000 * PATH_V2_S;
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP_2 RECORD);
	bed.path->clock_ms += 1000;
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP RECORD);
	/* By one that answers in version 1, and back. */
	reply(&bed.configured.backend[0].addr, DOWN_2, 0);
	reply(&bed.configured.backend[0].addr, DOWN, 0);
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP RECORD);
	reply(&bed.configured.backend[0].addr, DOWN_2, 0);
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP_2 RECORD);
}
END_TEST

/* What has a bad tag says nothing; and another address may be another server. */
START_TEST(version_of_another_server)
{
	struct addr before = bed.configured.backend[0].addr;

	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP RECORD);
	reply(&bed.configured.backend[0].addr, SIGNATURE "21 12 0019" DOWN_ENDS "e0000a 21 01 70431882d44ffe48", 0);
	reply(&bed.configured.backend[0].addr, SIGNATURE "21 12 0019" DOWN_ENDS "e0000a 21 01" DOWN_TAG, 0);
	ck_assert_uint_eq(dropped(PROXY2_TAG), 2);
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP RECORD);
	reply(&bed.configured.backend[0].addr, DOWN_2, 0);
	close(server);
	server = open_socket("127.0.0.1", SOCKET_LISTENER, &bed.configured.backend[0].addr);
	ck_assert(!addr_equal(&before, &bed.configured.backend[0].addr));
	publish();
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, UP RECORD);
}
END_TEST

/* It arrives at a device of this host, from the address that the device sent to. */
START_TEST(arrives)
{
	struct proxy2_ends ends = { .source = bed.configured.listener.addr };
	struct addr source;
	struct io_datagram datagram = { .from = bed.configured.backend[0].addr };
	struct sockaddr_storage name;
	socklen_t len = sizeof name;
	uint8_t data[PROXY2_MAX_OCTETS + 4];
	int device = open_socket("127.0.0.1", SOCKET_LISTENER, &ends.destination), listener;

	listener = open_socket("0.0.0.0", SOCKET_LISTENER, &bed.configured.listener.addr);
	publish();
	bed.path->listener_handles[bed.configured.listener_uid] = listener;
	ck_assert_int_eq(addr_parse_ip(&ends.source, "127.0.0.77"), 0);
	ends.source.port = bed.configured.listener.addr.port;
	datagram.len = proxy2_write(data, &bed.configured.pool.tunnel.keys, PROXY2_DOWN, &ends);
	memcpy(data + datagram.len, "down", 4);
	datagram.len += 4;
	datagram.data = data;
	batch_pool_reply(bed.path, path_bed_table(&bed), 0, &datagram, 1);
	io_flush(bed.path->outbox);
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = device, .events = POLLIN }, 1, 10000), 1);
	ck_assert_int_eq(recvfrom(device, data, sizeof data, 0, (struct sockaddr *)&name, &len), 4);
	ck_assert_mem_eq(data, "down", 4);
	source = sockaddr_read(&name);
	ck_assert(addr_equal(&source, &ends.source));
	ck_assert_uint_eq(bed.path->stats.sent_down[bed.configured.uid[0]].datagrams, 1);
	assert_silence(device);
	close(device);
	close(listener);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, header_in_front);
	tcase_add_test(tests, direct);
	tcase_add_test(tests, not_direct_over_a_link);
	tcase_add_test(tests, header_of_a_wildcard_listener);
	tcase_add_test(tests, the_first_key_signs);
	tcase_add_test(tests, no_address);
	tcase_add_test(tests, hint_of_a_handshake);
	tcase_add_test(tests, hint_of_what_was_admitted);
	tcase_add_test(tests, cookie);
	tcase_add_test(tests, no_hint);
	tcase_add_test(tests, a_batch);
	tcase_add_test(tests, paths);
	tcase_add_loop_test(tests, held_against, 0, COUNT_OF(replies));
	tcase_add_test(tests, outer_source);
	tcase_add_test(tests, service_of_a_wildcard_listener);
	tcase_add_test(tests, taken_apart);
	tcase_add_test(tests, version_of_a_server);
	tcase_add_test(tests, version_of_another_server);
	tcase_add_test(tests, arrives);
}

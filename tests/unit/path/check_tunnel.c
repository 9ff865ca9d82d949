/* Mode tunnel: the header in front of what leaves, and everything that is held against a reply's. Tags were computed by
 * tests/e2e/proxy2.py. */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "path/batch.h"
#include "path/forward.h"
#include "tests/fixtures/nat_table.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

#define SIGNATURE "0d0a0d0a000d0a515549540a"
#define RECORD                                                                                                         \
	"19fefd0001000000000001 0120b1d07b359d3c 0020 "                                                                \
	"000100000000000100112233445566778899aabbccddeeff0011223344556677"

/* 198.51.100.7:5684 to 192.0.2.1:56324. */
#define DOWN_ENDS "c6336407 c0000201 1634 dc04"
#define DOWN_TAG  "094165044dd71593"
#define DOWN      SIGNATURE "21 12 0019" DOWN_ENDS "e0000a 11 01" DOWN_TAG

static struct nat_table configured;
static struct publisher publisher;
static struct flows *flows;
static struct service_addrs *service_addrs;
static struct limit *limit;
static struct worker *worker;
static struct icmp_alarm *alarm_;
static int server; /* backend "a" */

static int open_server(struct addr *addr)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof name;
	int fd;

	ck_assert_int_eq(addr_parse_ip(addr, "127.0.0.1"), 0);
	fd = io_bind(addr, true, false);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	*addr = io_addr(&name);
	return fd;
}

static void publish(void)
{
	publisher_publish(&publisher, nat_table_build(&configured, publisher_read(&publisher)));
}

static void set_up(void)
{
	static const uint8_t secret[16] = { 1 };
	struct addr local;

	rcu_register_thread();
	nat_table_init(&configured);
	configured.pool.nat = (struct conf_nat){ 0 };
	configured.pool.forward = FORWARD_TUNNEL;
	ck_assert_int_eq(proxy2_parse_keys(&configured.pool.tunnel.keys, "1:000102030405060708090a0b0c0d0e0f"), 0);
	ck_assert_int_eq(addr_parse(&configured.listener.addr, "198.51.100.7:5684"), 0);
	server = open_server(&configured.backend[0].addr);
	flows = flows_new(secret);
	service_addrs = service_addrs_new();
	limit = limit_new(STATS_POOLS, STATS_BACKENDS, secret);
	ck_assert(flows && service_addrs && limit);
	ck_assert_int_eq(icmp_alarm_new(&alarm_), 0);
	ck_assert_int_eq(worker_new(&worker, &publisher, flows, service_addrs, limit, alarm_), 0);
	ck_assert_int_eq(addr_parse_ip(&local, "127.0.0.1"), 0);
	worker->tunnel_fds[configured.pool_uid] = io_bind_tunnel(&local);
	ck_assert_int_ge(worker->tunnel_fds[configured.pool_uid], 0);
	publish();
}

static void tear_down(void)
{
	close(server);
	worker_free(worker);
	publisher_publish(&publisher, NULL);
	icmp_alarm_free(alarm_);
	flows_free(flows);
	service_addrs_free(service_addrs);
	limit_free(limit);
	nat_table_end(&configured);
	rcu_unregister_thread();
}

static uint64_t dropped(unsigned reason)
{
	return atomic_load(&worker->stats.tunnel_dropped[configured.pool_uid][reason]);
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
	struct octets in = octets_of(hex);
	struct io_datagram datagram = { .data = in.at, .len = in.len };
	struct addr addr;

	ck_assert_int_eq(addr_parse(&datagram.from, from), 0);
	if (local) {
		ck_assert_int_eq(addr_parse_ip(&addr, local), 0);
		memcpy(datagram.local, addr.ip, sizeof addr.ip);
	}
	batch_uplink(worker, publisher_read(&publisher), configured.listener_uid, &datagram, 1);
	io_flush(worker->outbox);
	free(in.at);
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
	assert_arrives(server, SIGNATURE "21 12 0019 c0000201 c6336407 dc04 1634 e0000a 10 01 a9750b7c3742f7a0" RECORD);
	ck_assert_uint_eq(worker->stats.sent_up[configured.uid[0]], 1);
	ck_assert_uint_eq(worker->stats.verdicts[configured.listener_uid][VERDICT_CID], 1);
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).trial, 0);
}
END_TEST

/* The service address is the one that was addressed, and IPv6 devices go through an IPv4 tunnel. */
START_TEST(header_of_a_wildcard_listener)
{
	ck_assert_int_eq(addr_parse(&configured.listener.addr, "0.0.0.0:5684"), 0);
	publish();
	receive("192.0.2.1:56324", "198.51.100.7", RECORD);
	assert_arrives(server, SIGNATURE "21 12 0019 c0000201 c6336407 dc04 1634 e0000a 10 01 a9750b7c3742f7a0" RECORD);
	ck_assert_int_eq(addr_parse(&configured.listener.addr, "[::]:5684"), 0);
	publish();
	receive("[2001:db8::1]:56324", "2001:db8:ffff::7", RECORD);
	assert_arrives(server, SIGNATURE
		       "21 22 0031 20010db8000000000000000000000001 20010db8ffff00000000000000000007 dc04 1634"
		       "e0000a 10 01 941979f479ae92af" RECORD);
	/* No numbers are given out for what strangers address. */
	ck_assert_uint_lt(service_addrs_number(service_addrs, configured.listener_uid, configured.listener.addr.ip),
			  STATS_LISTENERS + 1);
}
END_TEST

START_TEST(the_first_key_signs)
{
	ck_assert_int_eq(proxy2_parse_keys(&configured.pool.tunnel.keys,
					   "200:101112131415161718191a1b1c1d1e1f\n1:000102030405060708090a0b0c0d0e0f"),
			 0);
	publish();
	receive("192.0.2.1:56324", NULL, RECORD);
	assert_arrives(server, SIGNATURE "21 12 0019 c0000201 c6336407 dc04 1634 e0000a 10 c8 7695de1601a85eba" RECORD);
}
END_TEST

START_TEST(no_address)
{
	configured.backend[0].addr = (struct addr){ .port = 6001 };
	publish();
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert_uint_eq(worker->stats.refused_up[configured.pool_uid][REFUSED_NO_ADDRESS], 1);
	ck_assert_uint_eq(worker->stats.sent_up[configured.uid[0]], 0);
}
END_TEST

/* No session of its own: a datagram without CID goes by hash, always the same way. */
START_TEST(no_hint)
{
	for (int i = 1; i < NAT_BACKENDS; i++)
		configured.backend[i].weight = 0;
	publish();
	receive("192.0.2.1:56324", NULL, "16fefd0001000000000001 0004 00112233");
	assert_arrives(server, SIGNATURE "21 12 0019 c0000201 c6336407 dc04 1634 e0000a 10 01 a9750b7c3742f7a0"
					 "16fefd0001000000000001 0004 00112233");
	ck_assert_uint_eq(worker->stats.verdicts[configured.listener_uid][VERDICT_HASH], 1);
}
END_TEST

/* Datagrams of one size leave together, and arrive as they are. */
START_TEST(a_batch)
{
	struct octets in = octets_of(RECORD);
	struct io_datagram datagrams[4];

	for (int i = 0; i < COUNT_OF(datagrams); i++) {
		datagrams[i] = (struct io_datagram){ .data = in.at, .len = in.len };
		ck_assert_int_eq(addr_parse(&datagrams[i].from, "192.0.2.1:56324"), 0);
	}
	batch_uplink(worker, publisher_read(&publisher), configured.listener_uid, datagrams, COUNT_OF(datagrams));
	io_flush(worker->outbox);
	free(in.at);
	for (int i = 0; i < COUNT_OF(datagrams); i++)
		assert_arrives(server,
			       SIGNATURE "21 12 0019 c0000201 c6336407 dc04 1634 e0000a 10 01 a9750b7c3742f7a0" RECORD);
	ck_assert_uint_eq(worker->stats.tunnel_segmented[configured.pool_uid], 4);
	ck_assert_uint_eq(worker->stats.sent_up[configured.uid[0]], 4);
}
END_TEST

/* What is learnt of a path is forgotten when it leads elsewhere, and after a minute. */
START_TEST(paths)
{
	const struct io_pmtu *path = &worker->paths[configured.uid[0]];

	worker->now_ms = 5000;
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert(addr_equal(&path->to, &configured.backend[0].addr));
	ck_assert_uint_eq(path->most, UINT16_MAX);
	worker->paths[configured.uid[0]].most = 50;
	worker->now_ms = 65000;
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert_uint_eq(path->most, 50);
	ck_assert_uint_eq(worker->stats.tunnel_fragmented[configured.pool_uid], 1);
	worker->now_ms = 65001;
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert_uint_eq(path->most, UINT16_MAX);
	worker->paths[configured.uid[0]].most = 50;
	ck_assert_int_eq(addr_parse_ip(&configured.backend[0].addr, "127.0.0.2"), 0);
	configured.backend[0].addr.port = 9;
	publish();
	receive("192.0.2.1:56324", NULL, RECORD);
	ck_assert_uint_eq(path->most, UINT16_MAX);
	ck_assert_uint_eq(worker->stats.tunnel_fragmented[configured.pool_uid], 1);
}
END_TEST

/* One receive at the tunnel's socket; `segment` as in io.h. */
static void reply(const struct addr *from, const char *hex, size_t segment)
{
	struct octets in = octets_of(hex);
	struct io_datagram datagram = { .data = in.at, .len = in.len, .from = *from, .segment = segment };
	const struct table *table = publisher_read(&publisher);

	tunnel_replies(worker, table, table->pool_of_uid[configured.pool_uid], &datagram);
	io_flush(worker->outbox);
	free(in.at);
}

/* There is no listener's socket, so that a good one is refused. */
static uint64_t refused_down(void)
{
	return atomic_load(&worker->stats.refused_down[configured.pool_uid][REFUSED_SEND]);
}

static const struct {
	const char *name;
	unsigned reason; /* PROXY2_GOOD: taken */
	const char *hex;
} replies[] = {
	{ "good", PROXY2_GOOD, DOWN "17fefd" },
	{ "good and empty", PROXY2_GOOD, DOWN },
	{ "nothing at all", PROXY2_NO_HEADER, "" },
	{ "no header", PROXY2_NO_HEADER, "17fefd00010000000000010004aabbccdd" },
	{ "lies about its length", PROXY2_LENGTH, SIGNATURE "21 12 0020" DOWN_ENDS "e0000a 11 01" DOWN_TAG },
	{ "a TLV that lies", PROXY2_LENGTH, SIGNATURE "21 12 0019" DOWN_ENDS "e0000b 11 01" DOWN_TAG },
	{ "LOCAL", PROXY2_KIND, SIGNATURE "20 00 0000" },
	{ "STREAM", PROXY2_KIND, SIGNATURE "21 11 0019" DOWN_ENDS "e0000a 11 01" DOWN_TAG },
	{ "no tag", PROXY2_NO_TAG, SIGNATURE "21 12 000c" DOWN_ENDS },
	{ "what went up comes back", PROXY2_DIRECTION,
	  SIGNATURE "21 12 0019 c0000201 c6336407 dc04 1634 e0000a 10 01 a9750b7c3742f7a0" },
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

	reply(&configured.backend[0].addr, replies[_i].hex, 0);
	ck_assert_msg(dropped_in_all() == (reason != PROXY2_GOOD), "%s", replies[_i].name);
	ck_assert_msg(reason == PROXY2_GOOD || dropped(reason) == 1, "%s", replies[_i].name);
	ck_assert_uint_eq(worker->stats.replies[configured.pool_uid], reason == PROXY2_GOOD);
	ck_assert_uint_eq(refused_down(), reason == PROXY2_GOOD);
}
END_TEST

/* From whom: address and port of any backend of the pool, also one in maint. */
START_TEST(outer_source)
{
	struct addr other = configured.backend[0].addr;

	other.port++;
	reply(&other, DOWN, 0);
	other = configured.backend[0].addr;
	other.ip[15]++;
	reply(&other, DOWN, 0);
	ck_assert_uint_eq(dropped(TUNNEL_OUTER_SOURCE), 2);
	ck_assert_uint_eq(worker->stats.replies[configured.pool_uid], 0);
	configured.backend[2].admin = BACKEND_MAINT;
	publish();
	reply(&configured.backend[1].addr, DOWN, 0);
	reply(&configured.backend[2].addr, DOWN, 0);
	ck_assert_uint_eq(dropped_in_all(), 2);
	ck_assert_uint_eq(worker->stats.replies[configured.pool_uid], 2);
}
END_TEST

/* Wildcard listeners have every address of their family and port; the kernel has the last word on it. */
START_TEST(service_of_a_wildcard_listener)
{
	ck_assert_int_eq(addr_parse(&configured.listener.addr, "0.0.0.0:5684"), 0);
	publish();
	reply(&configured.backend[0].addr, DOWN, 0);
	ck_assert_uint_eq(worker->stats.replies[configured.pool_uid], 1);
	ck_assert_int_eq(addr_parse(&configured.listener.addr, "[::]:5684"), 0);
	publish();
	reply(&configured.backend[0].addr, DOWN, 0);
	ck_assert_int_eq(addr_parse(&configured.listener.addr, "0.0.0.0:5685"), 0);
	publish();
	reply(&configured.backend[0].addr, DOWN, 0);
	ck_assert_uint_eq(dropped(TUNNEL_SERVICE), 2);
	ck_assert_uint_eq(worker->stats.replies[configured.pool_uid], 1);
}
END_TEST

/* Several in one receive, each by itself; one of them is bad, and the last one shorter. */
START_TEST(taken_apart)
{
	reply(&configured.backend[0].addr,
	      DOWN "170001" SIGNATURE "21 12 0019" DOWN_ENDS "e0000a 11 01 ffffffffffffffff 170002" DOWN "170003" DOWN
		   "17",
	      41 + 3);
	ck_assert_uint_eq(worker->stats.replies[configured.pool_uid], 3);
	ck_assert_uint_eq(dropped(PROXY2_TAG), 1);
	ck_assert_uint_eq(dropped_in_all(), 1);
	/* From a stranger each is counted as well. */
	reply(&configured.listener.addr, DOWN DOWN DOWN, 41);
	ck_assert_uint_eq(dropped(TUNNEL_OUTER_SOURCE), 3);
}
END_TEST

/* To a device of this host, from the address that it had asked. */
START_TEST(arrives)
{
	struct proxy2_ends ends = { .source = configured.listener.addr };
	struct addr source = { 0 };
	struct io_datagram datagram = { .from = configured.backend[0].addr };
	struct sockaddr_storage name;
	socklen_t len = sizeof name;
	uint8_t data[PROXY2_MAX_OCTETS + 4];
	int device = open_server(&ends.destination), listener;

	ck_assert_int_eq(addr_parse_ip(&source, "0.0.0.0"), 0);
	listener = io_bind(&source, true, false);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&name, &len), 0);
	configured.listener.addr = io_addr(&name);
	publish();
	worker->listener_fds[configured.listener_uid] = listener;
	ck_assert_int_eq(addr_parse_ip(&ends.source, "127.0.0.77"), 0);
	ends.source.port = configured.listener.addr.port;
	datagram.len = proxy2_write(data, &configured.pool.tunnel.keys, PROXY2_DOWN, &ends);
	memcpy(data + datagram.len, "down", 4);
	datagram.len += 4;
	datagram.data = data;
	tunnel_replies(worker, publisher_read(&publisher), 0, &datagram);
	io_flush(worker->outbox);
	len = sizeof name;
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = device, .events = POLLIN }, 1, 10000), 1);
	ck_assert_int_eq(recvfrom(device, data, sizeof data, 0, (struct sockaddr *)&name, &len), 4);
	ck_assert_mem_eq(data, "down", 4);
	source = io_addr(&name);
	ck_assert(addr_equal(&source, &ends.source));
	ck_assert_uint_eq(worker->stats.sent_down[configured.uid[0]], 1);
	assert_silence(device);
	close(device);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, header_in_front);
	tcase_add_test(tests, header_of_a_wildcard_listener);
	tcase_add_test(tests, the_first_key_signs);
	tcase_add_test(tests, no_address);
	tcase_add_test(tests, no_hint);
	tcase_add_test(tests, a_batch);
	tcase_add_test(tests, paths);
	tcase_add_loop_test(tests, held_against, 0, COUNT_OF(replies));
	tcase_add_test(tests, outer_source);
	tcase_add_test(tests, service_of_a_wildcard_listener);
	tcase_add_test(tests, taken_apart);
	tcase_add_test(tests, arrives);
}

/* What becomes of ICMP errors that are in the way of a worker's sends. The sockets are real, on loopback. Backend "a"
 * refuses, and "b" is well. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "path/errors.h"
#include "tests/fixtures/open_socket.h"
#include "tests/fixtures/path_bed.h"
#include "tests/unit/suite.h"

#define RECORD_OF(id)                                                                                                  \
	"19fefd0001000000000001" id "20b1d07b359d3c0020000100000000000100112233445566778899aabbccddeeff00112233445566" \
	"77"

static struct path_bed bed;
static int to;       /* "b" */
static int endpoint; /* the pool's only port, or its tunnel */

static void set_up(void)
{
	struct addr addr;

	path_bed_begin(&bed, socket_io_new());
	endpoint = open_socket("0.0.0.0", SOCKET_ENDPOINT, &addr);
	bed.configured.pool.nat.port_first = bed.configured.pool.nat.port_last = addr.port;
	bed.path->endpoint_handles[IO_V4][addr.port] = endpoint;
	ck_assert_int_eq(addr_parse(&bed.configured.backend[0].addr, "127.0.0.1:1"), 0); /* nobody listens there */
	to = open_socket("127.0.0.1", SOCKET_LISTENER, &bed.configured.backend[1].addr);
	path_bed_publish(&bed);
}

/* The same for mode tunnel. */
static void tunnel_set_up(void)
{
	struct addr local;

	set_up();
	close(endpoint);
	bed.configured.pool.nat = (struct conf_nat){ 0 };
	bed.configured.pool.forward = FORWARD_TUNNEL;
	ck_assert_int_eq(proxy2_parse_keys(&bed.configured.pool.tunnel.keys, "1:000102030405060708090a0b0c0d0e0f"), 0);
	endpoint = open_socket("127.0.0.1", SOCKET_TUNNEL, &local);
	bed.path->pool_handles[bed.configured.pool_uid] = endpoint;
	path_bed_publish(&bed);
}

static void tear_down(void)
{
	close(to);
	close(endpoint);
	path_bed_end(&bed);
}

static void receive(const char *hex)
{
	struct addr from;

	ck_assert_int_eq(addr_parse(&from, "192.0.2.1:4000"), 0);
	path_bed_receive(&bed, &from, NULL, hex);
}

static void wait_error(void)
{
	struct pollfd ready = { .fd = endpoint };

	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	ck_assert(ready.revents & POLLERR);
}

static void assert_arrives(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	uint8_t data[2048];

	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	ck_assert_int_gt(recv(fd, data, sizeof data, MSG_DONTWAIT), 0);
}

static uint64_t sent_up(int backend)
{
	return bed.path->stats.sent_up[bed.configured.uid[backend]].datagrams;
}

static uint64_t icmp_errors(int backend)
{
	return bed.path->stats.icmp_errors[bed.configured.uid[backend]];
}

static uint64_t refused_up(void)
{
	return bed.path->stats.refused_up[bed.configured.pool_uid][REFUSED_SEND];
}

/* A send finds the error before epoll tells the worker. The error is counted, and rings once. */
START_TEST(anothers_error_is_counted)
{
	receive(RECORD_OF("01"));
	wait_error();
	receive(RECORD_OF("02"));
	assert_arrives(to);
	ck_assert_uint_eq(bed.io.sends, 3);
	ck_assert_uint_eq(bed.io.error_reads, 1);
	ck_assert_uint_eq(sent_up(0), 1);
	ck_assert_uint_eq(sent_up(1), 1);
	ck_assert_uint_eq(refused_up(), 0);
	ck_assert_uint_eq(icmp_errors(0), 1);
	ck_assert_uint_eq(icmp_errors(1), 0);
	ck_assert_uint_eq(bed.path->stats.strays, 0);
	ck_assert(bed.shared.alarm->rung[bed.configured.uid[0]]);
	ck_assert(!bed.shared.alarm->rung[bed.configured.uid[1]]);
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = endpoint }, 1, 0), 0);
}
END_TEST

/* The pool went while the datagram was on its way. So the error is nobody's any more. */
START_TEST(error_of_a_pool_that_is_gone)
{
	receive(RECORD_OF("01"));
	wait_error();
	const struct table *table = path_bed_table(&bed);
	struct table gone = *table;
	gone.pool_of_uid[bed.configured.pool_uid] = TABLE_NONE;
	bed.publisher.current = &gone;
	io_double_refuse(&bed.io, ECONNREFUSED, 1);
	struct octets in = octets_of(RECORD_OF("02"));
	struct io_datagram datagram = { .data = in.at, .len = in.len };
	ck_assert_int_eq(addr_parse(&datagram.from, "192.0.2.1:4000"), 0);
	batch_uplink(bed.path, table, bed.configured.listener_uid, &datagram, 1);
	io_flush(bed.path->outbox);
	bed.publisher.current = (struct table *)(uintptr_t)table;
	free(in.at);
	assert_arrives(to);
	ck_assert_uint_eq(bed.path->stats.strays, 1);
	ck_assert_uint_eq(icmp_errors(0), 0);
}
END_TEST

/* The error finds no room in the queue. It is pending all the same. */
START_TEST(anothers_error_that_is_not_queued)
{
	struct addr addr = bed.configured.backend[1].addr;
	struct sockaddr_storage name;
	int octets = 1;

	ck_assert_int_eq(setsockopt(endpoint, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets), 0);
	addr_parse_ip(&addr, "127.0.0.1");
	addr.port = bed.configured.pool.nat.port_first;
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(sendto(to, "reply", 5, 0, (struct sockaddr *)&name, sockaddr_write(&name, &addr)), 5);
	receive(RECORD_OF("01"));
	receive(RECORD_OF("02"));
	assert_arrives(to);
	ck_assert_uint_eq(bed.io.sends, 3);
	ck_assert_uint_eq(bed.io.error_reads, 1);
	ck_assert_uint_eq(sent_up(1), 1);
	ck_assert_uint_eq(refused_up(), 0);
}
END_TEST

/* A firewall of the host refuses in this way. */
START_TEST(one_send_per_datagram_that_a_firewall_refuses)
{
	io_double_refuse(&bed.io, EPERM, UINT32_MAX);
	for (int i = 0; i < 10; i++)
		receive(RECORD_OF("02"));
	ck_assert_uint_eq(bed.io.sends, 10);
	ck_assert_uint_eq(bed.io.error_reads, 0);
	ck_assert_uint_eq(refused_up(), 10);
	ck_assert_uint_eq(sent_up(1), 0);
}
END_TEST

/* The host itself queues an error at every try, because no IPv4 datagram has 65,508 octets. It is nobody's, and the
 * refusal is final. */
START_TEST(too_large_for_any)
{
	static uint8_t data[65508];

	io_queue(bed.path->outbox,
		 &(struct io_send){
			 .handle = endpoint,
			 .data = data,
			 .len = sizeof data,
			 .to = bed.configured.backend[1].addr,
			 .queue = ERRORS_ENDPOINT | bed.configured.pool.nat.port_first,
			 .sent = &bed.path->stats.sent_up[bed.configured.uid[1]],
			 .refused = &bed.path->stats.refused_up[bed.configured.pool_uid][REFUSED_SEND],
		 });
	io_flush(bed.path->outbox);
	ck_assert_uint_eq(refused_up(), 1);
	ck_assert_uint_eq(bed.io.sends, 2);
	ck_assert_uint_eq(bed.io.error_reads, 2);
	ck_assert_uint_eq(bed.path->stats.strays, 0);
}
END_TEST

void suite(TCase *tests)
{
	TCase *tunnel = suite_case("tunnel");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, anothers_error_is_counted);
	tcase_add_test(tests, anothers_error_that_is_not_queued);
	tcase_add_test(tests, one_send_per_datagram_that_a_firewall_refuses);
	tcase_add_test(tests, too_large_for_any);
	tcase_set_timeout(tunnel, 60);
	tcase_add_checked_fixture(tunnel, tunnel_set_up, tear_down);
	tcase_add_test(tunnel, anothers_error_is_counted);
	tcase_add_test(tunnel, error_of_a_pool_that_is_gone);
}

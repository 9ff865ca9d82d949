/* What becomes of the ICMP errors that are in the way of a worker's sends: real sockets on loopback, where backend "a"
 * refuses and "b" is well. */
#include <poll.h>

#include "path/batch.h"
#include "path/errors.h"
#include "tests/fixtures/nat_table.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/refuse.h"
#include "tests/unit/suite.h"

#define RECORD_OF(id)                                                                                                  \
	"19fefd0001000000000001" id "20b1d07b359d3c0020000100000000000100112233445566778899aabbccddeeff00112233445566" \
	"77"

static struct nat_table configured;
static struct publisher publisher;
static struct flows *flows;
static struct service_addrs *service_addrs;
static struct limit *limit;
static struct worker *worker;
static struct icmp_alarm *alarm_;
static int to;       /* "b" */
static int endpoint; /* the pool's only port, or its tunnel */

static void worker_set_up(void)
{
	static const uint8_t secret[16] = { 1 };
	static const struct flows_limits limits = { .max_flows = 64, .idle_ms = 1000, .cid_idle_ms = 2000 };
	struct addr addr;

	rcu_register_thread();
	sends = refusals = error_reads = 0;
	nat_table_init(&configured);
	flows = flows_new(secret);
	service_addrs = service_addrs_new();
	limit = limit_new(STATS_POOLS, STATS_BACKENDS, secret);
	ck_assert(flows && service_addrs && limit);
	ck_assert_int_eq(icmp_alarm_new(&alarm_), 0);
	ck_assert_int_eq(flows_set_limits(flows, configured.pool_uid, &limits), 0);
	ck_assert_int_eq(worker_new(&worker, &publisher, flows, service_addrs, limit, alarm_), 0);
	worker->clock_ms = worker->now_ms = 5000;
	endpoint = open_at("0.0.0.0", &addr, true);
	configured.pool.nat.port_first = configured.pool.nat.port_last = addr.port;
	worker->endpoint_fds[IO_V4][addr.port] = endpoint;
	close(open_at("127.0.0.1", &configured.backend[0].addr, false));
	to = open_at("127.0.0.1", &configured.backend[1].addr, false);
	publisher_publish(&publisher, nat_table_build(&configured, NULL));
}

/* The same of mode tunnel. */
static void tunnel_set_up(void)
{
	struct addr local;

	worker_set_up();
	configured.pool.nat = (struct conf_nat){ 0 };
	configured.pool.forward = FORWARD_TUNNEL;
	ck_assert_int_eq(proxy2_parse_keys(&configured.pool.tunnel.keys, "1:000102030405060708090a0b0c0d0e0f"), 0);
	ck_assert_int_eq(addr_parse_ip(&local, "127.0.0.1"), 0);
	endpoint = io_bind_tunnel(&local);
	ck_assert_int_ge(endpoint, 0);
	worker->tunnel_fds[configured.pool_uid] = endpoint;
	publisher_publish(&publisher, nat_table_build(&configured, publisher_read(&publisher)));
}

static void worker_tear_down(void)
{
	close(to);
	worker_free(worker);
	publisher_publish(&publisher, NULL);
	icmp_alarm_free(alarm_);
	flows_free(flows);
	service_addrs_free(service_addrs);
	limit_free(limit);
	nat_table_end(&configured);
	rcu_unregister_thread();
}

static void receive(const char *hex)
{
	struct octets in = octets_of(hex);
	struct io_datagram datagram = { .data = in.at, .len = in.len };

	ck_assert_int_eq(addr_parse(&datagram.from, "192.0.2.1:4000"), 0);
	batch_uplink(worker, publisher_read(&publisher), configured.listener_uid, &datagram, 1);
	io_flush(worker->outbox);
	free(in.at);
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
	return worker->stats.sent_up[configured.uid[backend]];
}

static uint64_t icmp_errors(int backend)
{
	return worker->stats.icmp_errors[configured.uid[backend]];
}

static uint64_t refused_up(void)
{
	return worker->stats.refused_up[configured.pool_uid][REFUSED_SEND];
}

/* Before epoll tells the worker: what a send finds in its way is counted and rings, once. */
START_TEST(anothers_error_is_counted)
{
	receive(RECORD_OF("01"));
	wait_error();
	receive(RECORD_OF("02"));
	assert_arrives(to);
	ck_assert_uint_eq(sends, 3);
	ck_assert_uint_eq(error_reads, 1);
	ck_assert_uint_eq(sent_up(0), 1);
	ck_assert_uint_eq(sent_up(1), 1);
	ck_assert_uint_eq(refused_up(), 0);
	ck_assert_uint_eq(icmp_errors(0), 1);
	ck_assert_uint_eq(icmp_errors(1), 0);
	ck_assert_uint_eq(worker->stats.strays, 0);
	ck_assert(alarm_->rung[configured.uid[0]]);
	ck_assert(!alarm_->rung[configured.uid[1]]);
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = endpoint }, 1, 0), 0);
}
END_TEST

/* Of nobody any more: the pool went while the datagram was on its way. */
START_TEST(error_of_a_pool_that_is_gone)
{
	receive(RECORD_OF("01"));
	wait_error();
	const struct table *table = publisher_read(&publisher);
	struct table gone = *table;
	gone.pool_of_uid[configured.pool_uid] = TABLE_NONE;
	publisher.current = &gone;
	refuse(ECONNREFUSED, 1);
	struct octets in = octets_of(RECORD_OF("02"));
	struct io_datagram datagram = { .data = in.at, .len = in.len };
	batch_uplink(worker, table, configured.listener_uid, &datagram, 1);
	io_flush(worker->outbox);
	publisher.current = (struct table *)(uintptr_t)table;
	free(in.at);
	assert_arrives(to);
	ck_assert_uint_eq(worker->stats.strays, 1);
	ck_assert_uint_eq(icmp_errors(0), 0);
}
END_TEST

/* The error finds no room: it is pending all the same, and in no queue. */
START_TEST(anothers_error_that_is_not_queued)
{
	struct addr addr = configured.backend[1].addr;
	struct sockaddr_storage name;
	int octets = 1;

	ck_assert_int_eq(setsockopt(endpoint, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets), 0);
	addr_parse_ip(&addr, "127.0.0.1");
	addr.port = configured.pool.nat.port_first;
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(sendto(to, "reply", 5, 0, (struct sockaddr *)&name, io_sockaddr(&name, &addr)), 5);
	receive(RECORD_OF("01"));
	receive(RECORD_OF("02"));
	assert_arrives(to);
	ck_assert_uint_eq(sends, 3);
	ck_assert_uint_eq(error_reads, 1);
	ck_assert_uint_eq(sent_up(1), 1);
	ck_assert_uint_eq(refused_up(), 0);
}
END_TEST

/* As a firewall of the host does. */
START_TEST(one_send_per_datagram_that_a_firewall_refuses)
{
	refuse(EPERM, UINT32_MAX);
	for (int i = 0; i < 10; i++)
		receive(RECORD_OF("02"));
	ck_assert_uint_eq(sends, 10);
	ck_assert_uint_eq(error_reads, 0);
	ck_assert_uint_eq(refused_up(), 10);
	ck_assert_uint_eq(sent_up(1), 0);
}
END_TEST

/* An error that the host itself queues at every try is nobody's, and final: no IPv4 datagram has 65,508 octets. */
START_TEST(too_large_for_any)
{
	static uint8_t data[65508];

	io_queue(worker->outbox, &(struct io_send){
					 .fd = endpoint,
					 .data = data,
					 .len = sizeof data,
					 .to = configured.backend[1].addr,
					 .queue = ERRORS_ENDPOINT | configured.pool.nat.port_first,
					 .sent = &worker->stats.sent_up[configured.uid[1]],
					 .refused = &worker->stats.refused_up[configured.pool_uid][REFUSED_SEND],
				 });
	io_flush(worker->outbox);
	ck_assert_uint_eq(refused_up(), 1);
	ck_assert_uint_eq(sends, 2);
	ck_assert_uint_eq(error_reads, 2);
	ck_assert_uint_eq(worker->stats.strays, 0);
}
END_TEST

void suite(TCase *tests)
{
	TCase *tunnel = suite_case("tunnel");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, worker_set_up, worker_tear_down);
	tcase_add_test(tests, anothers_error_is_counted);
	tcase_add_test(tests, anothers_error_that_is_not_queued);
	tcase_add_test(tests, one_send_per_datagram_that_a_firewall_refuses);
	tcase_add_test(tests, too_large_for_any);
	tcase_set_timeout(tunnel, 60);
	tcase_add_checked_fixture(tunnel, tunnel_set_up, worker_tear_down);
	tcase_add_test(tunnel, anothers_error_is_counted);
	tcase_add_test(tunnel, error_of_a_pool_that_is_gone);
}

/* ICMP errors of real sockets on loopback, and the alarm. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "io/icmp.h"
#include "tests/fixtures/open_socket.h"
#include "tests/unit/suite.h"

static struct addr address(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return addr;
}

static int endpoint_open(const char *any)
{
	struct addr addr;

	return open_socket(any, SOCKET_ENDPOINT, &addr);
}

static void send_refused(int fd, const char *to)
{
	struct addr addr = address(to);
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_write(&sa, &addr);

	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len) < 0) /* an earlier error */
		ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
}

static void wait_error(int fd)
{
	struct pollfd poll_fd = { .fd = fd };

	ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
	ck_assert(poll_fd.revents & POLLERR);
}

/* Nobody listens at ports 1 and 2. */
static void refused(const char *any, const char *to, const char *local)
{
	struct icmp_inbox *inbox = icmp_inbox_new();
	struct addr want = address(to), source;
	int fd = endpoint_open(any);
	struct icmp_error *errors;
	bool more = true;

	ck_assert_int_eq(addr_parse_ip(&source, local), 0);
	ck_assert_uint_eq(icmp_receive(inbox, fd, &errors, &more), 0);
	ck_assert(!more);
	send_refused(fd, to);
	wait_error(fd);
	ck_assert_uint_eq(icmp_receive(inbox, fd, &errors, &more), 1);
	ck_assert(!more);
	ck_assert(addr_equal(&errors[0].to, &want));
	ck_assert_mem_eq(errors[0].local, source.ip, 16);
	ck_assert(!errors[0].too_big);
	close(fd);
	icmp_inbox_free(inbox);
}

START_TEST(test_refused)
{
	refused("0.0.0.0", "127.0.0.1:1", "127.0.0.1");
	refused("::", "[::1]:2", "::1");
}
END_TEST

START_TEST(test_batches)
{
	struct icmp_inbox *inbox = icmp_inbox_new();
	int fd = endpoint_open("0.0.0.0");
	struct icmp_error *errors;
	bool more;

	for (int i = 0; i < ICMP_BATCH + 1; i++)
		send_refused(fd, "127.0.0.1:1");
	wait_error(fd);
	ck_assert_uint_eq(icmp_receive(inbox, fd, &errors, &more), ICMP_BATCH);
	ck_assert(more);
	ck_assert_uint_eq(icmp_receive(inbox, fd, &errors, &more), 1);
	ck_assert(!more);
	close(fd);
	icmp_inbox_free(inbox);
}
END_TEST

/* 65,508 octets fit no IPv4 datagram. This is an error of the host's own, in the same queue. */
START_TEST(test_own_errors_are_none)
{
	struct icmp_inbox *inbox = icmp_inbox_new();
	int fd = endpoint_open("0.0.0.0");
	struct addr addr = address("127.0.0.1:1");
	struct icmp_error *errors;
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_write(&sa, &addr);
	static uint8_t data[65508];
	bool more;

	ck_assert_int_eq(sendto(fd, data, sizeof data, 0, (struct sockaddr *)&sa, len), -1);
	ck_assert_uint_eq(icmp_receive(inbox, fd, &errors, &more), 0);
	close(fd);
	icmp_inbox_free(inbox);
}
END_TEST

static unsigned answers;
static uint16_t answered[8];

static void note(void *ctx, uint16_t backend)
{
	(void)ctx;
	answered[answers++ % 8] = backend;
}

static bool readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

START_TEST(test_alarm)
{
	struct icmp_alarm *alarm;

	ck_assert_int_eq(icmp_alarm_new(&alarm), 0);
	ck_assert(!readable(alarm->wake));
	icmp_alarm_ring(alarm, 4095, 1000);
	icmp_alarm_ring(alarm, 4095, 1000);
	icmp_alarm_ring(alarm, 0, 1000);
	ck_assert(readable(alarm->wake));
	icmp_alarm_answer(alarm, note, NULL);
	ck_assert_uint_eq(answers, 2);
	ck_assert_uint_eq(answered[0], 0);
	ck_assert_uint_eq(answered[1], 4095);
	ck_assert(!readable(alarm->wake));
	icmp_alarm_answer(alarm, note, NULL);
	ck_assert_uint_eq(answers, 2);
	icmp_alarm_free(alarm);
}
END_TEST

START_TEST(test_alarm_rings_every_100_ms)
{
	static const struct {
		uint32_t at_ms;
		bool rings;
	} cases[] = { { UINT32_MAX - 9, true }, { 89, false }, { 90, true }, { 189, false }, { 190, true } };
	struct icmp_alarm *alarm;

	ck_assert_int_eq(icmp_alarm_new(&alarm), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		icmp_alarm_ring(alarm, 7, cases[i].at_ms);
		ck_assert_int_eq(readable(alarm->wake), cases[i].rings);
		icmp_alarm_answer(alarm, note, NULL);
	}
	icmp_alarm_free(alarm);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_refused);
	tcase_add_test(tests, test_batches);
	tcase_add_test(tests, test_own_errors_are_none);
	tcase_add_test(tests, test_alarm);
	tcase_add_test(tests, test_alarm_rings_every_100_ms);
}

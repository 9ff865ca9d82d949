/* Where probes of pools of mode nat leave from. */
#include "tests/fixtures/health_fixture.h"
#include "tests/unit/suite.h"

enum { PROBES = 20, PREFIX = 0x7f400000, PREFIX_BITS = 10, DYNAMIC_FIRST = 49152 };

static void leave_from(uint32_t ip, uint8_t host_bits, uint16_t port_first, uint16_t port_last)
{
	const uint8_t octets[] = { (uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8), (uint8_t)ip };
	struct endpoint_prefix *prefix = &target.sources.prefixes[0];

	target.sources = (struct endpoint_space){ .prefix_count = 1, .port_first = port_first, .port_last = port_last };
	prefix->first = (struct addr){ .ip = { [10] = 0xff, 0xff } };
	memcpy(prefix->first.ip + 12, octets, sizeof octets);
	prefix->host_bits = host_bits;
}

static void probe_often(void)
{
	target.how.interval_ms = 1;
	probe_answered_by(verify_request, sizeof verify_request);
	run(PROBES, 20000);
	ck_assert_uint_eq(got_count, PROBES);
	for (size_t i = 0; i < PROBES; i++)
		ck_assert(reports[i].ok);
}

START_TEST(each_hello_from_another_address_of_a_prefix)
{
	leave_from(PREFIX, 32 - PREFIX_BITS, 40684, 40691);
	probe_often();
	for (size_t i = 0; i < PROBES; i++) {
		ck_assert_uint_eq(got[i].ip >> (32 - PREFIX_BITS), PREFIX >> (32 - PREFIX_BITS));
		ck_assert_uint_ge(got[i].port, DYNAMIC_FIRST);
		for (size_t j = 0; j < i; j++)
			ck_assert(got[j].ip != got[i].ip || got[j].port != got[i].port);
	}
}
END_TEST

/* A session's port is no probe's, as far as that goes. `first` and `last`: what is left. */
static const struct {
	uint16_t port_first, port_last, first, last;
} ranges[] = {
	{ 20000, 28191, 49152, 65535 }, { 20000, 65519, 65520, 65535 }, { 49168, 65535, 49152, 49167 },
	{ 49160, 65528, 49152, 65535 }, { 49152, 65535, 49152, 65535 }, { 1, 65535, 49152, 65535 },
};

START_TEST(ports_of_sessions_are_left_alone)
{
	leave_from(0x7f000005, 0, ranges[_i].port_first, ranges[_i].port_last);
	probe_often();
	for (size_t i = 0; i < PROBES; i++) {
		ck_assert_uint_eq(got[i].ip, 0x7f000005);
		ck_assert_uint_ge(got[i].port, ranges[_i].first);
		ck_assert_uint_le(got[i].port, ranges[_i].last);
		for (size_t j = 0; j < i && i - j < 15; j++)
			ck_assert_uint_ne(got[j].port, got[i].port);
		if (ranges[_i].first < ranges[_i].port_first && ranges[_i].port_last < ranges[_i].last)
			ck_assert(got[i].port < ranges[_i].port_first || got[i].port > ranges[_i].port_last);
	}
}
END_TEST

START_TEST(a_ping_too)
{
	leave_from(PREFIX, 32 - PREFIX_BITS, 40684, 40691);
	target.how.probe = PROBE_COAP;
	manner = COAP_RESET;
	probe_once();
	ck_assert(reports[0].ok);
	ck_assert_uint_eq(got[0].ip >> (32 - PREFIX_BITS), PREFIX >> (32 - PREFIX_BITS));
}
END_TEST

/* Sessions cannot leave from there either, so it is a failure like any other. */
static const enum conf_probe kinds[] = { PROBE_DTLS, PROBE_COAP, PROBE_HTTP };

START_TEST(sources_that_are_not_local)
{
	static char path[] = "/";

	leave_from(0xc0000200, 8, 40684, 40691);
	target.how.probe = kinds[_i];
	target.how.path = path;
	manner = ANSWER;
	probe_once();
	ck_assert(!reports[0].ok);
	ck_assert(!reports[0].unasked);
	ck_assert_str_eq(reports[0].reason, "cannot ask from nat.sources: Cannot assign requested address");
	ck_assert_uint_eq(got_count, 0);
}
END_TEST

/* A reload with other sources. */
START_TEST(other_sources_are_asked_from_at_once)
{
	target.how.interval_ms = 10000;
	target.how.probe = PROBE_COAP;
	manner = COAP_RESET;
	leave_from(PREFIX, 32 - PREFIX_BITS, 40684, 40691);
	probe_once();
	leave_from(0x7f000006, 0, 40684, 40691);
	ck_assert_int_eq(health_set_targets(health, &target, 1), 0);
	run(2, 20000);
	ck_assert_uint_eq(report_count, 2);
	ck_assert_uint_eq(got[1].ip, 0x7f000006);
	ck_assert_int_eq(health_set_targets(health, &target, 1), 0);
	run(3, 50);
	ck_assert_uint_eq(report_count, 2);
}
END_TEST

static uint32_t accepted_from;

static void on_accept(evutil_socket_t fd, short events, void *ctx)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	int link = accept(fd, (struct sockaddr *)&from, &len);

	(void)events;
	(void)ctx;
	ck_assert_int_ge(link, 0);
	accepted_from = ntohl(from.sin_addr.s_addr);
	ck_assert_int_gt(send(link, answer, sizeof answer - 1, 0), 0);
	shutdown(link, SHUT_WR);
}

START_TEST(a_connection_too)
{
	static char path[] = "/";
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct event *event;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	event = event_new(base, fd, EV_READ | EV_PERSIST, on_accept, NULL);
	event_add(event, NULL);
	leave_from(PREFIX, 32 - PREFIX_BITS, 40684, 40691);
	target.how.probe = PROBE_HTTP;
	target.how.path = path;
	target.addr.port = ntohs(sin.sin_port);
	probe_once();
	ck_assert_str_eq(reports[0].reason, "200 OK");
	ck_assert_uint_eq(accepted_from >> (32 - PREFIX_BITS), PREFIX >> (32 - PREFIX_BITS));
	event_free(event);
	close(fd);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, each_hello_from_another_address_of_a_prefix);
	tcase_add_loop_test(tests, ports_of_sessions_are_left_alone, 0, sizeof ranges / sizeof *ranges);
	tcase_add_test(tests, a_ping_too);
	tcase_add_test(tests, a_connection_too);
	tcase_add_loop_test(tests, sources_that_are_not_local, 0, sizeof kinds / sizeof *kinds);
	tcase_add_test(tests, other_sources_are_asked_from_at_once);
}

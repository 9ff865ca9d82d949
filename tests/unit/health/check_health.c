/* Probes against sockets of ours on loopback, in one real event loop; every run is bounded. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/dtls.h"
#include "health/health.h"
#include "health/probe_hello.h"
#include "tests/unit/suite.h"

enum { MAX_SEEN = 64 };

/* A HelloVerifyRequest of Mbed TLS. */
static const uint8_t verify_request[] = {
	0x16, 0xfe, 0xfd, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0x2f, 3,    0,
	0,    0x23, 0,    0,    0,    0,    0,    0,    0,    0x23, 0xfe, 0xfd, 0x20, 0x6b, 0x02,
	0xc9, 0x31, 0x42, 0xc8, 0x1e, 0x03, 0x9b, 0xe7, 0x86, 0x28, 0x1e, 0xba, 0xcc, 0x2e, 0xe6,
	0x74, 0x7a, 0x7f, 0xd6, 0x44, 0x36, 0xf6, 0x9a, 0x82, 0x8b, 0xb9, 0x23, 0xe6, 0xf5, 0xfd,
};

/* A ServerHello: record, handshake header, version, random (first octet 7), no session id, suite c0a8, no
 * compression. */
static const uint8_t server_hello[13 + 12 + 38] = {
	0x16, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0,  0,    0,    50, 2,           0,
	0,    38,   0,    0, 0, 0, 0, 0, 0, 38, 0xfe, 0xfd, 7,  [60] = 0xc0, 0xa8,
};

static const uint8_t alert[] = { 0x15, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40 };

static struct event_base *base;
static struct health *health;

struct seen_report {
	uint16_t uid;
	bool ok, unasked;
	char reason[128];
	uint64_t at_ms;
};
static struct seen_report reports[MAX_SEEN];
static size_t report_count, stop_at;

/* What the fake server got, and what it says. */
enum manner { SILENT, ANSWER, ECHO, COAP_RESET, COAP_WRONG_ID };
static enum manner manner;
static const uint8_t *say;
static size_t say_len;
static struct {
	uint8_t data[512];
	size_t len;
	uint16_t port;
} got[MAX_SEEN];
static size_t got_count;
static int server;
static struct event *server_event;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_report(void *ctx, uint16_t uid, const struct health_result *result)
{
	struct seen_report *r = &reports[report_count++];

	(void)ctx;
	ck_assert_uint_lt(report_count, MAX_SEEN);
	*r = (struct seen_report){ .uid = uid, .ok = result->ok, .unasked = result->unasked, .at_ms = now_ms() };
	snprintf(r->reason, sizeof r->reason, "%s", result->reason);
	if (report_count == stop_at)
		event_base_loopbreak(base);
}

static void on_server(evutil_socket_t fd, short events, void *ctx)
{
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	ssize_t n = recvfrom(fd, got[got_count].data, sizeof got[got_count].data, 0, (struct sockaddr *)&from, &len);
	const uint8_t *data = got[got_count].data;

	(void)events;
	(void)ctx;
	ck_assert_int_ge(n, 4);
	ck_assert_uint_lt(got_count + 1, MAX_SEEN);
	uint8_t reset[] = { 0x70, 0, data[2], data[3] };
	got[got_count].len = (size_t)n;
	got[got_count++].port = ntohs(from.sin_port);
	if (manner == COAP_WRONG_ID)
		reset[3] ^= 1;
	if (manner == ANSWER)
		sendto(fd, say, say_len, 0, (struct sockaddr *)&from, len);
	else if (manner == ECHO)
		sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, len);
	else if (manner != SILENT)
		sendto(fd, reset, sizeof reset, 0, (struct sockaddr *)&from, len);
}

static uint16_t bind_loopback(int *fd)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sin;

	*fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(*fd, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(getsockname(*fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

static struct health_target make_target(uint16_t uid, uint16_t port, enum conf_probe probe)
{
	return (struct health_target){
		.uid = uid,
		.addr = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = port },
		.how = { .probe = probe, .interval_ms = 60, .timeout_ms = 50, .rise = 2, .fall = 3 },
	};
}

static struct health_target target;

static void setup(void)
{
	base = event_base_new();
	health = health_new(base, on_report, NULL);
	target = make_target(7, bind_loopback(&server), PROBE_DTLS);
	server_event = event_new(base, server, EV_READ | EV_PERSIST, on_server, NULL);
	event_add(server_event, NULL);
	report_count = got_count = 0;
	manner = SILENT;
}

static void teardown(void)
{
	health_free(health);
	event_free(server_event);
	event_base_free(base);
	close(server);
}

/* Until that many reports have come in all, or limit_ms are over. */
static void run(size_t until_reports, unsigned limit_ms)
{
	struct timeval limit = { .tv_sec = limit_ms / 1000, .tv_usec = limit_ms % 1000 * 1000 };

	stop_at = until_reports;
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
}

static void probe_once(void)
{
	ck_assert_int_eq(health_set_targets(health, &target, 1), 0);
	run(1, 3000);
	ck_assert_uint_eq(report_count, 1);
	ck_assert_uint_eq(reports[0].uid, 7);
}

static void probe_answered_by(const void *data, size_t len)
{
	manner = ANSWER;
	say = data;
	say_len = len;
	probe_once();
}

START_TEST(test_hello_is_well_formed)
{
	uint8_t hello[PROBE_HELLO_OCTETS], random[PROBE_HELLO_RANDOM_OCTETS];
	struct dtls_view view;

	memset(random, 0xaa, sizeof random);
	probe_hello_write(hello, random);
	dtls_walk(&view, hello, sizeof hello);
	ck_assert_int_eq(view.kind, DTLS_HELLO);
	ck_assert_uint_eq(bytes_u16(hello + 11), sizeof hello - 13); /* the record is the datagram */
	ck_assert_uint_eq(bytes_u16(hello + 15), sizeof hello - 25); /* the message is the record */
	ck_assert_mem_eq(hello + 19, "\0\0\0", 3);                   /* in one fragment */
	ck_assert_mem_eq(hello + 22, hello + 14, 3);
	ck_assert_mem_eq(hello + 27, random, sizeof random);
	ck_assert_uint_eq(hello[59], 0); /* session id */
	ck_assert_uint_eq(hello[60], 0); /* cookie */
	size_t suites = bytes_u16(hello + 61);
	ck_assert_uint_eq(suites, 24);
	ck_assert_mem_eq(
		hello + 63,
		"\xc0\xa8\xc0\xa4\x00\xa8\x00\xae\xc0\x37\xc0\xae\xc0\x2b\xc0\x2f\xc0\x27\x13\x01\x13\x04\x00\xff", 24);
	ck_assert_mem_eq(hello + 87, "\1\0", 2);
	ck_assert_uint_eq(bytes_u16(hello + 89), sizeof hello - 91);
	static const uint16_t types[] = { 10, 11, 13, 23, 43, 51, 45 };
	size_t at = 91, n = 0;
	for (; at + 4 <= sizeof hello; n++) {
		ck_assert_uint_lt(n, 7);
		ck_assert_uint_eq(bytes_u16(hello + at), types[n]); /* none is 54, connection_id */
		at += 4U + bytes_u16(hello + at + 2);
	}
	ck_assert_uint_eq(n, 7);
	ck_assert_uint_eq(at, sizeof hello);
}
END_TEST

START_TEST(test_hello_answers)
{
	uint8_t retry[sizeof server_hello], cut[sizeof alert], hello[PROBE_HELLO_OCTETS], random[32] = { 0 };

	ck_assert_int_eq(probe_hello_read(verify_request, sizeof verify_request), PROBE_ANSWER_RETRY);
	ck_assert_int_eq(probe_hello_read(server_hello, sizeof server_hello), PROBE_ANSWER_SERVER_HELLO);
	ck_assert_int_eq(probe_hello_read(alert, sizeof alert), PROBE_ANSWER_ALERT);
	memcpy(retry, server_hello, sizeof retry);
	memcpy(retry + 27,
	       "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07"
	       "\x9e\x09\xe2\xc8\xa8"
	       "\x33\x9c",
	       32);
	ck_assert_int_eq(probe_hello_read(retry, sizeof retry), PROBE_ANSWER_RETRY);
	memcpy(cut, alert, sizeof cut);
	cut[2] = 0xff; /* OpenSSL's version */
	ck_assert_int_eq(probe_hello_read(cut, sizeof cut), PROBE_ANSWER_ALERT);
	cut[2] = 0xfc;
	ck_assert_int_eq(probe_hello_read(cut, sizeof cut), PROBE_ANSWER_NONE);
	ck_assert_int_eq(probe_hello_read(alert, sizeof alert - 1), PROBE_ANSWER_NONE);
	ck_assert_int_eq(probe_hello_read(alert, 0), PROBE_ANSWER_NONE);
	ck_assert_int_eq(probe_hello_read((const uint8_t *)"hello, world: no DTLS", 21), PROBE_ANSWER_NONE);
	probe_hello_write(hello, random);
	ck_assert_int_eq(probe_hello_read(hello, sizeof hello), PROBE_ANSWER_NONE);
}
END_TEST

START_TEST(test_verify_request_is_life)
{
	probe_answered_by(verify_request, sizeof verify_request);
	ck_assert(reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "HelloVerifyRequest or HelloRetryRequest");
	ck_assert_uint_eq(got[0].len, PROBE_HELLO_OCTETS);
}
END_TEST

START_TEST(test_alert_is_life)
{
	probe_answered_by(alert, sizeof alert);
	ck_assert(reports[0].ok);
}
END_TEST

START_TEST(test_server_hello_is_life_and_aborted)
{
	static const uint8_t abort_record[] = { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40 };

	target.how.interval_ms = 10000;
	probe_answered_by(server_hello, sizeof server_hello);
	ck_assert(reports[0].ok);
	manner = SILENT;
	run(2, 50);
	ck_assert_uint_eq(got_count, 2);
	ck_assert_uint_eq(got[1].len, sizeof abort_record);
	ck_assert_mem_eq(got[1].data, abort_record, sizeof abort_record);
	ck_assert_uint_eq(got[1].port, got[0].port);
}
END_TEST

/* Or a server that keeps a session per address takes the second question for a replay of the first. */
START_TEST(test_record_numbers_rise)
{
	probe_answered_by(verify_request, sizeof verify_request);
	run(3, 3000);
	ck_assert_uint_eq(got_count, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_mem_eq(got[i].data, "\26\xfe\xfd\0\0\0\0\0\0\0", 10);
		ck_assert_uint_eq(got[i].data[10], i);
	}
}
END_TEST

START_TEST(test_silence)
{
	probe_once();
	ck_assert(!reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "no answer for 50 ms");
}
END_TEST

START_TEST(test_noise)
{
	probe_answered_by("hello", 5);
	ck_assert(!reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "no DTLS answer for 50 ms, but 5 octets of something else");
}
END_TEST

START_TEST(test_an_echo_is_not_life)
{
	manner = ECHO;
	probe_once();
	ck_assert(!reports[0].ok);
}
END_TEST

/* Each probe is a fresh one from the same port; between two are 90 % of the interval or more. */
START_TEST(test_probes_repeat)
{
	manner = ANSWER;
	say = verify_request;
	say_len = sizeof verify_request;
	health_set_targets(health, &target, 1);
	run(4, 3000);
	ck_assert_uint_eq(report_count, 4);
	for (size_t i = 1; i < 4; i++) {
		ck_assert(reports[i].ok);
		ck_assert_uint_eq(got[i].port, got[0].port);
		ck_assert_mem_ne(got[i].data + PROBE_HELLO_RANDOM_AT, got[i - 1].data + PROBE_HELLO_RANDOM_AT, 32);
		ck_assert_uint_ge(reports[i].at_ms - reports[i - 1].at_ms, 52);
	}
}
END_TEST

/* A closed port: three probes at once, 20 ms apart, then one per interval. */
START_TEST(test_refused_until_fall)
{
	event_del(server_event);
	close(server);
	target.how.interval_ms = 400;
	target.how.timeout_ms = 300;
	health_set_targets(health, &target, 1);
	run(4, 3000);
	ck_assert_uint_eq(report_count, 4);
	for (size_t i = 0; i < 4; i++) {
		ck_assert(!reports[i].ok);
		ck_assert_str_eq(reports[i].reason, "connection refused");
	}
	/* Whatever the machine is busy with: not all in one turn, and those at once closer to each other than the next
	 * one to them. */
	ck_assert_uint_gt(reports[1].at_ms, reports[0].at_ms);
	ck_assert_uint_gt(reports[3].at_ms - reports[2].at_ms, reports[2].at_ms - reports[0].at_ms);
	bind_loopback(&server);
}
END_TEST

START_TEST(test_coap_reset)
{
	target.how.probe = PROBE_COAP;
	manner = COAP_RESET;
	probe_once();
	ck_assert(reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "RST");
	ck_assert_uint_eq(got[0].len, 4);
	ck_assert_mem_eq(got[0].data, "\x40\x00", 2);
}
END_TEST

START_TEST(test_coap_reset_of_another_message)
{
	target.how.probe = PROBE_COAP;
	manner = COAP_WRONG_ID;
	probe_once();
	ck_assert(!reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "no CoAP answer for 50 ms, but 4 octets of something else");
}
END_TEST

START_TEST(test_none_reports_once)
{
	target.how.probe = PROBE_NONE;
	probe_once();
	ck_assert(reports[0].ok);
	health_set_targets(health, &target, 1);
	run(2, 150);
	ck_assert_uint_eq(report_count, 1);
	ck_assert_uint_eq(got_count, 0);
}
END_TEST

/* A reload: one target stays as it is, one gets other settings, one goes. */
START_TEST(test_set_targets)
{
	struct health_target all[2] = { target, target };

	all[1].uid = 8;
	manner = ANSWER;
	say = verify_request;
	say_len = sizeof verify_request;
	target.how.interval_ms = all[0].how.interval_ms = all[1].how.interval_ms = 10000;
	health_set_targets(health, all, 2);
	run(2, 3000);
	ck_assert_uint_eq(got_count, 2);
	uint16_t port = got[0].port;

	all[0].how.rise = 9; /* not the prober's business */
	health_set_targets(health, all, 1);
	run(3, 100);
	ck_assert_uint_eq(report_count, 2);

	all[0].how.interval_ms = 60;
	health_set_targets(health, all, 1);
	run(4, 3000);
	ck_assert_uint_eq(report_count, 4);
	ck_assert_uint_eq(reports[2].uid, 7);
	ck_assert_uint_eq(reports[3].uid, 7);
	ck_assert_uint_ne(got[2].port, port);

	health_set_targets(health, NULL, 0);
	run(5, 150);
	ck_assert_uint_eq(report_count, 4);
}
END_TEST

START_TEST(test_suspect)
{
	manner = ANSWER;
	say = verify_request;
	say_len = sizeof verify_request;
	target.how.interval_ms = 10000;
	probe_once();
	health_suspect(health, 7);
	health_suspect(health, 7);
	health_suspect(health, 99);
	run(2, 3000);
	ck_assert_uint_eq(report_count, 2);
	ck_assert_uint_ge(reports[1].at_ms - reports[0].at_ms, 95);
	run(3, 150);
	ck_assert_uint_eq(report_count, 2);
}
END_TEST

/* A target taken away by the report of its own probe. */
static void remove_all(void *ctx, uint16_t uid, const struct health_result *result)
{
	health_set_targets(health, NULL, 0);
	on_report(ctx, uid, result);
}

START_TEST(test_report_may_remove)
{
	health_free(health);
	health = health_new(base, remove_all, NULL);
	probe_answered_by(verify_request, sizeof verify_request);
	run(2, 150);
	ck_assert_uint_eq(report_count, 1);
}
END_TEST

/* More targets than descriptors: those that get one are probed, the others say why they are not. */
START_TEST(test_no_descriptors)
{
	static struct health_target many[50];
	struct rlimit few = { .rlim_cur = 40, .rlim_max = 40 };
	size_t ok = 0;

	manner = ANSWER;
	say = verify_request;
	say_len = sizeof verify_request;
	for (size_t i = 0; i < 50; i++) {
		many[i] = make_target((uint16_t)(i + 7), target.addr.port, PROBE_DTLS);
		many[i].how.interval_ms = many[i].how.timeout_ms = 60000;
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(health_set_targets(health, many, 50), 0);
	run(50, 20000);
	ck_assert_uint_eq(report_count, 50);
	for (size_t i = 0; i < 50; i++) {
		ck_assert(reports[i].ok != reports[i].unasked);
		ck_assert_str_eq(reports[i].reason,
				 reports[i].ok ? "HelloVerifyRequest or HelloRetryRequest" : "Too many open files");
		ok += reports[i].ok;
	}
	ck_assert_uint_ge(ok, 10);
	ck_assert_uint_lt(ok, 40);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_hello_is_well_formed);
	tcase_add_test(tests, test_hello_answers);
	tcase_add_test(tests, test_record_numbers_rise);
	tcase_add_test(tests, test_verify_request_is_life);
	tcase_add_test(tests, test_alert_is_life);
	tcase_add_test(tests, test_server_hello_is_life_and_aborted);
	tcase_add_test(tests, test_silence);
	tcase_add_test(tests, test_noise);
	tcase_add_test(tests, test_an_echo_is_not_life);
	tcase_add_test(tests, test_probes_repeat);
	tcase_add_test(tests, test_refused_until_fall);
	tcase_add_test(tests, test_coap_reset);
	tcase_add_test(tests, test_coap_reset_of_another_message);
	tcase_add_test(tests, test_none_reports_once);
	tcase_add_test(tests, test_set_targets);
	tcase_add_test(tests, test_suspect);
	tcase_add_test(tests, test_report_may_remove);
	tcase_add_test(tests, test_no_descriptors);
}

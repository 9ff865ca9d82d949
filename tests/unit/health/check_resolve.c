#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "health/resolve.h"
#include "tests/unit/suite.h"

enum { LIMIT_S = 60, MAX_REPORTS = 1100, HEADER = 12, TYPE_A = 1, TYPE_AAAA = 28, NXDOMAIN = 3, TRUNCATED = 0x200 };

/* A DNS server on loopback, in the event loop of the test. What it says is of the next questions. */
struct server {
	int fd;
	struct event *event;
	bool silent, forge, by_number;
	uint16_t flags; /* or'ed in: response code, TRUNCATED */
	unsigned addresses;
	uint8_t address[16];
	uint32_t ttl_s;
	const char *only; /* the only name there is, or NULL */
	size_t asked;
	char name[256]; /* of the last question, in small letters */
	uint16_t type;
	uint8_t query[512];
	ssize_t query_len;
	struct sockaddr_in from;
};

struct report {
	char host[256];
	bool v6, good;
	uint8_t ip[16];
	uint32_t ttl_s;
	char reason[128];
};

static struct event_base *base;
static struct server server, other;
static struct resolve *resolve;
static struct report reports[MAX_REPORTS];
static size_t reported;
static char file[] = "/tmp/check_resolve.XXXXXX";

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void read_question(struct server *s)
{
	size_t at = HEADER, to = 0;

	while (s->query[at]) {
		for (size_t i = 0; i < s->query[at]; i++)
			s->name[to++] = (char)tolower(s->query[at + 1 + i]);
		at += 1u + s->query[at];
		s->name[to++] = '.';
	}
	s->name[to ? to - 1 : 0] = '\0';
	s->type = (uint16_t)(s->query[at + 1] << 8 | s->query[at + 2]);
}

static void answer(struct server *s, uint16_t id_change, const uint8_t *address)
{
	const bool there = !s->only || strcmp(s->only, s->name) == 0;
	const size_t octets = s->type == TYPE_A ? 4 : 16;
	const unsigned count = there && !(s->flags & 0xf) ? s->addresses : 0;
	uint8_t out[1024];
	size_t len = (size_t)s->query_len;

	memcpy(out, s->query, len);
	out[1] ^= (uint8_t)id_change;
	out[2] = (uint8_t)(0x81 | s->flags >> 8);
	out[3] = (uint8_t)(0x80 | (there ? s->flags & 0xf : NXDOMAIN));
	out[7] = (uint8_t)count;
	for (unsigned i = 0; i < count; i++) {
		const uint32_t ttl = htonl(s->ttl_s);
		const uint8_t head[] = { 0xc0, 0x0c, 0, (uint8_t)s->type, 0, 1 };
		memcpy(out + len, head, sizeof head);
		memcpy(out + len + 6, &ttl, 4);
		out[len + 10] = 0;
		out[len + 11] = (uint8_t)octets;
		memcpy(out + len + 12, address, octets);
		out[len + 12 + octets - 1] = (uint8_t)(out[len + 12 + octets - 1] + i);
		len += 12 + octets;
	}
	ck_assert_int_eq(sendto(s->fd, out, len, 0, (struct sockaddr *)&s->from, sizeof s->from), (ssize_t)len);
}

static void on_question(int fd, short events, void *ctx)
{
	static const uint8_t forged[16] = { 6, 6, 6, 6 };
	struct server *s = ctx;
	socklen_t len = sizeof s->from;
	uint8_t address[16];

	(void)events;
	s->query_len = recvfrom(fd, s->query, sizeof s->query, 0, (struct sockaddr *)&s->from, &len);
	ck_assert_int_ge(s->query_len, HEADER);
	s->asked++;
	read_question(s);
	if (s->silent)
		return;
	memcpy(address, s->address, sizeof address);
	if (s->by_number) {
		const int number = atoi(s->name + 1);
		address[2] = (uint8_t)(number >> 8);
		address[3] = (uint8_t)number;
	}
	if (s->forge)
		answer(s, 0x55, forged);
	answer(s, 0, address);
}

static void server_start(struct server *s)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	*s = (struct server){ .addresses = 1, .address = { 10, 1, 2, 3 }, .ttl_s = 60 };
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&addr, sizeof addr), 0);
	s->event = event_new(base, s->fd, EV_READ | EV_PERSIST, on_question, s);
	event_add(s->event, NULL);
}

static void server_stop(struct server *s)
{
	event_free(s->event);
	close(s->fd);
}

/* Under a new inode, as a real one is replaced. */
static void write_conf(const struct server *s, const char *rest)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof addr;
	char new[sizeof file + 4];
	FILE *out;

	ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&addr, &len), 0);
	snprintf(new, sizeof new, "%s.new", file);
	out = fopen(new, "w");
	ck_assert_ptr_nonnull(out);
	fprintf(out, "nameserver 127.0.0.1:%u\nsearch test\noptions timeout:30 attempts:9 ndots:1\n%s",
		ntohs(addr.sin_port), rest);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_int_eq(rename(new, file), 0);
}

static void on_report(void *ctx, const struct resolve_name *name, const struct resolve_answer *answered)
{
	struct report *report = &reports[reported++];

	ck_assert_ptr_eq(ctx, &reports);
	ck_assert_uint_le(reported, MAX_REPORTS);
	ck_assert_int_eq(answered->good, !answered->reason);
	*report = (struct report){ .v6 = name->v6, .good = answered->good, .ttl_s = answered->ttl_s };
	memcpy(report->ip, answered->ip, sizeof report->ip);
	snprintf(report->host, sizeof report->host, "%s", name->host);
	snprintf(report->reason, sizeof report->reason, "%s", answered->reason ? answered->reason : "");
}

static void resolve_start(void)
{
	write_conf(&server, "");
	ck_assert_int_eq(resolve_new_from(&resolve, base, file, on_report, &reports), 0);
}

static void set_up(void)
{
	int fd;

	reported = 0;
	fd = mkstemp(file);
	ck_assert_int_ge(fd, 0);
	close(fd);
	base = event_base_new();
	server_start(&server);
	server_start(&other);
	resolve_start();
}

static void tear_down(void)
{
	resolve_free(resolve);
	server_stop(&server);
	server_stop(&other);
	event_base_free(base);
	libevent_global_shutdown();
	ck_assert_int_eq(unlink(file), 0);
	memset(file + sizeof file - 7, 'X', 6);
}

static void wake(int fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	(void)ctx;
}

/* Runs the loop until *counter is `count`. */
static void run_until(const size_t *counter, size_t count)
{
	struct event *tick = event_new(base, -1, EV_PERSIST, wake, NULL);
	const uint64_t end = now_ms() + LIMIT_S * 500;

	event_add(tick, &(struct timeval){ 0, 100000 });
	while (*counter < count && now_ms() < end)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(tick);
	ck_assert_uint_ge(*counter, count);
}

static void run_ms(unsigned ms)
{
	event_base_loopexit(base, &(struct timeval){ ms / 1000, ms % 1000 * 1000 });
	event_base_dispatch(base);
}

static void know(const char *host)
{
	ck_assert_int_eq(resolve_set_names(resolve, &(struct resolve_name){ .host = host }, 1), 0);
}

static const struct report *next_report(void)
{
	run_until(&reported, reported + 1);
	return &reports[reported - 1];
}

START_TEST(one_address)
{
	static const uint8_t question[] = { 0x01, 0x00, 0, 1,   0,   0,   0,   0, 0, 0, 3, 'p',
					    'o',  'd',  4, 't', 'e', 's', 't', 0, 0, 1, 0, 1 };
	const struct report *report;

	know("pod");
	report = next_report();
	ck_assert(report->good);
	ck_assert_str_eq(report->host, "pod");
	ck_assert(!report->v6);
	ck_assert_mem_eq(report->ip, ((uint8_t[16]){ [10] = 0xff, 0xff, 10, 1, 2, 3 }), 16);
	ck_assert_uint_eq(report->ttl_s, 60);
	ck_assert_uint_eq(server.asked, 1);
	ck_assert_int_eq(server.query_len, 2 + (ssize_t)sizeof question);
	for (size_t i = 0; i < sizeof question; i++) /* evdns mixes small and capital letters */
		ck_assert_int_eq(tolower(server.query[2 + i]), tolower(question[i]));
}
END_TEST

START_TEST(ipv6)
{
	static const struct resolve_name both[] = { { "pod", true }, { "pod", false }, { "POD", true } };

	memcpy(server.address, "\xfd\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\x07", 16);
	ck_assert_int_eq(resolve_set_names(resolve, both, 3), 0);
	run_until(&reported, 2);
	ck_assert_uint_eq(server.asked, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert(reports[i].good);
		ck_assert_mem_eq(reports[i].ip + (reports[i].v6 ? 0 : 12), server.address, reports[i].v6 ? 16 : 4);
	}
	ck_assert_int_ne(reports[0].v6, reports[1].v6);
}
END_TEST

static const struct {
	uint32_t sent_s, taken_s;
} ttls[] = { { 0, 5 },         { 4, 5 },     { 5, 5 },     { 6, 6 },
	     { 299, 299 },     { 300, 300 }, { 301, 300 }, { 0x7fffffff, 300 },
	     { 0x80000000, 5 } };

START_TEST(ttl)
{
	server.ttl_s = ttls[_i].sent_s;
	know("pod");
	ck_assert_uint_eq(next_report()->ttl_s, ttls[_i].taken_s);
}
END_TEST

START_TEST(asked_again_when_its_time_has_passed)
{
	const uint64_t start = now_ms();

	server.ttl_s = 1;
	know("pod");
	ck_assert(next_report()->good);
	server.address[3] = 4;
	ck_assert_uint_eq(next_report()->ip[15], 4);
	ck_assert_uint_ge(now_ms() - start, 4900);
	ck_assert_uint_eq(server.asked, 2);
}
END_TEST

static const struct {
	uint16_t flags;
	unsigned addresses;
	bool v6;
	const char *address; /* NULL: 10.1.2.3 */
	const char *reason;
} bad[] = {
	{ 0, 0, false, NULL, "the name has no IPv4 address" },
	{ 0, 0, true, NULL, "the name has no IPv6 address" },
	{ 0, 2, false, NULL, "2 addresses, where a backend is one" },
	{ 0, 2, true, NULL, "2 addresses, where a backend is one" },
	{ 0, 30, false, NULL, "30 addresses, where a backend is one" },
	{ TRUNCATED, 1, false, NULL, "the answer is truncated" },
	{ 1, 1, false, NULL, "an answer that makes no sense" },
	{ 2, 1, false, NULL, "the DNS failed (SERVFAIL)" },
	{ NXDOMAIN, 1, false, NULL, "no such name" },
	{ 4, 1, false, NULL, "the DNS refuses to answer" },
	{ 5, 1, false, NULL, "the DNS refuses to answer" },
	{ 9, 1, false, NULL, "an answer that makes no sense" },
	{ 0, 1, false, "\0\0\0\0", "0.0.0.0 is no address of a backend" },
	{ 0, 1, true, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ":: is no address of a backend" },
	{ 0, 1, false, "\xe0\0\0\x01", "224.0.0.1 is no address of a backend" },
	{ 0, 1, false, "\xff\xff\xff\xff", "255.255.255.255 is no address of a backend" },
	{ 0, 1, true, "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", "ff02::1 is no address of a backend" },
	{ 0, 1, true, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03", "10.1.2.3 is no address of a backend" },
};

/* No good report, and a good one once the answer is. */
START_TEST(bad_answer)
{
	static const uint8_t address[16] = { 10, 1, 2, 3 };

	server.flags = bad[_i].flags;
	server.addresses = bad[_i].addresses;
	if (bad[_i].address)
		memcpy(server.address, bad[_i].address, bad[_i].v6 ? 16 : 4);
	ck_assert_int_eq(resolve_set_names(resolve, &(struct resolve_name){ "pod", bad[_i].v6 }, 1), 0);
	ck_assert_str_eq(next_report()->reason, bad[_i].reason);
	server.flags = 0;
	server.addresses = 1;
	memcpy(server.address, address, sizeof address);
	ck_assert_str_eq(next_report()->reason, "");
}
END_TEST

START_TEST(backs_off)
{
	const uint64_t start = now_ms();

	server.flags = NXDOMAIN;
	know("pod.");
	for (int i = 0; i < 4; i++)
		ck_assert(!next_report()->good);
	ck_assert_uint_ge(now_ms() - start, 250 + 500 + 1000 - 50);
	ck_assert_uint_eq(server.asked, 4);
}
END_TEST

START_TEST(another_id_is_ignored)
{
	server.forge = true;
	know("pod");
	ck_assert_uint_eq(next_report()->ip[12], 10);
	ck_assert_uint_eq(reported, 1);
}
END_TEST

START_TEST(silence_then_an_answer)
{
	server.silent = true;
	know("pod");
	ck_assert_str_eq(next_report()->reason, "no answer from the DNS");
	ck_assert_uint_eq(server.asked, 2);
	server.silent = false;
	ck_assert(next_report()->good);
}
END_TEST

START_TEST(asked_at_once_when_a_probe_failed)
{
	const struct resolve_name pod = { "pod", false };
	uint64_t start;

	server.ttl_s = 300;
	know("pod");
	ck_assert(next_report()->good);
	start = now_ms();
	server.address[3] = 9;
	for (int i = 0; i < 5; i++)
		resolve_now(resolve, &pod);
	ck_assert_uint_eq(next_report()->ip[15], 9);
	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 5; j++)
			resolve_now(resolve, &pod);
		ck_assert(next_report()->good);
	}
	ck_assert_uint_eq(server.asked, 5);
	ck_assert_uint_ge(now_ms() - start, 3 * RESOLVE_AGAIN_MS - 50);
	server.silent = true;
	resolve_now(resolve, &pod);
	run_until(&server.asked, 6);
	resolve_now(resolve, &pod);
	ck_assert_str_eq(next_report()->reason, "no answer from the DNS");
	ck_assert_uint_eq(server.asked, 7);
	resolve_now(resolve, &(struct resolve_name){ "pod", true });
	resolve_now(resolve, &(struct resolve_name){ "nobody", false });
	resolve_now(NULL, &pod);
}
END_TEST

START_TEST(forgotten_during_a_question)
{
	server.silent = true;
	know("pod");
	run_until(&server.asked, 1);
	ck_assert_int_eq(resolve_set_names(resolve, NULL, 0), 0);
	answer(&server, 0, server.address);
	run_ms(100);
	server.silent = false;
	know("next");
	ck_assert_str_eq(next_report()->host, "next");
	ck_assert_uint_eq(reported, 1);
}
END_TEST

/* The answer is there, and not read yet. */
START_TEST(freed_during_a_question)
{
	server.silent = true;
	know("pod");
	run_until(&server.asked, 1);
	answer(&server, 0, server.address);
	resolve_free(resolve);
	ck_assert_uint_eq(reported, 0);
	resolve_start();
}
END_TEST

static void on_report_forget(void *ctx, const struct resolve_name *name, const struct resolve_answer *answered)
{
	ck_assert_int_eq(resolve_set_names(resolve, NULL, 0), 0);
	on_report(ctx, name, answered);
}

/* So are the others, whose answers may have been read already. */
START_TEST(forgotten_by_its_report)
{
	static const struct resolve_name three[] = { { "a", false }, { "b", false }, { "c", false } };

	resolve_free(resolve);
	ck_assert_int_eq(resolve_new_from(&resolve, base, file, on_report_forget, &reports), 0);
	ck_assert_int_eq(resolve_set_names(resolve, three, 3), 0);
	next_report();
	run_ms(100);
	ck_assert_uint_eq(reported, 1);
	know("next");
	ck_assert_str_eq(next_report()->host, "next");
}
END_TEST

START_TEST(known_names_go_on)
{
	static const struct resolve_name three[] = { { "c", false }, { "a", false }, { "b", false } };

	ck_assert_int_eq(resolve_set_names(resolve, three, 2), 0);
	run_until(&reported, 2);
	ck_assert_int_eq(resolve_set_names(resolve, three, 3), 0);
	ck_assert_str_eq(next_report()->host, "b");
	ck_assert_int_eq(resolve_set_names(resolve, three + 1, 2), 0);
	run_ms(100);
	ck_assert_uint_eq(server.asked, 3);
	resolve_now(resolve, &three[0]);
	resolve_now(resolve, &three[1]);
	ck_assert_str_eq(next_report()->host, "a");
}
END_TEST

START_TEST(many_at_once)
{
	enum { NAMES = 500 };
	static char hosts[NAMES][8];
	struct resolve_name names[NAMES];
	bool seen[NAMES] = { false };

	server.by_number = true;
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(hosts[i], sizeof hosts[i], "n%zu", i);
		names[i] = (struct resolve_name){ hosts[i], false };
	}
	ck_assert_int_eq(resolve_set_names(resolve, names, NAMES), 0);
	run_until(&reported, NAMES);
	for (size_t i = 0; i < NAMES; i++) {
		const size_t number = (size_t)(reports[i].ip[14] << 8 | reports[i].ip[15]);
		ck_assert(reports[i].good);
		ck_assert_str_eq(reports[i].host, hosts[number]);
		ck_assert(!seen[number]);
		seen[number] = true;
	}
}
END_TEST

START_TEST(search_list)
{
	resolve_free(resolve);
	write_conf(&server, "search one.test two.test\noptions ndots:3\n");
	ck_assert_int_eq(resolve_new_from(&resolve, base, file, on_report, &reports), 0);
	server.only = "a.b.two.test";
	know("a.b");
	ck_assert(next_report()->good);
	ck_assert_uint_eq(server.asked, 2);
	ck_assert_str_eq(server.name, "a.b.two.test");
	know("a.b.");
	ck_assert_str_eq(next_report()->reason, "no such name");
	ck_assert_uint_eq(server.asked, 3);
	ck_assert_str_eq(server.name, "a.b");
}
END_TEST

/* Known at the next set of names: what is under way is asked again, and answered once. */
START_TEST(resolv_conf_replaced)
{
	server.silent = true;
	know("pod");
	run_until(&server.asked, 1);
	other.address[3] = 77;
	write_conf(&other, "");
	know("pod");
	ck_assert_uint_eq(next_report()->ip[15], 77);
	ck_assert_uint_eq(other.asked, 1);
	ck_assert_uint_eq(server.asked, 1);
	run_ms(100);
	ck_assert_uint_eq(reported, 1);
}
END_TEST

/* Nobody says so, but a question without answer makes it look. */
START_TEST(resolv_conf_replaced_in_silence)
{
	know("pod");
	ck_assert(next_report()->good);
	server.silent = true;
	write_conf(&other, "");
	resolve_now(resolve, &(struct resolve_name){ "pod", false });
	ck_assert_str_eq(next_report()->reason, "no answer from the DNS");
	ck_assert(next_report()->good);
	ck_assert_uint_eq(other.asked, 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, LIMIT_S);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, one_address);
	tcase_add_test(tests, ipv6);
	tcase_add_loop_test(tests, ttl, 0, sizeof ttls / sizeof *ttls);
	tcase_add_test(tests, asked_again_when_its_time_has_passed);
	tcase_add_loop_test(tests, bad_answer, 0, sizeof bad / sizeof *bad);
	tcase_add_test(tests, backs_off);
	tcase_add_test(tests, another_id_is_ignored);
	tcase_add_test(tests, silence_then_an_answer);
	tcase_add_test(tests, asked_at_once_when_a_probe_failed);
	tcase_add_test(tests, forgotten_during_a_question);
	tcase_add_test(tests, freed_during_a_question);
	tcase_add_test(tests, forgotten_by_its_report);
	tcase_add_test(tests, known_names_go_on);
	tcase_add_test(tests, many_at_once);
	tcase_add_test(tests, search_list);
	tcase_add_test(tests, resolv_conf_replaced);
	tcase_add_test(tests, resolv_conf_replaced_in_silence);
}

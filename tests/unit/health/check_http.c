/* The `http` probe against libevent's HTTP server, and sockets that are none, in one event loop. */
#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "tests/fixtures/probe_fixture.h"
#include "tests/unit/suite.h"

static char path[] = "/health?full=1";
static struct evhttp *server;
static struct evhttp_bound_socket *bound;
static int status;
static const char *body;
static bool chunked, hanging;
static unsigned requests;
static struct evhttp_request *unfinished[4];
static size_t unfinished_count;

static void on_request(struct evhttp_request *request, void *ctx)
{
	struct evkeyvalq *fields = evhttp_request_get_input_headers(request);
	struct evbuffer *out = evbuffer_new();

	(void)ctx;
	requests++;
	ck_assert_str_eq(evhttp_request_get_uri(request), path);
	ck_assert_str_eq(evhttp_find_header(fields, "Connection"), "close");
	ck_assert_ptr_nonnull(evhttp_find_header(fields, "Host"));
	evbuffer_add(out, body, strlen(body));
	if (chunked || hanging) {
		evhttp_send_reply_start(request, status, NULL);
		evhttp_send_reply_chunk(request, out);
		ck_assert_uint_lt(unfinished_count, 4);
		if (hanging)
			unfinished[unfinished_count++] = request;
		else
			evhttp_send_reply_end(request);
	} else {
		evhttp_send_reply(request, status, NULL, out);
	}
	evbuffer_free(out);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return ntohs(((struct sockaddr_in *)&sa)->sin_port); /* at the same place for IPv6 */
}

static void serve(const char *ip)
{
	bound = evhttp_bind_socket_with_handle(server, ip, 0);
	ck_assert_ptr_nonnull(bound);
	ck_assert_int_eq(addr_parse_ip(&target.addr, ip), 0);
	target.addr.port = 1;
	target.how.port = port_of(evhttp_bound_socket_get_fd(bound));
}

static void setup(void)
{
	fixture_begin(PROBE_HTTP);
	target.how.path = path;
	server = evhttp_new(base);
	evhttp_set_gencb(server, on_request, NULL);
	status = 200;
	body = "up id:9\n";
	chunked = hanging = false;
	requests = 0;
}

static void teardown(void)
{
	fixture_end();
}

static void stop_server(void)
{
	while (unfinished_count > 0)
		evhttp_send_reply_end(unfinished[--unfinished_count]);
	evhttp_free(server);
}

static void setup_serving(void)
{
	setup();
	serve("127.0.0.1");
}

static void teardown_serving(void)
{
	stop_server();
	teardown();
}

START_TEST(life_and_words)
{
	probe_start();
	for (int i = 0; i < 3; i++) {
		const struct seen *one = probe_run(1);
		ck_assert(one->ok);
		ck_assert_str_eq(one->reason, "200 OK");
		ck_assert_str_eq(one->words, "up id:9\n");
		ck_assert(!one->has_findings);
	}
	ck_assert_uint_eq(requests, 3);
}
END_TEST

START_TEST(its_report_may_take_it_away)
{
	remove_first = true;
	probe_start();
	ck_assert(probe_run(1)->ok);
	ck_assert_str_eq(seen[0].reason, "200 OK");
	ck_assert_str_eq(seen[0].words, "up id:9\n");
}
END_TEST

START_TEST(chunks)
{
	chunked = true;
	probe_start();
	ck_assert(probe_run(1)->ok);
	ck_assert_str_eq(seen[0].words, "up id:9\n");
}
END_TEST

START_TEST(ipv6)
{
	setup();
	serve("::1");
	probe_start();
	ck_assert(probe_run(1)->ok);
	ck_assert_str_eq(seen[0].words, "up id:9\n");
	stop_server();
	teardown();
}
END_TEST

START_TEST(no_content)
{
	status = 204;
	body = "";
	probe_start();
	ck_assert(probe_run(1)->ok);
	ck_assert_str_eq(seen[0].reason, "204 No Content");
	ck_assert(seen[0].may_steer && !seen[0].has_words);
}
END_TEST

static const struct {
	int status;
	const char *reason;
} bad[] = { { 301, "301 Moved Permanently" },
	    { 404, "404 Not Found" },
	    { 500, "500 Internal Server Error" },
	    { 503, "503 Service Unavailable" } };

START_TEST(other_codes)
{
	status = bad[_i].status;
	probe_start();
	const struct seen *one = probe_run(1);
	ck_assert(!one->ok);
	ck_assert_str_eq(one->reason, bad[_i].reason);
	ck_assert(!one->may_steer);
}
END_TEST

/* 2xx is life; what is not whole does not steer. */
START_TEST(body_too_long)
{
	static char text[20000];

	memset(text, 'x', sizeof text - 1);
	body = text;
	probe_start();
	const struct seen *one = probe_run(2);
	ck_assert(one->ok);
	ck_assert_str_eq(one->reason, "200 OK");
	ck_assert(!one->may_steer);
}
END_TEST

START_TEST(hangs_in_the_middle)
{
	hanging = true;
	probe_start();
	const struct seen *one = probe_run(1);
	ck_assert(!one->ok);
	ck_assert_str_eq(one->reason, "200 OK, but not all of it in 1000 ms");
	ck_assert_str_eq(probe_run(1)->reason, "200 OK, but not all of it in 1000 ms");
}
END_TEST

START_TEST(taken_away_in_the_middle)
{
	struct timeval limit = { .tv_sec = LIMIT_S };

	hanging = true;
	probe_start();
	event_base_loopexit(base, &limit);
	while (requests == 0 && !event_base_got_exit(base))
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_int_eq(health_set_targets(health, NULL, 0), 0);
	ck_assert_uint_eq(seen_count, 0);
}
END_TEST

/* What is short here says nothing of the server. */
START_TEST(out_of_descriptors)
{
	struct rlimit before, none;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	probe_start();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	const struct seen *one = probe_run(1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert(!one->ok && one->unasked);
	ck_assert_str_eq(one->reason, "Too many open files");
	one = probe_run(1);
	ck_assert(one->ok && !one->unasked);
}
END_TEST

/* --- no HTTP server --- */

static int bind_tcp(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	target.addr.port = port_of(fd);
	return fd;
}

/* At once, until it is down; then it comes up again. */
START_TEST(refused)
{
	setup();
	int fd = bind_tcp();
	target.how.interval_ms = 10000;
	probe_start();
	for (int i = 0; i < 3; i++) {
		const struct seen *one = probe_run(1);
		ck_assert(!one->ok && !one->unasked);
		ck_assert_str_eq(one->reason, "connection refused");
	}
	close(fd);
	stop_server();
	teardown();
}
END_TEST

START_TEST(silent)
{
	setup();
	int fd = bind_tcp();
	ck_assert_int_eq(listen(fd, 8), 0); /* the kernel accepts */
	probe_start();
	const struct seen *one = probe_run(1);
	ck_assert(!one->ok);
	ck_assert_str_eq(one->reason, "no answer for 1000 ms");
	close(fd);
	stop_server();
	teardown();
}
END_TEST

static const char *greeting;

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int len, void *ctx)
{
	(void)listener;
	(void)from;
	(void)len;
	(void)ctx;
	ck_assert_int_eq(send(fd, greeting, strlen(greeting), 0), (ssize_t)strlen(greeting));
	shutdown(fd, SHUT_WR);
	evutil_make_socket_nonblocking(fd);
}

static const struct {
	const char *says, *reason;
} strangers[] = {
	{ "", "closed without an answer" },
	{ "SSH-2.0-OpenSSH_9.2\r\n", "no HTTP answer, but 21 octets of something else" },
	{ "HTTP/1.1 200 OK\r\n", "no HTTP answer, but 17 octets of something else" },
};

START_TEST(speaks_otherwise)
{
	setup();
	int fd = bind_tcp();
	struct evconnlistener *listener = evconnlistener_new(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 8, fd);
	greeting = strangers[_i].says;
	probe_start();
	const struct seen *one = probe_run(1);
	ck_assert(!one->ok);
	ck_assert_str_eq(one->reason, strangers[_i].reason);
	evconnlistener_free(listener);
	stop_server();
	teardown();
}
END_TEST

void suite(TCase *tests)
{
	TCase *other = suite_case("other");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup_serving, teardown_serving);
	tcase_add_test(tests, life_and_words);
	tcase_add_test(tests, its_report_may_take_it_away);
	tcase_add_test(tests, chunks);
	tcase_add_test(tests, no_content);
	tcase_add_loop_test(tests, other_codes, 0, (int)(sizeof bad / sizeof *bad));
	tcase_add_test(tests, body_too_long);
	tcase_add_test(tests, hangs_in_the_middle);
	tcase_add_test(tests, out_of_descriptors);
	tcase_add_test(tests, taken_away_in_the_middle);
	tcase_set_timeout(other, 60);
	tcase_add_test(other, ipv6);
	tcase_add_test(other, refused);
	tcase_add_test(other, silent);
	tcase_add_loop_test(other, speaks_otherwise, 0, (int)(sizeof strangers / sizeof *strangers));
}

/* The real door on loopback. A child process asks it with literal requests. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "admin/http.h"
#include "tests/unit/suite.h"

static bool is_ready;
static uint16_t port;
static char answer[65536];

static bool ready(void *ctx, struct evbuffer *out)
{
	(void)ctx;
	evbuffer_add_printf(out, is_ready ? "ready\n" : "one is missing\n");
	return is_ready;
}

static void metrics(void *ctx, struct evbuffer *out)
{
	evbuffer_add_printf(out, "%s 1\n", (const char *)ctx);
}

static const char *status_text = "{}";

static void status(void *ctx, struct evbuffer *out)
{
	(void)ctx;
	evbuffer_add_printf(out, "%s", status_text);
}

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

static bool is_host(void *ctx, const char *name)
{
	(void)ctx;
	return strcasecmp(name, "lb1.example") == 0;
}

static void ask_from_child(const char *request, int result)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons(port) };
	char buf[65536];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ssize_t n;

	alarm(60);
	if (connect(fd, (struct sockaddr *)&sin, sizeof sin) != 0 || write(fd, request, strlen(request)) < 0)
		_exit(1);
	while ((n = read(fd, buf, sizeof buf)) > 0) {
		if (write(result, buf, (size_t)n) != n)
			_exit(1);
	}
	_exit(0);
}

static void on_result(evutil_socket_t fd, short events, void *ctx)
{
	size_t at = strlen(answer);
	ssize_t n = read(fd, answer + at, sizeof answer - 1 - at);

	(void)events;
	if (n <= 0)
		event_base_loopbreak(ctx);
}

/* Runs the door until it has closed the connection. `answer` is all that it said. */
static void ask(const char *request)
{
	struct event_base *base = event_base_new();
	struct addr addr = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = port = free_port() };
	struct admin_http_source source = {
		.ready = ready, .metrics = metrics, .status = status, .is_host = is_host, .ctx = "cidlb_test"
	};
	struct timeval limit = { .tv_sec = 30 };
	struct admin_http *admin;
	int fds[2];

	memset(answer, 0, sizeof answer);
	ck_assert_int_eq(admin_http_new(&admin, base, &addr, &source), 0);
	ck_assert_int_eq(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0)
		ask_from_child(request, fds[1]);
	close(fds[1]);
	struct event *result = event_new(base, fds[0], EV_READ | EV_PERSIST, on_result, base);
	event_add(result, NULL);
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	event_free(result);
	close(fds[0]);
	waitpid(child, NULL, 0);
	admin_http_free(admin);
	event_base_free(base);
}

static void assert_status(int status)
{
	int got = 0;

	sscanf(answer, "HTTP/1.%*d %d", &got);
	ck_assert_msg(got == status, "%d expected, answer: %s", status, answer);
}

static const char *body(void)
{
	const char *end = strstr(answer, "\r\n\r\n");

	ck_assert_ptr_nonnull(end);
	return end + 4;
}

START_TEST(test_pages)
{
	ask("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	assert_status(200);
	ck_assert_str_eq(body(), "ok\n");
	ask("GET /metrics?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	assert_status(200);
	ck_assert_str_eq(body(), "cidlb_test 1\n");
	ck_assert_ptr_nonnull(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	ck_assert_ptr_nonnull(strstr(answer, "Connection: close\r\n"));
}
END_TEST

/* The dashboard's files and what it asks for: for those who may see them, and with what a browser has to heed. */
START_TEST(test_dashboard)
{
	static const struct {
		const char *path, *type, *begins;
	} files[] = {
		{ "/", "text/html; charset=utf-8", "<!doctype html>" },
		{ "/dashboard.css", "text/css; charset=utf-8", "/*" },
		{ "/dashboard.js", "text/javascript; charset=utf-8", "/*" },
		{ "/samples.js", "text/javascript; charset=utf-8", "/*" },
		{ "/words.js", "text/javascript; charset=utf-8", "/*" },
		{ "/icon.svg", "image/svg+xml", "<svg" },
		{ "/status.json", "application/json", "{}" },
	};
	char request[128], line[128];

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", files[i].path);
		ask(request);
		assert_status(200);
		ck_assert_int_eq(strncmp(body(), files[i].begins, strlen(files[i].begins)), 0);
		snprintf(line, sizeof line, "\r\nContent-Type: %s\r\n", files[i].type);
		ck_assert_ptr_nonnull(strstr(answer, line));
		snprintf(line, sizeof line, "\r\nContent-Length: %zu\r\n", strlen(body()));
		ck_assert_ptr_nonnull(strstr(answer, line));
		ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Security-Policy: default-src 'none'; "));
		ck_assert_ptr_nonnull(strstr(answer, "\r\nX-Frame-Options: DENY\r\n"));
		ck_assert_ptr_nonnull(strstr(answer, "\r\nX-Content-Type-Options: nosniff\r\n"));
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: evil.example\r\n\r\n", files[i].path);
		ask(request);
		assert_status(403);
		snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", files[i].path);
		ask(request);
		assert_status(405);
	}
	ask("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	ck_assert_ptr_null(strstr(answer, "Content-Security-Policy"));
	status_text = "";
	ask("GET /status.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	assert_status(503);
}
END_TEST

START_TEST(test_ready)
{
	is_ready = false;
	ask("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	assert_status(503);
	ck_assert_str_eq(body(), "one is missing\n");
	is_ready = true;
	ask("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	assert_status(200);
}
END_TEST

START_TEST(test_head)
{
	ask("HEAD /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	assert_status(200);
	ck_assert_ptr_nonnull(strstr(answer, "Content-Length: 3\r\n"));
	ck_assert_str_eq(body(), "");
}
END_TEST

START_TEST(test_methods)
{
	static const char *const methods[] = { "POST", "PUT", "DELETE", "OPTIONS", "PATCH" };
	char request[128];

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		snprintf(request, sizeof request,
			 "%s /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", methods[i]);
		ask(request);
		assert_status(405);
		ck_assert_ptr_nonnull(strstr(answer, "Allow: GET, HEAD\r\n"));
	}
}
END_TEST

START_TEST(test_not_found)
{
	static const char *const paths[] = { "/metricsx", "/metrics/", "/../metrics", "/favicon.ico" };
	char request[128];

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", paths[i]);
		ask(request);
		assert_status(404);
	}
}
END_TEST

static void ask_as(const char *host, const char *origin, int status)
{
	char request[512];

	snprintf(request, sizeof request, "GET / HTTP/1.0\r\n%s%s\r\n%s%s%s\r\n",
		 host ? "Host: " : "X: ", host ? host : "", origin ? "Origin: " : "", origin ? origin : "",
		 origin ? "\r\n" : "");
	ask(request);
	assert_status(status);
}

START_TEST(test_host)
{
	static const char *const good[] = { "127.0.0.1",  "127.0.0.1:9180", "localhost",   "LocalHost:9180",  "[::1]",
					    "[::1]:9180", "192.0.2.1",      "lb1.example", "LB1.Example:9180" };
	static const char *const bad[] = { "evil.example",
					   "evil.example:9180",
					   "localhost.evil.example",
					   "127.0.0.1.evil.example",
					   "127.0.0.1:x",
					   "[::1",
					   "[::1]x",
					   "[127.0.0.1]",
					   "::1",
					   "[localhost]",
					   "2130706433",
					   "0x7f.1" };

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ask_as(good[i], NULL, 200);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ask_as(bad[i], NULL, 403);
	ask_as(NULL, NULL, 403);
	ask_as("", NULL, 403);
}
END_TEST

/* Monitors ask by any name. */
START_TEST(test_monitors)
{
	static const char *const paths[] = { "/healthz", "/readyz", "/metrics" };
	char request[128];

	is_ready = true;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: monitor.example\r\n\r\n", paths[i]);
		ask(request);
		assert_status(200);
		snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", paths[i]);
		ask(request);
		assert_status(200);
	}
}
END_TEST

/* What is sent as well does not take the answer from the client. */
START_TEST(test_bodies)
{
	ask("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
	assert_status(200);
	ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_status(200);
	ck_assert_str_eq(body(), "ok\n");
	ask("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n");
	assert_status(413);
}
END_TEST

START_TEST(test_origin)
{
	ask_as("127.0.0.1:9180", "http://127.0.0.1:9180", 200);
	ask_as("127.0.0.1:9180", "http://127.0.0.1", 403);
	ask_as("127.0.0.1:9180", "http://evil.example", 403);
	ask_as("127.0.0.1:9180", "https://127.0.0.1:9180", 403);
	ask_as("127.0.0.1:9180", "null", 403);
}
END_TEST

START_TEST(test_huge_headers_are_refused)
{
	static char request[20000] = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ";
	size_t at = strlen(request);

	memset(request + at, 'x', sizeof request - at - 5);
	strcpy(request + sizeof request - 5, "\r\n\r\n");
	ask(request);
	assert_status(431);
}
END_TEST

static unsigned reads;

ssize_t __real_recv(int fd, void *octets, size_t count, int flags);
ssize_t __wrap_recv(int fd, void *octets, size_t count, int flags);
ssize_t __wrap_recv(int fd, void *octets, size_t count, int flags)
{
	reads++;
	return __real_recv(fd, octets, count, flags);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What a client sends after its answer is read a little at a time, with pauses of 20 ms. libevent's clock may make each
 * 10 ms shorter, and it begins when the loop was last entered: before a delay, which the time that passes has in it. */
START_TEST(test_endless_requests_keep_nobody_busy)
{
	static char request[512 << 10] = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ";
	const size_t at = strlen(request);
	const uint64_t begin_ms = now_ms();

	memset(request + at, 'x', sizeof request - at - 1);
	reads = 0;
	ask(request);
	ck_assert_uint_gt(reads, 8);
	ck_assert_uint_le(reads, 9 * (2 + (now_ms() - begin_ms) / 5));
}
END_TEST

START_TEST(test_taken_address)
{
	struct event_base *base = event_base_new();
	struct addr addr = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .port = free_port() };
	struct admin_http_source source = { .ready = ready, .metrics = metrics, .is_host = is_host, .ctx = "x" };
	struct admin_http *first, *second;

	ck_assert_int_eq(admin_http_new(&first, base, &addr, &source), 0);
	ck_assert_int_eq(admin_http_new(&second, base, &addr, &source), -EADDRINUSE);
	ck_assert_ptr_null(second);
	admin_http_free(first);
	event_base_free(base);
}
END_TEST

void suite(TCase *tests)
{
	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_pages);
	tcase_add_test(tests, test_dashboard);
	tcase_add_test(tests, test_ready);
	tcase_add_test(tests, test_head);
	tcase_add_test(tests, test_methods);
	tcase_add_test(tests, test_not_found);
	tcase_add_test(tests, test_host);
	tcase_add_test(tests, test_monitors);
	tcase_add_test(tests, test_bodies);
	tcase_add_test(tests, test_origin);
	tcase_add_test(tests, test_huge_headers_are_refused);
	tcase_add_test(tests, test_endless_requests_keep_nobody_busy);
	tcase_add_test(tests, test_taken_address);
}

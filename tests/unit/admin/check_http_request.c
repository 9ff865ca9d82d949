/* Heads of requests, and what becomes of them. */
#include <stdio.h>
#include <string.h>

#include "admin/http_request.h"
#include "tests/unit/suite.h"

#define H "Host: a\r\n"

static const struct {
	const char *head;
	int status; /* 0: it is one */
	const char *path, *host;
} heads[] = {
	{ "GET / HTTP/1.1\r\n" H "\r\n", 0, "/", "a" },
	{ "GET /metrics?x=1 HTTP/1.1\r\nhOST:  \t a:1 \t\r\nX:\r\n\r\n", 0, "/metrics", "a:1" },
	{ "GET / HTTP/1.0\r\n\r\n", 0, "/", NULL },
	{ "GET http://b:9/x?y HTTP/1.1\r\n" H "\r\n", 0, "/x", "b:9" },
	{ "GET HTTP://b HTTP/1.1\r\n" H "\r\n", 0, "/", "b" },
	{ "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, "*", "a" },
	{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, "/", "" },
	{ "GET / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 0, "/", "a" },
	{ "GET / HTTP/1.1\r\n" H "Content-Length: 1024\r\n\r\n", 0, "/", "a" },
	/* Host: RFC 9112, section 3.2 */
	{ "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, "*", "a" },

	{ "GET ? HTTP/1.1\r\n" H "\r\n", 400, NULL, NULL },
	{ "GET metrics HTTP/1.1\r\n" H "\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H H "\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.0\r\n" H "HOST: b\r\n\r\n", 400, NULL, NULL },
	{ "GET http://a/ HTTP/1.1\r\n\r\n", 400, NULL, NULL },
	/* Content-Length and Transfer-Encoding: section 6 */
	{ "GET / HTTP/1.1\r\n" H "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "Content-Length: 0, 0\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "Content-Length: 1025\r\n\r\n", 413, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999\r\n\r\n", 413, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 501, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400, NULL, NULL },
	/* the request line: section 3 */
	{ "GET / HTTP/2.0\r\n" H "\r\n", 505, NULL, NULL },
	{ "GET / HTTP/1.2\r\n" H "\r\n", 505, NULL, NULL },
	{ "GET / HTTP/1.10\r\n" H "\r\n", 400, NULL, NULL },
	{ "GET / http/1.1\r\n" H "\r\n", 400, NULL, NULL },
	{ "GET /\r\n" H "\r\n", 400, NULL, NULL },
	{ "GET  / HTTP/1.1\r\n" H "\r\n", 400, NULL, NULL },
	{ "GET /  HTTP/1.1\r\n" H "\r\n", 400, NULL, NULL },
	{ "GET /a b HTTP/1.1\r\n" H "\r\n", 400, NULL, NULL },
	{ "GET  HTTP/1.1\r\n" H "\r\n", 400, NULL, NULL },
	{ " GET / HTTP/1.1\r\n" H "\r\n", 400, NULL, NULL },
	{ "G@T / HTTP/1.1\r\n" H "\r\n", 400, NULL, NULL },
	{ "\r\n", 400, NULL, NULL },
	/* lines: sections 2.2 and 5 */
	{ "GET / HTTP/1.1\n" H "\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\nHost: a\n\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H " b\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "X : b\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H ": b\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "X: \x01\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400, NULL, NULL },
};

static void expect_text(const struct http_text *text, const char *wanted)
{
	if (!wanted) {
		ck_assert_ptr_null(text->at);
		return;
	}
	ck_assert_uint_eq(text->len, strlen(wanted));
	ck_assert_mem_eq(text->at, wanted, text->len);
}

START_TEST(head)
{
	const char *text = heads[_i].head;
	struct http_request request;

	ck_assert_int_eq(http_request_read(&request, text, strlen(text)), heads[_i].status);
	if (heads[_i].status)
		return;
	expect_text(&request.path, heads[_i].path);
	expect_text(&request.host, heads[_i].host);
}
END_TEST

START_TEST(methods)
{
	static const struct {
		const char *name;
		enum http_method method;
	} cases[] = { { "GET", HTTP_GET }, { "HEAD", HTTP_HEAD }, { "get", HTTP_OTHER }, { "POST", HTTP_OTHER } };
	struct http_request request;
	char text[64];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, "%s / HTTP/1.1\r\n" H "\r\n", cases[i].name);
		ck_assert_int_eq(http_request_read(&request, text, strlen(text)), 0);
		ck_assert_int_eq(request.method, cases[i].method);
	}
}
END_TEST

/* However it is cut, a head is whole at its empty line and not before. */
START_TEST(whole_or_not)
{
	static const char text[] = "GET / HTTP/1.1\r\n" H "\r\nbody\r\n\r\n";
	const size_t whole = sizeof "GET / HTTP/1.1\r\n" H "\r\n" - 1;

	for (size_t len = 0; len < sizeof text; len++)
		ck_assert_uint_eq(http_head_len(text, len), len < whole ? 0 : whole);
	ck_assert_uint_eq(http_head_len("a\n\nb", 4), 3);
	ck_assert_uint_eq(http_head_len("a\r\n\rb", 5), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, head, 0, sizeof heads / sizeof *heads);
	tcase_add_test(tests, methods);
	tcase_add_test(tests, whole_or_not);
}

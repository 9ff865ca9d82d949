#include <string.h>

#include "health/http_reply.h"
#include "tests/unit/suite.h"

#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
	const char *in;
	enum http_input input;
	enum http_reading reading;
	const char *text, *body; /* NULL: not known */
} cases[] = {
	/* the end of the body */
	{ OK "Content-Length: 2\r\n\r\nup", HTTP_OPEN, HTTP_WHOLE, "200 OK", "up" },
	{ OK "Content-Length: 2\r\n\r\nup and more", HTTP_OPEN, HTTP_WHOLE, "200 OK", "up" },
	{ OK "Content-Length: 3\r\n\r\nup", HTTP_OPEN, HTTP_MORE, "200 OK", NULL },
	{ OK "Content-Length: 3\r\n\r\nup", HTTP_ENDED, HTTP_BROKEN, "200 OK", NULL },
	{ OK "content-length:\t0 \r\n\r\n", HTTP_OPEN, HTTP_WHOLE, "200 OK", "" },
	{ OK "\r\nup", HTTP_OPEN, HTTP_MORE, "200 OK", NULL },
	{ OK "\r\nup", HTTP_ENDED, HTTP_WHOLE, "200 OK", "up" },
	{ OK "\r\n", HTTP_ENDED, HTTP_WHOLE, "200 OK", "" },
	{ "HTTP/1.0 200 OK\n\nup", HTTP_ENDED, HTTP_WHOLE, "200 OK", "up" },
	{ "HTTP/1.1 204 No Content\r\n\r\n", HTTP_OPEN, HTTP_WHOLE, "204 No Content", "" },
	{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", HTTP_OPEN, HTTP_WHOLE, "304 Not Modified", "" },
	/* chunks */
	{ OK "Transfer-Encoding: chunked\r\n\r\n3\r\nup \r\n4;x=y\r\nid:9\r\n0\r\n\r\n", HTTP_OPEN, HTTP_WHOLE,
	  "200 OK", "up id:9" },
	{ OK "Transfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\nA\r\n0123456789\r\n0\r\n", HTTP_OPEN, HTTP_WHOLE,
	  "200 OK", "0123456789" },
	{ OK "Transfer-Encoding: chunked\r\n\r\n0\r\n", HTTP_OPEN, HTTP_WHOLE, "200 OK", "" },
	{ OK "Transfer-Encoding: chunked\r\n\r\n3\r\nup \r\n4\r\nid:", HTTP_OPEN, HTTP_MORE, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n3\r\nup \r\n", HTTP_ENDED, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n3\r\nup id\r\n", HTTP_OPEN, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n\r\n", HTTP_OPEN, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n-1\r\n", HTTP_OPEN, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n\x12\r\nup\r\n0\r\n", HTTP_OPEN, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n\x10\r\n", HTTP_OPEN, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n\x19\r\n", HTTP_OPEN, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\nG\r\n", HTTP_OPEN, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n`\r\n", HTTP_OPEN, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n0000000A\r\n0123456789\r\n0\r\n", HTTP_OPEN, HTTP_WHOLE, "200 OK",
	  "0123456789" },
	{ OK "Transfer-Encoding: chunked\r\n\r\nffffff\r\n", HTTP_OPEN, HTTP_MORE, "200 OK", NULL },
	{ OK "Transfer-Encoding: chunked\r\n\r\n1000000\r\n", HTTP_OPEN, HTTP_BROKEN, "200 OK", NULL },
	{ OK "Transfer-Encoding: gzip, chunked\r\n\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	/* lengths */
	{ OK "Content-Length: -1\r\n\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	{ OK "Content-Length: \r\n\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	{ OK "Content-Length: 999999999\r\n\r\n", HTTP_OPEN, HTTP_MORE, "200 OK", NULL },
	{ OK "Content-Length: 1000000000\r\n\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	{ OK "X-Content-Length: 5\r\nContent-Length : 1\r\n\r\nup", HTTP_ENDED, HTTP_WHOLE, "200 OK", "up" },
	/* the status */
	{ "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", HTTP_OPEN, HTTP_WHOLE,
	  "503 Service Unavailable", "" },
	{ "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", HTTP_OPEN, HTTP_WHOLE, "200", "" },
	{ "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", HTTP_OPEN, HTTP_WHOLE, "200", "" },
	{ "HTTP/1.1 500 a\x01\xff b\r\nContent-Length: 0\r\n\r\n", HTTP_OPEN, HTTP_WHOLE, "500 a?? b", "" },
	{ "HTTP/1.1 500 01234567890123456789012345678901234567890123456789\r\nContent-Length: 0\r\n\r\n", HTTP_OPEN,
	  HTTP_WHOLE, "500 0123456789012345678901234567890123456789012", "" },
	{ "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", HTTP_OPEN, HTTP_WHOLE,
	  "200 OK", "x" },
	{ "HTTP/1.1 100 Continue\r\n\r\n", HTTP_OPEN, HTTP_MORE, NULL, NULL },
	{ "HTTP/1.1 099 Odd\r\n\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	{ "HTTP/1.1 20\r\n\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	{ "HTTP/1.1 2000\r\n\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	{ "HTTP/2.0 200 OK\r\n\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	{ "SSH-2.0-OpenSSH_9.2\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	{ "\r\n", HTTP_OPEN, HTTP_BROKEN, NULL, NULL },
	/* no whole head */
	{ "", HTTP_OPEN, HTTP_MORE, NULL, NULL },
	{ "", HTTP_ENDED, HTTP_BROKEN, NULL, NULL },
	{ "HTTP/1.1 200 OK\r", HTTP_OPEN, HTTP_MORE, NULL, NULL },
	{ OK "Content-Length: 0\r\n", HTTP_OPEN, HTTP_MORE, NULL, NULL },
	{ OK "Content-Length: 0\r\n", HTTP_ENDED, HTTP_BROKEN, NULL, NULL },
};

START_TEST(replies)
{
	struct http_reply reply;
	uint8_t data[256];
	size_t len = strlen(cases[_i].in);

	memcpy(data, cases[_i].in, len);
	ck_assert_int_eq(http_reply_read(&reply, data, len, cases[_i].input), cases[_i].reading);
	ck_assert_int_eq(reply.status != 0, cases[_i].text != NULL);
	if (cases[_i].text)
		ck_assert_str_eq(reply.text, cases[_i].text);
	if (cases[_i].body) {
		ck_assert_uint_eq(reply.body_len, strlen(cases[_i].body));
		ck_assert_mem_eq(reply.body, cases[_i].body, reply.body_len);
	}
}
END_TEST

/* Octet by octet, as it may come: more, more, whole. */
START_TEST(in_pieces)
{
	static const char whole[] = OK "Transfer-Encoding: chunked\r\n\r\n2\r\nup\r\n1\r\n \r\n0\r\n";
	uint8_t data[sizeof whole];
	struct http_reply reply;

	memcpy(data, whole, sizeof whole);
	for (size_t len = 0; len < sizeof whole - 1; len++)
		ck_assert_int_eq(http_reply_read(&reply, data, len, HTTP_OPEN), HTTP_MORE);
	ck_assert_int_eq(http_reply_read(&reply, data, sizeof whole - 1, HTTP_OPEN), HTTP_WHOLE);
	ck_assert_uint_eq(reply.body_len, 3);
	ck_assert_mem_eq(reply.body, "up ", 3);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, replies, 0, (int)(sizeof cases / sizeof *cases));
	tcase_add_test(tests, in_pieces);
}

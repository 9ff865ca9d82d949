#include <errno.h>
#include <stdlib.h>

#include "common/resp.h"
#include "tests/unit/suite.h"

#define REPLY(text) (const uint8_t *)(text), sizeof(text) - 1

/* Literal replies, with what follows them; `octets` is what belongs to them, 0 if they are not whole. */
static const struct {
	const char *text;
	long octets;
} replies[] = {
	{ "", 0 },
	{ "+", 0 },
	{ "+OK", 0 },
	{ "+OK\r", 0 },
	{ "+OK\r\n", 5 },
	{ "+\r\n", 3 },
	{ "+OK\r\n+OK\r\n", 5 },
	{ "+O\rK\r\n", -EBADMSG },
	{ "-ERR no\r\n", 9 },
	{ ":0\r\n", 4 },
	{ ":-12\r\n", 6 },
	{ ":\r\n", -EBADMSG },
	{ ":-\r\n", -EBADMSG },
	{ ":1x\r\n", -EBADMSG },
	{ ":999999999999999999\r\n", 21 },
	{ ":1000000000000000000\r\n", -EBADMSG },
	{ "$3\r\nabc\r\n", 9 },
	{ "$3\r\nabc\r", 0 },
	{ "$3\r\nab", 0 },
	{ "$3\r\nabcd\r\n", -EBADMSG },
	{ "$0\r\n\r\n", 6 },
	{ "$-1\r\n", 5 },
	{ "$-2\r\n", -EBADMSG },
	{ "$1048576\r\n", 0 },
	{ "$1048577\r\n", -EBADMSG },
	{ "*-1\r\n", 5 },
	{ "*-2\r\n", -EBADMSG },
	{ "*0\r\n", 4 },
	{ "*2\r\n:1\r\n", 0 },
	{ "*2\r\n:1\r\n:2\r\n:3\r\n", 12 },
	{ "*2\r\n*1\r\n$1\r\nx\r\n*0\r\n+\r\n", 19 },
	{ "*1048576\r\n", 0 },
	{ "*1048577\r\n", -EBADMSG },
	{ "*999999999999999999\r\n", -EBADMSG },
	{ "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", 36 },
	{ "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", -EBADMSG },
	{ "HTTP/1.1 200 OK\r\n", -EBADMSG },
	{ "%1\r\n", -EBADMSG },
	{ "\r\n", -EBADMSG },
};

START_TEST(reply_octets)
{
	const char *text = replies[_i].text;
	const size_t len = strlen(text);
	uint8_t *exact = malloc(len ? len : 1); /* so that a sanitizer sees what is read behind it */

	memcpy(exact, text, len);
	ck_assert_int_eq(resp_reply_octets(exact, len), replies[_i].octets);
	free(exact);
}
END_TEST

/* Whatever of a reply has arrived: it is not whole, and no mistake. */
START_TEST(parts_are_not_whole)
{
	static const char text[] =
		"*2\r\n*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$2\r\n\r\n\r\n$-1\r\n";

	for (size_t len = 0; len < sizeof text - 1; len++)
		ck_assert_int_eq(resp_reply_octets((const uint8_t *)text, len), 0);
	ck_assert_int_eq(resp_reply_octets(REPLY(text)), (long)sizeof text - 1);
}
END_TEST

START_TEST(lines_end)
{
	uint8_t line[RESP_LINE_OCTETS + 2];

	memset(line, '+', sizeof line);
	ck_assert_int_eq(resp_reply_octets(line, RESP_LINE_OCTETS), 0);
	ck_assert_int_eq(resp_reply_octets(line, sizeof line), -EBADMSG);
}
END_TEST

START_TEST(replies_end)
{
	const size_t octets = RESP_MAX_OCTETS + 16;
	char *data = malloc(octets);

	ck_assert_ptr_nonnull(data);
	for (size_t at = 0; at + 4 <= octets; at += 4)
		memcpy(data + at, ":1\r\n", 4);
	memcpy(data, "*500000\r\n:10\r\n\r\n", 9);
	memcpy(data + 9, ":1000\r\n", 7);
	ck_assert_int_eq(resp_reply_octets((uint8_t *)data, RESP_MAX_OCTETS - 1), 0);
	ck_assert_int_eq(resp_reply_octets((uint8_t *)data, octets), -EBADMSG);
	free(data);
}
END_TEST

START_TEST(items)
{
	struct bytes in = { REPLY("*5\r\n+OK\r\n-E x\r\n:-7\r\n$2\r\nab\r\n*-1\r\n") };
	struct resp_item item;

	ck_assert_int_eq(resp_next_array(&in), 5);
	ck_assert(resp_next(&in, &item) && item.type == RESP_STATUS && item.len == 2);
	ck_assert(resp_next(&in, &item) && item.type == RESP_ERROR && item.len == 3);
	ck_assert(resp_next(&in, &item) && item.type == RESP_NUMBER && item.number == -7);
	ck_assert(resp_next(&in, &item) && item.type == RESP_TEXT && item.len == 2);
	ck_assert_mem_eq(item.octets, "ab", 2);
	ck_assert(resp_next(&in, &item) && item.type == RESP_NOTHING);
	ck_assert(!resp_next(&in, &item));
}
END_TEST

START_TEST(texts)
{
	struct bytes in = { REPLY("$2\r\nab\r\n$2\r\na\0\r\n$3\r\nabc\r\n:1\r\n") };
	char text[3];

	ck_assert(resp_next_text(&in, text, sizeof text));
	ck_assert_str_eq(text, "ab");
	ck_assert(!resp_next_text(&in, text, sizeof text));
	ck_assert(!resp_next_text(&in, text, sizeof text));
	ck_assert(!resp_next_text(&in, text, sizeof text));
	ck_assert_int_eq(resp_next_array(&in), -1);
}
END_TEST

START_TEST(skips)
{
	struct bytes in = { REPLY("*2\r\n*1\r\n:1\r\n$1\r\nx\r\n:5\r\n*1\r\n") };
	struct resp_item item;

	ck_assert(resp_skip(&in));
	ck_assert(resp_next(&in, &item) && item.number == 5);
	ck_assert(!resp_skip(&in));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, reply_octets, 0, (int)(sizeof replies / sizeof *replies));
	tcase_add_test(tests, parts_are_not_whole);
	tcase_add_test(tests, lines_end);
	tcase_add_test(tests, replies_end);
	tcase_add_test(tests, items);
	tcase_add_test(tests, texts);
	tcase_add_test(tests, skips);
}

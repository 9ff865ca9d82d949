/* Replies of a Redis server within bounds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "learned/redis_reader.h"
#include "tests/unit/suite.h"

static struct redis_reader reader;

static void set_up(void)
{
	ck_assert_int_eq(redis_reader_begin(&reader), 0);
}

static void tear_down(void)
{
	redis_reader_end(&reader);
}

static void feed(const char *text)
{
	ck_assert_int_eq(redis_reader_feed(&reader, text, strlen(text)), 0);
}

/* What the reader says next. A reply is not looked at. */
static int take(void)
{
	redisReply *reply = NULL;
	const int taken = redis_reader_take(&reader, &reply);

	ck_assert(!reply == (taken <= 0));
	freeReplyObject(reply);
	return taken;
}

START_TEST(replies_in_any_pieces)
{
	static const char text[] = "+OK\r\n*2\r\n$3\r\n1-0\r\n*1\r\n:5\r\n$-1\r\n*-1\r\n-ERR x\r\n*0\r\n$0\r\n\r\n";
	static const int types[] = { REDIS_REPLY_STATUS, REDIS_REPLY_ARRAY, REDIS_REPLY_NIL,   REDIS_REPLY_NIL,
				     REDIS_REPLY_ERROR,  REDIS_REPLY_ARRAY, REDIS_REPLY_STRING };
	const size_t piece = (size_t)_i;
	redisReply *reply;
	size_t count = 0;

	for (size_t at = 0; at < strlen(text); at += piece) {
		const size_t left = strlen(text) - at;

		ck_assert_int_eq(redis_reader_feed(&reader, text + at, left < piece ? left : piece), 0);
		while (redis_reader_take(&reader, &reply) == 1) {
			ck_assert_uint_lt(count, sizeof types / sizeof *types);
			ck_assert_int_eq(reply->type, types[count++]);
			freeReplyObject(reply);
		}
	}
	ck_assert_uint_eq(count, sizeof types / sizeof *types);
	ck_assert_int_eq(take(), 0);
}
END_TEST

static const char *const none[] = {
	"HTTP/1.1 400 Bad Request\r\n", "x", ":x\r\n", "$x\r\n", "$-2\r\n", "*-2\r\n", "*99999999999999999999\r\n",
	"$99999999999999999999\r\n",
};

START_TEST(no_reply)
{
	feed(none[_i]);
	ck_assert_int_eq(take(), -EBADMSG);
	ck_assert_int_eq(take(), -EBADMSG);
}
END_TEST

/* What is left of a reply that is never whole. */
START_TEST(too_many_octets)
{
	static char piece[4096];
	size_t fed = 0;
	int taken;

	memset(piece, 'x', sizeof piece);
	if (_i == 0)
		feed("$1073741824\r\n");
	else
		feed("+");
	do {
		ck_assert_int_eq(redis_reader_feed(&reader, piece, sizeof piece), 0);
		fed += sizeof piece;
		taken = take();
	} while (taken == 0);
	ck_assert_int_eq(taken, -EBADMSG);
	ck_assert_uint_eq(fed, REDIS_REPLY_OCTETS);
}
END_TEST

/* A text that is just as long as a reply may be; and another one, as each reply counts by itself. */
START_TEST(as_many_octets_as_there_may_be)
{
	enum { HEAD = 10, TEXT = REDIS_REPLY_OCTETS - HEAD - 2 };
	char *text = malloc(REDIS_REPLY_OCTETS + 1);

	memset(text, 'x', REDIS_REPLY_OCTETS);
	ck_assert_int_eq(snprintf(text, REDIS_REPLY_OCTETS, "$%d\r\n", TEXT), HEAD);
	text[HEAD] = 'x';
	memcpy(text + REDIS_REPLY_OCTETS - 2, "\r\n", 2);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(redis_reader_feed(&reader, text, REDIS_REPLY_OCTETS - 1), 0);
		ck_assert_int_eq(take(), 0);
		ck_assert_int_eq(redis_reader_feed(&reader, text + REDIS_REPLY_OCTETS - 1, 1), 0);
		ck_assert_int_eq(take(), 1);
	}
	free(text);
}
END_TEST

/* No room is made for what is only announced. */
START_TEST(items)
{
	char text[64];

	snprintf(text, sizeof text, "*%d\r\n", REDIS_REPLY_ITEMS + _i);
	feed(text);
	ck_assert_int_eq(take(), _i ? -EBADMSG : 0);
}
END_TEST

/* Of all arrays of a reply together; those of the reply before are forgotten. */
START_TEST(items_of_several_arrays)
{
	static char text[64 + 3 * REDIS_REPLY_ITEMS];
	size_t len = (size_t)snprintf(text, sizeof text, "*2\r\n*0\r\n*%d\r\n", REDIS_REPLY_ITEMS - 2);

	for (size_t i = 0; i < REDIS_REPLY_ITEMS - 2; i++, len += 3)
		memcpy(text + len, "+\r\n", 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(redis_reader_feed(&reader, text, len), 0);
		ck_assert_int_eq(take(), 1);
	}
	snprintf(text, sizeof text, "*2\r\n*0\r\n*%d\r\n", REDIS_REPLY_ITEMS - 1);
	feed(text);
	ck_assert_int_eq(take(), -EBADMSG);
}
END_TEST

START_TEST(depth)
{
	for (int i = 0; i < REDIS_REPLY_DEPTH + _i; i++)
		feed("*1\r\n");
	ck_assert_int_eq(take(), _i ? -EBADMSG : 0);
	if (_i == 0) {
		feed("*0\r\n");
		ck_assert_int_eq(take(), -EBADMSG);
	}
}
END_TEST

START_TEST(as_deep_as_it_may_be)
{
	for (int i = 0; i < REDIS_REPLY_DEPTH; i++)
		feed("*1\r\n");
	feed("$1\r\nx\r\n");
	ck_assert_int_eq(take(), 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, replies_in_any_pieces, 1, 70);
	tcase_add_loop_test(tests, no_reply, 0, (int)(sizeof none / sizeof *none));
	tcase_add_loop_test(tests, too_many_octets, 0, 2);
	tcase_add_test(tests, as_many_octets_as_there_may_be);
	tcase_add_loop_test(tests, items, 0, 2);
	tcase_add_test(tests, items_of_several_arrays);
	tcase_add_loop_test(tests, depth, 0, 2);
	tcase_add_test(tests, as_deep_as_it_may_be);
}

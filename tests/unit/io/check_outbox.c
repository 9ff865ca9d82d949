/* In which order datagrams leave that go through several handles. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/fixtures/io_double.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

/* Queued: a digit for the handle, a letter for the stream ('-': none) each. Leaving: their places in the queue, from
 * 'a' on, and a space between calls. */
static const struct {
	const char *name, *queued, *left;
} rows[] = {
	{ "nothing", "", "" },
	{ "one handle", "1a1b1a1-", "abcd" },
	{ "a call for each handle", "1a2b1c2d3e", "ac bd e" },
	{ "without a stream", "1-2-1-2-", "ac bd" },
	{ "one stream of one handle", "1a2b1a2b", "ac bd" },
	{ "a stream that changes its handle", "1a2a", "a b" },
	{ "it does not overtake itself", "1b2a1a", "a b c" },
	{ "nor from behind several", "1b2a2a1a", "a bc d" },
	{ "nor by way of a third handle", "1b3b2a3a1a", "a c bd e" },
	{ "there and back", "1a2a1a2a", "a b c d" },
	{ "what is behind the change stays there", "1a2a2a1b", "ad bc" },
	{ "others leave together all the same", "1a2b1c2a1d2e", "ace bf d" },
	{ "two streams that change", "1a1b2a2b", "ab cd" },
	{ "two that change crosswise", "1a2b2a1b", "a b c d" },
};

static struct io_double io;
static struct io_outbox *outbox;

static void set_up(void)
{
	io_double_init(&io, NULL);
	outbox = io_outbox_new(&io.io, NULL, NULL);
	ck_assert_ptr_nonnull(outbox);
}

static void tear_down(void)
{
	io_outbox_free(outbox);
}

/* Its length tells which one it is. */
static void queue(int handle, uint64_t stream, size_t octets)
{
	static const uint8_t data[2 * IO_OUTBOX + 1];

	io_queue(outbox, &(struct io_send){ .handle = handle, .data = data, .len = octets, .stream = stream });
}

START_TEST(order)
{
	const char *queued = rows[_i].queued;
	char left[64] = "";
	size_t len = 0;

	for (size_t i = 0; i < strlen(queued) / 2; i++)
		queue(queued[2 * i], queued[2 * i + 1] == '-' ? 0 : (uint64_t)queued[2 * i + 1], i);
	io_flush(outbox);
	ck_assert_uint_eq(io.sent, strlen(queued) / 2);
	for (unsigned i = 0; i < io.sent; i++) {
		const char *before = i > 0 && io.kept[i].call != io.kept[i - 1].call ? " " : "";
		len += (size_t)snprintf(left + len, sizeof left - len, "%s%c", before, 'a' + (int)io.kept[i].len);
	}
	ck_assert_msg(strcmp(left, rows[_i].left) == 0, "%s: %s", rows[_i].name, left);
}
END_TEST

/* Of so many some share the bit that tells which are there. They do not wait for each other. */
START_TEST(many_streams)
{
	for (uint64_t i = 0; i < 1000 * IO_OUTBOX; i++)
		queue(i % 2 ? 1 : 2, i + 1, 1);
	io_flush(outbox);
	ck_assert_uint_eq(io.sent, 1000 * IO_OUTBOX);
	ck_assert_uint_eq(io.sends, 2 * 1000);
}
END_TEST

START_TEST(a_flush_forgets)
{
	queue(1, 7, 1);
	queue(2, 7, 2);
	io_flush(outbox);
	io.sends = 0;
	queue(2, 7, 3);
	queue(1, 8, 4);
	queue(2, 9, 5);
	io_flush(outbox);
	ck_assert_uint_eq(io.sends, 2);
}
END_TEST

/* It is flushed on the way. */
START_TEST(more_than_it_holds)
{
	for (size_t i = 0; i < 2 * IO_OUTBOX; i++) {
		queue((int)(i % 3), 7, i);
		ck_assert_uint_eq(io.sent, i < IO_OUTBOX ? 0 : IO_OUTBOX);
		for (unsigned j = 0; i == IO_OUTBOX && j < io.sent; j++)
			ck_assert_uint_eq(io.kept[j].len, j);
	}
	io_flush(outbox);
	ck_assert_uint_eq(io.sent, 2 * IO_OUTBOX);
	for (unsigned j = 0; j < IO_OUTBOX; j++)
		ck_assert_uint_eq(io.kept[j].len, IO_OUTBOX + j);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, order, 0, COUNT_OF(rows));
	tcase_add_test(tests, many_streams);
	tcase_add_test(tests, a_flush_forgets);
	tcase_add_test(tests, more_than_it_holds);
}

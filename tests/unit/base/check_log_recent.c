#include "base/log_recent.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/suite.h"

static void add(unsigned number, size_t octets)
{
	struct log_line line;

	line.len = (size_t)snprintf(line.text, sizeof line.text, "%u%*s\n", number, (int)octets, "");
	log_recent_add(&line);
}

static unsigned number_of(const struct log_line *line)
{
	unsigned number = 0;

	ck_assert_int_eq(line->text[line->len - 1], '\n');
	ck_assert_int_eq(sscanf(line->text, "%u", &number), 1);
	return number;
}

START_TEST(in_order)
{
	struct log_line line;
	uint64_t at = 0;

	ck_assert_int_eq(log_recent_next(&at, &line), LOG_RECENT_NONE);
	add(1, 0);
	add(2, 10);
	ck_assert_int_eq(log_recent_next(&at, &line), LOG_RECENT_LINE);
	ck_assert_uint_eq(number_of(&line), 1);
	ck_assert_int_eq(log_recent_next(&at, &line), LOG_RECENT_LINE);
	ck_assert_uint_eq(number_of(&line), 2);
	ck_assert_int_eq(log_recent_next(&at, &line), LOG_RECENT_NONE);
	add(3, 0);
	ck_assert_int_eq(log_recent_next(&at, &line), LOG_RECENT_LINE);
	ck_assert_uint_eq(number_of(&line), 3);
	/* Somebody else begins from the first. */
	at = 0;
	ck_assert_int_eq(log_recent_next(&at, &line), LOG_RECENT_LINE);
	ck_assert_uint_eq(number_of(&line), 1);
}
END_TEST

/* Line lengths of all kinds: what is there is whole, in order, ends with the last, and is most of the room. */
START_TEST(the_oldest_go)
{
	enum { LINES = 20000 };
	uint64_t late = 0, at = 0;
	struct log_line line;
	unsigned last = 0;
	size_t octets = 0;

	add(0, 0);
	ck_assert_int_eq(log_recent_next(&late, &line), LOG_RECENT_LINE);
	for (unsigned i = 1; i < LINES; i++)
		add(i, i * 7919 % 400);
	add(LINES, sizeof line.text - 10); /* the longest that there is */
	for (enum log_recent_found found; (found = log_recent_next(&at, &line)) != LOG_RECENT_NONE;) {
		ck_assert_int_eq(found, LOG_RECENT_LINE);
		ck_assert(last == 0 || number_of(&line) == last + 1);
		last = number_of(&line);
		octets += line.len;
	}
	ck_assert_uint_eq(last, LINES);
	ck_assert_uint_le(octets, LOG_RECENT_OCTETS);
	ck_assert_uint_ge(octets, LOG_RECENT_OCTETS / 2);
	/* Who was too slow is told so once. */
	ck_assert_int_eq(log_recent_next(&late, &line), LOG_RECENT_MISSED);
	ck_assert_uint_gt(number_of(&line), 1);
	ck_assert_int_eq(log_recent_next(&late, &line), LOG_RECENT_LINE);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, in_order);
	tcase_add_test(tests, the_oldest_go);
}

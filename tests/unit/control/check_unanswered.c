/* When sessions that a backend does not answer are told of. */
#include "control/unanswered.h"
#include "tests/unit/suite.h"

static struct unanswered seen;
static uint64_t begun, answered;
static int64_t now_s;

static void setup(void)
{
	seen = (struct unanswered){ 0 };
	begun = answered = 1000;
	now_s = 50;
	ck_assert_int_eq(unanswered_look(&seen, begun, answered, now_s), UNANSWERED_NO_NEWS);
}

/* A look, a second later. */
static enum unanswered_news look(uint64_t sessions, uint64_t answers)
{
	return unanswered_look(&seen, begun += sessions, answered += answers, ++now_s);
}

static void be_told(void)
{
	enum unanswered_news news = look(UNANSWERED_MANY, 0);

	for (int i = 0; news == UNANSWERED_NO_NEWS && i <= UNANSWERED_S; i++)
		news = look(0, 0);
	ck_assert_int_eq(news, UNANSWERED_BEGINS);
}

START_TEST(ten_in_a_row)
{
	ck_assert_int_eq(look(UNANSWERED_MANY - 1, 0), UNANSWERED_NO_NEWS);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(look(0, 0), UNANSWERED_NO_NEWS);
	ck_assert_int_eq(look(1, 0), UNANSWERED_NO_NEWS);
	for (int i = 0; i < UNANSWERED_S - 2; i++)
		ck_assert_int_eq(look(0, 0), UNANSWERED_NO_NEWS);
	ck_assert_int_eq(look(0, 0), UNANSWERED_BEGINS);
	ck_assert_uint_eq(seen.in_a_row, UNANSWERED_MANY);
	/* Told once. */
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(look(3, 0), UNANSWERED_NO_NEWS);
	ck_assert_uint_eq(seen.in_a_row, UNANSWERED_MANY + 300);
}
END_TEST

START_TEST(one_answer_ends_it)
{
	be_told();
	ck_assert_int_eq(look(0, 1), UNANSWERED_ENDS);
	ck_assert(!seen.told);
	ck_assert_uint_eq(seen.in_a_row, 0);
	ck_assert_int_eq(look(0, 1), UNANSWERED_NO_NEWS);
	be_told();
}
END_TEST

/* Three hundred devices begin at once, and the first answer is late. */
START_TEST(a_slow_server_is_not_told_of)
{
	ck_assert_int_eq(look(300, 0), UNANSWERED_NO_NEWS);
	for (int i = 0; i < UNANSWERED_S - 2; i++)
		ck_assert_int_eq(look(300, 0), UNANSWERED_NO_NEWS);
	ck_assert_int_eq(look(300, 1), UNANSWERED_NO_NEWS);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(look(300, i % UNANSWERED_S == 0), UNANSWERED_NO_NEWS);
}
END_TEST

/* The counters of a number that was another backend's before. */
START_TEST(what_was_before_does_not_count)
{
	seen = (struct unanswered){ 0 };
	begun = 1000000;
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(look(0, 0), UNANSWERED_NO_NEWS);
	ck_assert_uint_eq(seen.in_a_row, 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, ten_in_a_row);
	tcase_add_test(tests, one_answer_ends_it);
	tcase_add_test(tests, a_slow_server_is_not_told_of);
	tcase_add_test(tests, what_was_before_does_not_count);
}

/* When a worker sleeps between batches: while datagrams come fast, and none are left. */
#include <check.h>
#include <stdlib.h>

#include "moderation.h"

START_TEST(slow_traffic_is_not_held_up)
{
	struct moderation moderation = { 0 };

	moderation_round(&moderation, 1000);
	for (uint64_t ms = 1001; ms < 1100; ms++) {
		moderation_count(&moderation, MODERATION_PER_MS - 1, false);
		moderation_round(&moderation, ms);
		ck_assert(!moderation_sleeps(&moderation));
	}
}
END_TEST

START_TEST(fast_traffic_is_until_it_stops)
{
	struct moderation moderation = { 0 };

	moderation_round(&moderation, 1000);
	for (int i = 0; i < MODERATION_PER_MS; i++) {
		moderation_count(&moderation, 1, false);
		moderation_round(&moderation, 1000);
		ck_assert(!moderation_sleeps(&moderation));
	}
	moderation_round(&moderation, 1001);
	ck_assert(moderation_sleeps(&moderation));
	/* The clock stands still: nothing new is known. */
	moderation_round(&moderation, 1001);
	ck_assert(moderation_sleeps(&moderation));
	moderation_round(&moderation, 1002);
	ck_assert(!moderation_sleeps(&moderation));
}
END_TEST

/* A coarse clock jumps by some milliseconds. */
START_TEST(a_rate_not_a_number)
{
	struct moderation moderation = { 0 };

	moderation_round(&moderation, 1000);
	moderation_count(&moderation, 4 * MODERATION_PER_MS - 1, false);
	moderation_round(&moderation, 1004);
	ck_assert(!moderation_sleeps(&moderation));
	moderation_count(&moderation, 4 * MODERATION_PER_MS, false);
	moderation_round(&moderation, 1008);
	ck_assert(moderation_sleeps(&moderation));
	/* A day without anything, after which one came. */
	moderation_count(&moderation, 1, false);
	moderation_round(&moderation, 1008 + 86400000);
	ck_assert(!moderation_sleeps(&moderation));
}
END_TEST

START_TEST(a_backlog_is_served_first)
{
	struct moderation moderation = { 0 };

	moderation_round(&moderation, 1000);
	moderation_count(&moderation, 100 * MODERATION_PER_MS, true);
	moderation_count(&moderation, 1, false);
	ck_assert(!moderation_sleeps(&moderation));
	moderation_round(&moderation, 1001);
	moderation_count(&moderation, 32, true);
	moderation_count(&moderation, 1, false);
	ck_assert(!moderation_sleeps(&moderation));
	moderation_round(&moderation, 1001);
	moderation_count(&moderation, 1, false);
	ck_assert(moderation_sleeps(&moderation));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("moderation");
	TCase *tests = tcase_create("moderation");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, slow_traffic_is_not_held_up);
	tcase_add_test(tests, fast_traffic_is_until_it_stops);
	tcase_add_test(tests, a_rate_not_a_number);
	tcase_add_test(tests, a_backlog_is_served_first);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

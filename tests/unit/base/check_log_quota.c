
#include "base/log_quota.h"
#include "tests/unit/suite.h"

START_TEST(test_a_flood)
{
	struct log_quota quota = { 0 };

	for (int i = 0; i < LOG_QUOTA_LINES; i++)
		ck_assert(log_quota_take(&quota, 1000 + i / 2));
	ck_assert(!log_quota_take(&quota, 1030));
	ck_assert(!log_quota_take(&quota, 1000 + LOG_QUOTA_S - 1));
	ck_assert_uint_eq(log_quota_more(&quota, 1000 + LOG_QUOTA_S - 1), 0);
	/* Nothing is lost between the end of the minute and the question. */
	ck_assert(!log_quota_take(&quota, 1000 + LOG_QUOTA_S));
	ck_assert_uint_eq(log_quota_more(&quota, 1000 + LOG_QUOTA_S), 3);
	ck_assert_uint_eq(log_quota_more(&quota, 1000 + LOG_QUOTA_S), 0);
	for (int i = 0; i < LOG_QUOTA_LINES; i++)
		ck_assert(log_quota_take(&quota, 1000 + LOG_QUOTA_S));
	ck_assert(!log_quota_take(&quota, 1000 + LOG_QUOTA_S));
	ck_assert_uint_eq(log_quota_more(&quota, 1000 + 2 * LOG_QUOTA_S), 1);
}
END_TEST

START_TEST(test_now_and_then)
{
	struct log_quota quota = { 0 };

	for (int i = 0; i < 5 * LOG_QUOTA_LINES; i++)
		ck_assert(log_quota_take(&quota, 2 * i));
	ck_assert_uint_eq(log_quota_more(&quota, 1000000), 0);
	ck_assert(log_quota_take(&quota, 1000000));
}
END_TEST

/* A clock that begins at 0. */
START_TEST(test_from_the_first_second)
{
	struct log_quota quota = { 0 };

	ck_assert_uint_eq(log_quota_more(&quota, 0), 0);
	for (int i = 0; i < LOG_QUOTA_LINES; i++)
		ck_assert(log_quota_take(&quota, 0));
	ck_assert(!log_quota_take(&quota, 0));
	ck_assert_uint_eq(log_quota_more(&quota, LOG_QUOTA_S), 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_a_flood);
	tcase_add_test(tests, test_now_and_then);
	tcase_add_test(tests, test_from_the_first_second);
}

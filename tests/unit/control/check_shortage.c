#include <stdlib.h>

#include "control/shortage.h"
#include "tests/unit/suite.h"

START_TEST(test_begins_and_ends)
{
	struct shortage shortage = { 0 };

	ck_assert_int_eq(shortage_look(&shortage, 0), SHORTAGE_NO_NEWS);
	ck_assert_int_eq(shortage_look(&shortage, 3), SHORTAGE_BEGINS);
	ck_assert_int_eq(shortage_look(&shortage, 4), SHORTAGE_NO_NEWS);
	for (int i = 0; i < SHORTAGE_QUIET_LOOKS - 1; i++)
		ck_assert_int_eq(shortage_look(&shortage, 4), SHORTAGE_NO_NEWS);
	ck_assert_int_eq(shortage_look(&shortage, 4), SHORTAGE_ENDS);
	ck_assert_uint_eq(shortage.refused - shortage.before, 4);
	ck_assert_int_eq(shortage_look(&shortage, 4), SHORTAGE_NO_NEWS);
	ck_assert_int_eq(shortage_look(&shortage, 9), SHORTAGE_BEGINS);
	ck_assert_uint_eq(shortage.before, 4);
}
END_TEST

START_TEST(test_a_refusal_now_and_then_is_one_shortage)
{
	struct shortage shortage = { 0 };
	uint64_t refused = 1;

	ck_assert_int_eq(shortage_look(&shortage, refused), SHORTAGE_BEGINS);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < SHORTAGE_QUIET_LOOKS - 1; i++)
			ck_assert_int_eq(shortage_look(&shortage, refused), SHORTAGE_NO_NEWS);
		ck_assert_int_eq(shortage_look(&shortage, ++refused), SHORTAGE_NO_NEWS);
	}
	for (int i = 0; i < SHORTAGE_QUIET_LOOKS - 1; i++)
		ck_assert_int_eq(shortage_look(&shortage, refused), SHORTAGE_NO_NEWS);
	ck_assert_int_eq(shortage_look(&shortage, refused), SHORTAGE_ENDS);
	ck_assert_uint_eq(shortage.refused - shortage.before, 6);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_begins_and_ends);
	tcase_add_test(tests, test_a_refusal_now_and_then_is_one_shortage);
}

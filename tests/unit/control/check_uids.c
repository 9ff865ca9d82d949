
#include "control/uids.h"
#include "tests/unit/suite.h"

START_TEST(test_same_name_same_number)
{
	struct uids *r = uids_new(4);

	ck_assert_uint_eq(uids_give(r, 0, "lwm2m"), 0);
	ck_assert_uint_eq(uids_give(r, 0, "other"), 1);
	ck_assert_uint_eq(uids_give(r, 0, "lwm2m"), 0);
	uids_free(r);
}
END_TEST

START_TEST(test_scopes_are_apart)
{
	struct uids *r = uids_new(4);

	ck_assert_uint_eq(uids_give(r, 0, "a"), 0);
	ck_assert_uint_eq(uids_give(r, 1, "a"), 1);
	ck_assert_uint_eq(uids_give(r, 0, "a"), 0);
	ck_assert_uint_eq(uids_give(r, 1, "a"), 1);
	ck_assert_uint_eq(uids_scope(r, 0), 0);
	ck_assert_uint_eq(uids_scope(r, 1), 1);
	ck_assert_uint_eq(uids_scope(r, 2), UIDS_FULL);
	uids_take_back(r, (const bool[4]){ true });
	ck_assert_uint_eq(uids_scope(r, 1), UIDS_FULL);
	uids_free(r);
}
END_TEST

START_TEST(test_keeps_its_own_copy)
{
	struct uids *r = uids_new(4);
	char name[] = "a";

	ck_assert_uint_eq(uids_give(r, 0, name), 0);
	name[0] = 'b';
	ck_assert_uint_eq(uids_give(r, 0, "a"), 0);
	ck_assert_uint_eq(uids_give(r, 0, "b"), 1);
	uids_free(r);
}
END_TEST

START_TEST(test_full)
{
	struct uids *r = uids_new(2);

	ck_assert_uint_eq(uids_give(r, 0, "a"), 0);
	ck_assert_uint_eq(uids_give(r, 0, "b"), 1);
	ck_assert_uint_eq(uids_give(r, 0, "c"), UIDS_FULL);
	ck_assert_uint_eq(uids_give(r, 0, "b"), 1);
	uids_free(r);
}
END_TEST

START_TEST(test_taken_back)
{
	struct uids *r = uids_new(3);
	const bool used[3] = { [1] = true };

	ck_assert_uint_eq(uids_give(r, 0, "a"), 0);
	ck_assert_uint_eq(uids_give(r, 0, "b"), 1);
	ck_assert_uint_eq(uids_give(r, 0, "c"), 2);
	ck_assert_uint_eq(uids_give(r, 0, "d"), UIDS_FULL);
	uids_take_back(r, used);
	ck_assert_uint_eq(uids_give(r, 0, "b"), 1);
	ck_assert_uint_eq(uids_give(r, 0, "d"), 0);
	ck_assert_uint_eq(uids_give(r, 0, "c"), 2);
	ck_assert_uint_eq(uids_give(r, 0, "d"), 0);
	ck_assert_uint_eq(uids_give(r, 0, "a"), UIDS_FULL);
	uids_free(r);
}
END_TEST

/* Numbers that were never given out are still given out in order. */
START_TEST(test_taken_back_before_full)
{
	struct uids *r = uids_new(3);
	const bool none[3] = { false };

	uids_take_back(r, none);
	ck_assert_uint_eq(uids_give(r, 1, "a"), 0);
	uids_take_back(r, none);
	uids_take_back(r, none);
	ck_assert_uint_eq(uids_give(r, 2, "a"), 0);
	ck_assert_uint_eq(uids_give(r, 1, "a"), 1);
	ck_assert_uint_eq(uids_give(r, 1, "b"), 2);
	ck_assert_uint_eq(uids_give(r, 1, "c"), UIDS_FULL);
	uids_free(r);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_same_name_same_number);
	tcase_add_test(tests, test_scopes_are_apart);
	tcase_add_test(tests, test_keeps_its_own_copy);
	tcase_add_test(tests, test_full);
	tcase_add_test(tests, test_taken_back);
	tcase_add_test(tests, test_taken_back_before_full);
}

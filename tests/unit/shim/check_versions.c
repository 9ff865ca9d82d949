#include "shim/versions.h"
#include "tests/unit/suite.h"

static struct versions versions;

static void set_up(void)
{
	versions = (struct versions){ 0 };
}

START_TEST(as_it_was_spoken_to)
{
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V1);
	versions_hear(&versions, 0, PROXY2_V1, 1000);
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V1);
	versions_hear(&versions, 1, PROXY2_V1_OFFER, 1000);
	ck_assert_int_eq(versions_of(&versions, 1), PROXY2_V2);
	versions_hear(&versions, SETTINGS_NODES - 1, PROXY2_V2, 1000);
	ck_assert_int_eq(versions_of(&versions, SETTINGS_NODES - 1), PROXY2_V2);
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V1);
}
END_TEST

START_TEST(at_the_very_boot)
{
	versions_hear(&versions, 0, PROXY2_V2, 0);
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V2);
}
END_TEST

/* Nodes of both kinds have one address: what is sent there reaches any of them. */
START_TEST(old_and_new_at_one_address)
{
	for (uint32_t s = 1000; s < 2000; s += VERSIONS_PLAIN_S - 1) {
		versions_hear(&versions, 0, PROXY2_V1, s);
		for (uint32_t after = 0; after < VERSIONS_PLAIN_S; after++) {
			versions_hear(&versions, 0, PROXY2_V1_OFFER, s + after);
			ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V1);
		}
	}
}
END_TEST

START_TEST(upgraded_and_taken_back)
{
	versions_hear(&versions, 0, PROXY2_V1, 1000);
	versions_hear(&versions, 0, PROXY2_V1_OFFER, 1000 + VERSIONS_PLAIN_S - 1);
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V1);
	versions_hear(&versions, 0, PROXY2_V1_OFFER, 1000 + VERSIONS_PLAIN_S);
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V2);
	versions_hear(&versions, 0, PROXY2_V2, 5000);
	/* The version before is back. It may be silent for long. */
	versions_hear(&versions, 0, PROXY2_V1, 5001);
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V1);
	/* Of two threads, the later one may have read the time first. */
	versions_hear(&versions, 0, PROXY2_V2, 5000);
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V1);
}
END_TEST

START_TEST(over_a_wrap)
{
	versions_hear(&versions, 0, PROXY2_V1, UINT32_MAX - 10);
	versions_hear(&versions, 0, PROXY2_V2, 20);
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V1);
	versions_hear(&versions, 0, PROXY2_V2, 60);
	ck_assert_int_eq(versions_of(&versions, 0), PROXY2_V2);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, as_it_was_spoken_to);
	tcase_add_test(tests, at_the_very_boot);
	tcase_add_test(tests, old_and_new_at_one_address);
	tcase_add_test(tests, upgraded_and_taken_back);
	tcase_add_test(tests, over_a_wrap);
}

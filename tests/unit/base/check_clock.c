#include "base/clock.h"
#include "tests/unit/suite.h"

START_TEST(one_clock_in_several_units)
{
	const uint64_t us = clock_us(), ms = clock_ms();
	const int64_t s = clock_s();

	ck_assert_uint_ge(ms, us / 1000);
	ck_assert_int_ge(s, (int64_t)(ms / 1000));
	ck_assert_uint_le((uint64_t)s, clock_us() / 1000000);
}
END_TEST

START_TEST(the_coarse_one_is_never_ahead)
{
	for (int i = 0; i < 1000; i++) {
		const uint64_t coarse_ms = clock_coarse_ms();

		ck_assert_uint_le(coarse_ms, clock_ms());
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, one_clock_in_several_units);
	tcase_add_test(tests, the_coarse_one_is_never_ahead);
}

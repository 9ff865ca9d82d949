#include "control/probe_times.h"
#include "tests/unit/suite.h"

START_TEST(bounds_belong_below)
{
	struct probe_times times = { .sum_us = 0 };

	for (unsigned i = 0; i < PROBE_TIMES; i++) {
		probe_times_add(&times, probe_times_bounds_us[i]);
		probe_times_add(&times, probe_times_bounds_us[i] + 1);
	}
	ck_assert_uint_eq(times.counts[0], 1);
	for (unsigned i = 1; i < PROBE_TIMES; i++)
		ck_assert_uint_eq(times.counts[i], 2);
	ck_assert_uint_eq(times.counts[PROBE_TIMES], 1);
}
END_TEST

START_TEST(sum)
{
	struct probe_times times = { .sum_us = 0 };

	probe_times_add(&times, 0);
	probe_times_add(&times, UINT32_MAX);
	probe_times_add(&times, UINT32_MAX);
	ck_assert_uint_eq(times.sum_us, 2 * (uint64_t)UINT32_MAX);
	ck_assert_uint_eq(times.counts[0], 1);
	ck_assert_uint_eq(times.counts[PROBE_TIMES], 2);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, bounds_belong_below);
	tcase_add_test(tests, sum);
}

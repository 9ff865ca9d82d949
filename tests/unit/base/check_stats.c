#include "base/stats.h"
#include "tests/unit/suite.h"

/* Every counter has a value of its own, so that none is left out or added to another. */
START_TEST(sum)
{
	static struct stats one, total;
	const size_t count = (offsetof(struct stats, strays) / sizeof(stats_counter)) + 1;
	stats_counter *from = (stats_counter *)&one, *to = (stats_counter *)&total;

	for (size_t i = 0; i < count; i++) {
		from[i] = i + 1;
		to[i] = 1000000;
	}
	stats_sum(&total, &one);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(to[i], 1000000 + i + 1);
	ck_assert_uint_eq(total.strays, 1000000 + count);
}
END_TEST

START_TEST(batch_sizes)
{
	static const size_t counts[] = { 1, 2, 3, 4, 5, 8, 9, 16, 17, 32 };
	static const uint64_t sizes[STATS_BATCH_SIZES] = { 1, 1, 2, 2, 2, 2 };
	static struct stats stats;

	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		stats_add_batch(&stats, counts[i]);
	for (size_t i = 0; i < STATS_BATCH_SIZES; i++)
		ck_assert_uint_eq(stats.batches[i], sizes[i]);
	ck_assert_uint_eq(stats.batched, 97);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, sum);
	tcase_add_test(tests, batch_sizes);
}

/* Buckets of one word, and a sketch of them. A model with a bucket for each source says what would be exact. */
#include <pthread.h>
#include <stdlib.h>

#include "common/siphash.h"
#include "common/sketch.h"
#include "tests/unit/suite.h"

enum { SOURCES = 4096, THREADS = 4 };

static struct sketch *sketch;

static void set_up(void)
{
	sketch = calloc(1, sizeof *sketch);
	ck_assert_ptr_nonnull(sketch);
}

static void tear_down(void)
{
	free(sketch);
}

static uint64_t hash_of(uint32_t source)
{
	const struct siphash_key key = siphash_key_load((const uint8_t[16]){ 7 });

	return siphash24(&key, (const uint8_t *)&source, sizeof source);
}

START_TEST(bucket)
{
	const struct sketch_price price = { 100, 1000 };
	sketch_bucket of = 0;

	for (int i = 0; i < 10; i++)
		ck_assert(sketch_bucket_take(&of, &price, 5000));
	ck_assert(!sketch_bucket_take(&of, &price, 5000));
	ck_assert(!sketch_bucket_take(&of, &price, 5099));
	ck_assert(sketch_bucket_take(&of, &price, 5100));
	ck_assert(!sketch_bucket_take(&of, &price, 5100));
	sketch_bucket_give_back(&of, 100);
	ck_assert(sketch_bucket_take(&of, &price, 5100));
	sketch_bucket_forget(&of);
	ck_assert_uint_eq(of, 0);
	for (int i = 0; i < 10; i++)
		ck_assert(sketch_bucket_take(&of, &price, 5100));
	ck_assert(!sketch_bucket_take(&of, &price, 5100));
}
END_TEST

/* One that costs more than a full bucket holds, and one that costs nothing. */
START_TEST(odd_prices)
{
	const struct sketch_price dear = { 1001, 1000 }, all = { 1000, 1000 }, free_of_charge = { 0, 0 };
	sketch_bucket of = 0;

	ck_assert(!sketch_bucket_take(&of, &dear, 5000));
	ck_assert(!sketch_take(sketch, 1, &dear, 5000));
	ck_assert_uint_eq(sketch_taken(sketch, 1, 5000), 0);
	ck_assert(sketch_bucket_take(&of, &all, 5000));
	ck_assert(sketch_take(sketch, 1, &all, 5000));
	for (int i = 0; i < 3; i++) {
		ck_assert(sketch_bucket_take(&of, &free_of_charge, 5000));
		ck_assert(sketch_take(sketch, 1, &free_of_charge, 5000));
	}
	ck_assert_uint_eq(sketch_taken(sketch, 1, 5000), 1000);
}
END_TEST

START_TEST(how_much_was_taken)
{
	const struct sketch_price price = { 300, 1000 };

	ck_assert_uint_eq(sketch_taken(sketch, 5, 5000), 0);
	ck_assert(sketch_take(sketch, 5, &price, 5000));
	ck_assert(sketch_take(sketch, 5, &price, 5000));
	ck_assert_uint_eq(sketch_taken(sketch, 5, 5000), 600);
	ck_assert_uint_eq(sketch_taken(sketch, 5, 5250), 350);
	ck_assert_uint_eq(sketch_taken(sketch, 5, 5600), 0);
	ck_assert_uint_eq(sketch_taken(sketch, 5, 9000), 0);
	/* Looking costs nothing. */
	ck_assert_uint_eq(sketch_taken(sketch, 5, 5000), 600);
	sketch_forget(sketch);
	ck_assert_uint_eq(sketch_taken(sketch, 5, 5000), 0);
}
END_TEST

/* Sources that meet in some row, but not in all, do not count as one. */
START_TEST(rows)
{
	const struct sketch_price price = { 1000, 1000 };
	uint64_t other = 0;

	for (int row = 0; row < SKETCH_ROWS - 1; row++)
		other |= UINT64_C(1) << row * SKETCH_ROW_BITS;
	ck_assert(sketch_take(sketch, 0, &price, 5000));
	/* They meet in the last row only. */
	ck_assert(sketch_take(sketch, other, &price, 5000));
	ck_assert(!sketch_take(sketch, other, &price, 5000));
	/* All are full again. */
	ck_assert(sketch_take(sketch, 0, &price, 6000));
	/* Those that meet in every row are one. */
	ck_assert(!sketch_take(sketch, UINT64_C(1) << 60, &price, 6000));
}
END_TEST

/* No source ever gets more than its rate. Sources that take little are hardly ever limited by others. */
START_TEST(against_a_bucket_each)
{
	static uint64_t full_at[SOURCES];
	const struct sketch_price price = { 1000, 10000 };
	uint64_t now = 100000;
	unsigned wrongly = 0, all = 0;

	srand(1);
	for (int i = 0; i < 2000000; i++) {
		const uint32_t source = (uint32_t)rand() % (i % 2 ? 16 : SOURCES);
		uint64_t *exact = &full_at[source], after;
		bool to_be_had, got;

		now += 10;
		after = (*exact > now ? *exact : now) + price.cost_ns;
		to_be_had = after <= now + price.depth_ns;
		got = sketch_take(sketch, hash_of(source), &price, now);
		if (got && !to_be_had)
			ck_abort_msg("source %u has more than its rate", source);
		if (got)
			*exact = after;
		wrongly += to_be_had && !got;
		all += to_be_had;
	}
	ck_assert_uint_gt(all, 100000);
	ck_assert_uint_lt(wrongly, all / 1000);
}
END_TEST

/* A zeroed sketch takes no memory until something is taken, and none when it is forgotten. */
START_TEST(forgetting_writes_only_what_was_written)
{
	const struct sketch_price price = { 1000, 1000 };
	size_t written = 0;

	ck_assert(sketch_take(sketch, hash_of(1), &price, 5000));
	for (size_t row = 0; row < SKETCH_ROWS; row++)
		for (size_t i = 0; i < SKETCH_BUCKETS; i++)
			written += sketch->rows[row][i] != 0;
	ck_assert_uint_eq(written, SKETCH_ROWS);
	sketch_forget(sketch);
	for (size_t row = 0; row < SKETCH_ROWS; row++)
		for (size_t i = 0; i < SKETCH_BUCKETS; i++)
			if (sketch->rows[row][i])
				ck_abort_msg("row %zu, bucket %zu", row, i);
}
END_TEST

static pthread_barrier_t start;

static void *contend(void *taken)
{
	const struct sketch_price price = { 1, 100000 };

	pthread_barrier_wait(&start);
	for (int i = 0; i < 50000; i++)
		*(unsigned *)taken += sketch_take(sketch, 77, &price, 5000);
	return NULL;
}

START_TEST(threads_at_once)
{
	unsigned taken_by[THREADS] = { 0 }, all = 0;
	pthread_t threads[THREADS];

	ck_assert_int_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, contend, &taken_by[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		all += taken_by[i];
	}
	pthread_barrier_destroy(&start);
	ck_assert_uint_eq(all, 100000);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, bucket);
	tcase_add_test(tests, odd_prices);
	tcase_add_test(tests, how_much_was_taken);
	tcase_add_test(tests, rows);
	tcase_add_test(tests, against_a_bucket_each);
	tcase_add_test(tests, forgetting_writes_only_what_was_written);
	tcase_add_test(tests, threads_at_once);
}

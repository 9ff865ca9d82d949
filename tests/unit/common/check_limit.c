#include <pthread.h>
#include <stdlib.h>

#include "common/limit.h"
#include "common/sketch.h"
#include "tests/unit/suite.h"

enum { POOLS = 2, BACKENDS = 8, THREADS = 4 };

static const uint8_t secret[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const struct addr device = { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 56324 };
static struct limit *limit;

static void set_up(void)
{
	limit = limit_new(POOLS, BACKENDS, secret);
	ck_assert_ptr_nonnull(limit);
}

static void tear_down(void)
{
	limit_free(limit);
}

static struct limit_rates rates(uint32_t pool, uint32_t backend, uint32_t prefix)
{
	return (struct limit_rates){ limit_rate_make(pool), limit_rate_make(backend), limit_rate_make(prefix) };
}

/* How many of `tries` ClientHellos at one instant go on. */
static unsigned admit(const struct limit_rates *r, uint16_t pool, uint16_t backend, const struct addr *source,
		      uint64_t now_ms, unsigned tries)
{
	const struct limit_hello hello = { pool, backend, source };
	unsigned admitted = 0;

	while (tries--)
		admitted += limit_admit(limit, r, &hello, now_ms);
	return admitted;
}

static struct addr v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct addr){ { [10] = 0xff, 0xff, a, b, c, d }, 5684 };
}

/* Device `n` of a prefix of its own. */
static struct addr prefix(uint32_t n)
{
	return v4((uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 1);
}

static const struct {
	uint32_t per_second;
	uint64_t cost_ns, depth_ns;
} made[] = {
	{ 0, 0, 0 },
	{ 1, 1000000000, 2000000000 },
	{ 2, 500000000, 1000000000 },
	{ 3, 333333334, 1000000002 }, /* 333333333 would be faster than 3 a second */
	{ 1000000, 1000, 1000000000 },
};

START_TEST(rate)
{
	const struct limit_rate r = limit_rate_make(made[_i].per_second);

	ck_assert_uint_eq(r.cost_ns, made[_i].cost_ns);
	ck_assert_uint_eq(r.depth_ns, made[_i].depth_ns);
}
END_TEST

START_TEST(any_rate_limits)
{
	const struct limit_rates none = rates(0, 0, 0), pool = rates(1, 0, 0), backend = rates(0, 1, 0),
				 source = rates(0, 0, 1);

	ck_assert(!limit_rates_limit(&none));
	ck_assert(limit_rates_limit(&pool));
	ck_assert(limit_rates_limit(&backend));
	ck_assert(limit_rates_limit(&source));
}
END_TEST

/* The same rate as that of the pool, of the backend, of the prefix. */
static struct limit_rates of_kind(int kind, uint32_t per_second)
{
	return rates(kind == 0 ? per_second : 0, kind == 1 ? per_second : 0, kind == 2 ? per_second : 0);
}

START_TEST(one_second_at_once)
{
	const struct limit_rates r = of_kind(_i, 10);

	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5000, 1000), 10);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5099, 1000), 0);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5100, 1000), 1);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5199, 1000), 0);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5400, 1000), 3);
	/* It holds no more after an hour. */
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 3605400, 1000), 10);
}
END_TEST

START_TEST(room_for_a_handshake)
{
	const struct limit_rates r = of_kind(_i, 1);

	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5000, 3), 2);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5999, 3), 0);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 6000, 3), 1);
}
END_TEST

START_TEST(no_more_and_no_less_in_the_long_run)
{
	const struct limit_rates r = of_kind(_i, 7);
	unsigned admitted = 0;

	for (uint64_t now_ms = 0; now_ms < 1000000; now_ms++)
		admitted += admit(&r, 0, 0, &device, now_ms, 2);
	ck_assert_uint_le(admitted, 7 * 1000 + 7);
	ck_assert_uint_ge(admitted, 7 * 1000 + 7 - 1);
}
END_TEST

/* 2^32 ms, where the flows' clock wraps; and the greatest time that fits. */
START_TEST(late)
{
	static const uint64_t late_ms[] = { UINT32_MAX, UINT64_MAX / 1000000 - 10000 };
	const struct limit_rates r = of_kind(_i, 10);

	for (size_t i = 0; i < sizeof late_ms / sizeof *late_ms; i++) {
		ck_assert_uint_eq(admit(&r, 0, 0, &device, late_ms[i], 100), 10);
		ck_assert_uint_eq(admit(&r, 0, 0, &device, late_ms[i] + 99, 100), 0);
		ck_assert_uint_eq(admit(&r, 0, 0, &device, late_ms[i] + 100, 100), 1);
	}
}
END_TEST

/* Another worker took its time a moment before. */
START_TEST(time_that_goes_back)
{
	const struct limit_rates r = of_kind(_i, 10);

	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5000, 9), 9);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 4000, 100), 0);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5000, 100), 1);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5100, 100), 1);
}
END_TEST

START_TEST(rate_that_a_reload_changes)
{
	const struct limit_rates fast = of_kind(_i, 1000), slow = of_kind(_i, 10), none = of_kind(_i, 0);

	ck_assert_uint_eq(admit(&fast, 0, 0, &device, 5000, 5000), 1000);
	ck_assert_uint_eq(admit(&none, 0, 0, &device, 5000, 5000), 5000);
	ck_assert_uint_eq(admit(&slow, 0, 0, &device, 5000, 100), 0);
	ck_assert_uint_eq(admit(&slow, 0, 0, &device, 6000, 100), 10);
	ck_assert_uint_eq(admit(&fast, 0, 0, &device, 6100, 5000), 100);
}
END_TEST

START_TEST(pools_and_backends_have_their_own)
{
	const struct limit_rates pool = rates(5, 0, 0), backend = rates(0, 5, 0), source = rates(0, 0, 5);

	ck_assert_uint_eq(admit(&pool, 0, 0, &device, 5000, 50), 5);
	ck_assert_uint_eq(admit(&pool, 0, 1, &device, 5000, 50), 0);
	ck_assert_uint_eq(admit(&pool, 1, 0, &device, 5000, 50), 5);
	ck_assert_uint_eq(admit(&backend, 0, 0, &device, 5000, 50), 5);
	ck_assert_uint_eq(admit(&backend, 0, BACKENDS - 1, &device, 5000, 50), 5);
	ck_assert_uint_eq(admit(&source, 0, 0, &device, 5000, 50), 5);
	ck_assert_uint_eq(admit(&source, 0, 1, &device, 5000, 50), 0);
	ck_assert_uint_eq(admit(&source, 1, 0, &device, 5000, 50), 5);
}
END_TEST

static const struct {
	struct addr source;
	bool same; /* as 192.0.2.1 or 2001:db8::1 */
} sources[] = {
	{ { { [10] = 0xff, 0xff, 192, 0, 2, 0 }, 1 }, true },
	{ { { [10] = 0xff, 0xff, 192, 0, 2, 255 }, 65535 }, true },
	{ { { [10] = 0xff, 0xff, 192, 0, 3, 1 }, 56324 }, false },
	{ { { [10] = 0xff, 0xff, 192, 1, 2, 1 }, 56324 }, false },
	{ { { [10] = 0xff, 0xff, 193, 0, 2, 1 }, 56324 }, false },
	{ { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 1 }, true },
	{ { { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 1 }, true },
	{ { { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 1, [15] = 1 }, 1 }, false },
	{ { { 0x20, 0x01, 0x0d, 0xb9, [15] = 1 }, 1 }, false },
};

START_TEST(prefix_of_a_source)
{
	static const struct addr v6 = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 56324 };
	const struct limit_rates r = rates(0, 0, 4);

	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5000, 9), 4);
	ck_assert_uint_eq(admit(&r, 0, 0, &v6, 5000, 9), 4);
	ck_assert_uint_eq(admit(&r, 0, 0, &sources[_i].source, 5000, 9), sources[_i].same ? 0 : 4);
}
END_TEST

START_TEST(refused_by_its_backend)
{
	const struct limit_rates r = rates(10, 2, 0);

	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5000, 1000), 2);
	for (uint16_t backend = 1; backend < 5; backend++)
		ck_assert_uint_eq(admit(&r, 0, backend, &device, 5000, 1000), 2);
	ck_assert_uint_eq(admit(&r, 0, 5, &device, 5000, 1000), 0);
}
END_TEST

START_TEST(refused_by_its_prefix)
{
	const struct limit_rates r = rates(20, 10, 2);

	for (uint32_t n = 0; n < 5; n++) {
		const struct addr source = prefix(n);
		ck_assert_uint_eq(admit(&r, 0, 0, &source, 5000, 1000), 2);
	}
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5000, 1000), 0);
	ck_assert_uint_eq(admit(&r, 0, 1, &device, 5000, 1000), 2);
}
END_TEST

START_TEST(refused_by_its_pool)
{
	const struct limit_rates r = rates(2, 3, 4), without_pool = rates(0, 3, 4), only_prefix = rates(0, 0, 4);

	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5000, 1000), 2);
	ck_assert_uint_eq(admit(&without_pool, 0, 0, &device, 5000, 1000), 1);
	ck_assert_uint_eq(admit(&only_prefix, 0, 0, &device, 5000, 1000), 1);
}
END_TEST

START_TEST(many_prefixes_that_send_little)
{
	const struct limit_rates r = rates(0, 0, 10);
	unsigned admitted = 0;

	for (uint32_t n = 0; n < 50000; n++) {
		const struct addr source = prefix(n);
		admitted += admit(&r, 0, 0, &source, 5000, 1);
	}
	ck_assert_uint_eq(admitted, 50000);
}
END_TEST

START_TEST(beside_prefixes_beyond_their_rate)
{
	const struct limit_rates r = rates(0, 0, 10);
	unsigned innocent = 0;

	for (uint32_t n = 0; n < 500; n++) {
		const struct addr source = prefix(n);
		ck_assert_uint_le(admit(&r, 0, 0, &source, 5000, 100), 10);
	}
	for (uint32_t n = 500; n < 10500; n++) {
		const struct addr source = prefix(n);
		innocent += admit(&r, 0, 0, &source, 5000, 1);
	}
	/* (1 - (1 - 1/16384)^500)^4 = 8e-7 of them meet one in every row, more as they fill the rows themselves. */
	ck_assert_uint_ge(innocent, 10000 - 5);
}
END_TEST

/* As many as there are buckets, all beyond their rate: the rows are full, and a second later empty again. */
START_TEST(storm_of_prefixes)
{
	const struct limit_rates r = rates(0, 0, 10);

	for (uint32_t n = 0; n < 1 << SKETCH_ROW_BITS << 2; n++) {
		const struct addr source = prefix(n);
		ck_assert_uint_le(admit(&r, 0, 0, &source, 5000, 20), 10);
	}
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 5000, 1), 0);
	ck_assert_uint_eq(admit(&r, 0, 0, &device, 6000, 100), 10);
}
END_TEST

struct contender {
	pthread_barrier_t *start;
	struct limit_rates rates;
	unsigned admitted;
};

static void *contend(void *arg)
{
	struct contender *contender = arg;

	pthread_barrier_wait(contender->start);
	contender->admitted = admit(&contender->rates, 0, 0, &device, 5000, 500000);
	return NULL;
}

START_TEST(one_rate_over_all_threads)
{
	struct contender contenders[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t start;
	unsigned admitted = 0;

	ck_assert_int_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (int i = 0; i < THREADS; i++) {
		contenders[i] = (struct contender){ .start = &start, .rates = of_kind(_i, 1000000) };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, contend, &contenders[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		admitted += contenders[i].admitted;
	}
	pthread_barrier_destroy(&start);
	ck_assert_uint_eq(admitted, 1000000);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, rate, 0, sizeof made / sizeof *made);
	tcase_add_test(tests, any_rate_limits);
	tcase_add_loop_test(tests, one_second_at_once, 0, 3);
	tcase_add_loop_test(tests, room_for_a_handshake, 0, 3);
	tcase_add_loop_test(tests, no_more_and_no_less_in_the_long_run, 0, 3);
	tcase_add_loop_test(tests, late, 0, 3);
	tcase_add_loop_test(tests, time_that_goes_back, 0, 3);
	tcase_add_loop_test(tests, rate_that_a_reload_changes, 0, 3);
	tcase_add_test(tests, pools_and_backends_have_their_own);
	tcase_add_loop_test(tests, prefix_of_a_source, 0, sizeof sources / sizeof *sources);
	tcase_add_test(tests, refused_by_its_backend);
	tcase_add_test(tests, refused_by_its_prefix);
	tcase_add_test(tests, refused_by_its_pool);
	tcase_add_test(tests, many_prefixes_that_send_little);
	tcase_add_test(tests, beside_prefixes_beyond_their_rate);
	tcase_add_test(tests, storm_of_prefixes);
	tcase_add_loop_test(tests, one_rate_over_all_threads, 0, 3);
}

/* What addresses that are not proven get beyond three times what they sent: rates of a pool and of an address, and the
 * half that is kept for those that had little. */
#include <pthread.h>
#include <stdlib.h>

#include "common/allowance.h"
#include "tests/unit/suite.h"

enum { POOLS = 2, THREADS = 4, DATAGRAM = 1280 };

static const uint8_t secret[16] = { 1, 2, 3 };
static struct allowances *allowances;

static void set_up(void)
{
	allowances = allowances_new(POOLS, secret);
	ck_assert_ptr_nonnull(allowances);
}

static void tear_down(void)
{
	allowances_free(allowances);
}

static struct addr address(uint32_t n)
{
	return (struct addr){ { [10] = 0xff, [11] = 0xff, 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n },
			      4000 };
}

static uint64_t now_ms = 5000;

static bool take(uint32_t n, uint32_t rate, uint32_t octets)
{
	const struct addr from = address(n);
	const struct allowance allowance = { .pool = 0, .octets_per_s = rate, .from = &from };

	return allowance_take(allowances, &allowance, octets, now_ms);
}

/* What an address gets of `tries` datagrams, octets. */
static uint64_t take_all(uint32_t n, uint32_t rate, unsigned tries)
{
	uint64_t got = 0;

	while (tries--)
		got += take(n, rate, DATAGRAM) ? DATAGRAM : 0;
	return got;
}

START_TEST(none)
{
	ck_assert(!take(1, 0, 1));
	ck_assert(!take(1, 0, 2560));
	ck_assert(take(1, ALLOWANCE_RATE_MAX, 2560));
}
END_TEST

START_TEST(rate_of_an_address)
{
	ck_assert(take(1, ALLOWANCE_RATE_MAX, ALLOWANCE_ADDRESS_RATE));
	ck_assert(!take(1, ALLOWANCE_RATE_MAX, 1));
	ck_assert(take(2, ALLOWANCE_RATE_MAX, ALLOWANCE_ADDRESS_RATE));
	now_ms += 500;
	ck_assert(take(1, ALLOWANCE_RATE_MAX, ALLOWANCE_ADDRESS_RATE / 2 - 1));
	ck_assert(!take(1, ALLOWANCE_RATE_MAX, 100));
	now_ms += 3600000;
	ck_assert(!take(1, ALLOWANCE_RATE_MAX, ALLOWANCE_ADDRESS_RATE + 1));
	ck_assert(take(1, ALLOWANCE_RATE_MAX, ALLOWANCE_ADDRESS_RATE));
}
END_TEST

START_TEST(port_is_part_of_the_address)
{
	struct addr from = address(1);
	const struct allowance allowance = { .octets_per_s = ALLOWANCE_RATE_MAX, .from = &from };

	ck_assert(allowance_take(allowances, &allowance, ALLOWANCE_ADDRESS_RATE, now_ms));
	ck_assert(!allowance_take(allowances, &allowance, 1, now_ms));
	from.port++;
	ck_assert(allowance_take(allowances, &allowance, ALLOWANCE_ADDRESS_RATE, now_ms));
}
END_TEST

/* All together never get more than the rate, at once or in the long run. */
START_TEST(rate_of_the_pool)
{
	static const uint32_t rates[] = { 2560, 100000, 1250000 };
	const uint32_t rate = rates[_i];
	uint64_t got = 0;

	for (uint32_t n = 0; n < 5000; n++)
		got += take_all(n, rate, 2);
	ck_assert_uint_le(got, rate);
	ck_assert_uint_gt(got + 2 * DATAGRAM, rate);
	for (int ms = 0; ms < 10000; ms += 10) {
		now_ms += 10;
		for (uint32_t n = 0; n < 20; n++)
			got += take_all((uint32_t)ms * 100 + n, rate, 1);
	}
	ck_assert_uint_le(got, 11 * (uint64_t)rate);
	ck_assert_uint_gt(got, 10 * (uint64_t)rate);
}
END_TEST

/* What one greedy address takes leaves half for those that had less than 5,120 octets. */
START_TEST(half_is_for_those_that_had_little)
{
	const uint32_t rate = 20000;
	const uint64_t got = take_all(1, rate, 1000);

	ck_assert_uint_le(got, rate / 2 + DATAGRAM);
	ck_assert_uint_ge(got, rate / 2 - DATAGRAM);
	/* A device that has moved, and asks for two blocks. */
	ck_assert(take(2, rate, 2560));
	ck_assert(take(2, rate, 2559));
	ck_assert(!take(1, rate, DATAGRAM));
}
END_TEST

/* Many greedy ones neither: each is charged by address. */
START_TEST(half_is_kept_from_many)
{
	const uint32_t rate = 1250000;
	unsigned served = 0;

	for (uint32_t round = 0; round < 100; round++) {
		now_ms += 100;
		for (uint32_t n = 0; n < 40; n++)
			take_all(n, rate, 20);
		for (uint32_t n = 0; n < 10; n++)
			served += take(1000 + round * 10 + n, rate, 2560);
	}
	ck_assert_uint_eq(served, 1000);
}
END_TEST

/* What is refused for the address costs the pool nothing. */
START_TEST(refused_costs_nothing)
{
	const uint32_t rate = 40000;

	ck_assert(take(1, rate, ALLOWANCE_ADDRESS_RATE));
	ck_assert_uint_eq(take_all(1, rate, 1000), 0);
	ck_assert(take(2, rate, ALLOWANCE_ADDRESS_RATE));
}
END_TEST

START_TEST(pools_have_their_own)
{
	const struct addr from = address(1);
	struct allowance of = { .pool = 0, .octets_per_s = 5000, .from = &from };

	ck_assert(allowance_take(allowances, &of, 5000, now_ms));
	ck_assert(!allowance_take(allowances, &of, 2000, now_ms));
	of.pool = 1;
	ck_assert(allowance_take(allowances, &of, 5000, now_ms));
	allowances_forget_pool(allowances, 0);
	ck_assert(!allowance_take(allowances, &of, 2000, now_ms));
	of.pool = 0;
	ck_assert(allowance_take(allowances, &of, 5000, now_ms));
	/* And what the address had is forgotten, too. */
	allowances_forget_pool(allowances, 1);
	of = (struct allowance){ .pool = 1, .octets_per_s = ALLOWANCE_RATE_MAX, .from = &from };
	ck_assert(allowance_take(allowances, &of, ALLOWANCE_ADDRESS_RATE, now_ms));
	ck_assert(!allowance_take(allowances, &of, 1, now_ms));
	allowances_forget_pool(allowances, 1);
	ck_assert(allowance_take(allowances, &of, ALLOWANCE_ADDRESS_RATE, now_ms));
}
END_TEST

struct contender {
	pthread_barrier_t *start;
	uint32_t first;
	uint64_t got;
};

static void *contend(void *arg)
{
	struct contender *contender = arg;

	pthread_barrier_wait(contender->start);
	for (uint32_t n = 0; n < 2000; n++)
		contender->got += take_all(contender->first + n % 50, 1000000, 1);
	return NULL;
}

START_TEST(one_rate_over_all_threads)
{
	struct contender contenders[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t start;
	uint64_t got = 0;

	ck_assert_int_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (uint32_t i = 0; i < THREADS; i++) {
		contenders[i] = (struct contender){ .start = &start, .first = 50 * i };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, contend, &contenders[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		got += contenders[i].got;
	}
	pthread_barrier_destroy(&start);
	ck_assert_uint_le(got, 1000000);
	ck_assert_uint_ge(got, 900000);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, none);
	tcase_add_test(tests, rate_of_an_address);
	tcase_add_test(tests, port_is_part_of_the_address);
	tcase_add_loop_test(tests, rate_of_the_pool, 0, 3);
	tcase_add_test(tests, half_is_for_those_that_had_little);
	tcase_add_test(tests, half_is_kept_from_many);
	tcase_add_test(tests, refused_costs_nothing);
	tcase_add_test(tests, pools_have_their_own);
	tcase_add_test(tests, one_rate_over_all_threads);
}

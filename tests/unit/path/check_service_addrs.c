#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "path/service_addrs.h"
#include "tests/unit/suite.h"

enum { NUMBERS = 256, THREADS = 4 };

static struct service_addrs *service_addrs;

static void set_up(void)
{
	service_addrs = service_addrs_new();
	ck_assert_ptr_nonnull(service_addrs);
}

static void tear_down(void)
{
	service_addrs_free(service_addrs);
}

static void local_of(uint8_t local[static 16], unsigned n)
{
	memset(local, 0, 16);
	local[14] = (uint8_t)(n >> 8);
	local[15] = (uint8_t)n;
}

START_TEST(listeners_are_numbers)
{
	struct service_addr service = service_addrs_get(service_addrs, STATS_LISTENERS - 1);

	ck_assert_uint_eq(service.listener, STATS_LISTENERS - 1);
	ck_assert_ptr_null(service.local);
}
END_TEST

START_TEST(numbers_stay)
{
	uint8_t a[16], b[16];
	uint16_t first, second;

	local_of(a, 1);
	local_of(b, 2);
	first = service_addrs_number(service_addrs, 3, a);
	second = service_addrs_number(service_addrs, 3, b);
	ck_assert_uint_eq(first, STATS_LISTENERS);
	ck_assert_uint_eq(second, STATS_LISTENERS + 1);
	ck_assert_uint_eq(service_addrs_number(service_addrs, 3, a), first);
	ck_assert_uint_eq(service_addrs_number(service_addrs, 3, b), second);
	/* The same address of another listener is another service address. */
	ck_assert_uint_eq(service_addrs_number(service_addrs, 4, a), STATS_LISTENERS + 2);
	ck_assert_uint_eq(service_addrs_get(service_addrs, second).listener, 3);
	ck_assert_mem_eq(service_addrs_get(service_addrs, second).local, b, 16);
}
END_TEST

START_TEST(numbers_run_out)
{
	uint8_t local[16];

	for (unsigned n = 0; n < NUMBERS; n++) {
		local_of(local, n);
		ck_assert_uint_eq(service_addrs_number(service_addrs, 5, local), STATS_LISTENERS + n);
	}
	local_of(local, NUMBERS);
	ck_assert_uint_eq(service_addrs_number(service_addrs, 5, local), 5);
	local_of(local, NUMBERS - 1);
	ck_assert_uint_eq(service_addrs_number(service_addrs, 5, local), STATS_LISTENERS + NUMBERS - 1);
}
END_TEST

static void *number_all(void *numbers)
{
	uint16_t *out = numbers;
	uint8_t local[16];

	for (unsigned n = 0; n < NUMBERS; n++) {
		local_of(local, n);
		out[n] = service_addrs_number(service_addrs, 1, local);
		if (memcmp(service_addrs_get(service_addrs, out[n]).local, local, 16) != 0)
			out[n] = 0;
	}
	return NULL;
}

START_TEST(threads_agree)
{
	uint16_t numbers[THREADS][NUMBERS];
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, number_all, numbers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_ge(numbers[0][0], STATS_LISTENERS);
	for (int i = 1; i < THREADS; i++)
		ck_assert_mem_eq(numbers[i], numbers[0], sizeof numbers[0]);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, listeners_are_numbers);
	tcase_add_test(tests, numbers_stay);
	tcase_add_test(tests, numbers_run_out);
	tcase_add_test(tests, threads_agree);
}

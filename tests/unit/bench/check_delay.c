/* Datagrams on their way. */
#include <stdlib.h>

#include "bench/programs/fleet/delay.h"
#include "tests/unit/suite.h"

static struct delay delay;

static void setup(void)
{
	delay_init(&delay);
}

static void teardown(void)
{
	delay_clear(&delay);
}

static void put(char letter, uint64_t due_ms)
{
	const uint8_t octet = (uint8_t)letter;
	ck_assert_int_eq(delay_put(&delay, &octet, 1, due_ms), 0);
}

static char take(uint64_t now_ms)
{
	struct delayed *datagram = delay_take(&delay, now_ms);
	char letter = '-';
	if (datagram) {
		ck_assert_uint_eq(datagram->len, 1);
		letter = (char)datagram->octets[0];
	}
	free(datagram);
	return letter;
}

START_TEST(arrives_when_it_is_due)
{
	ck_assert(delay_due_ms(&delay) == UINT64_MAX);
	put('a', 100);
	ck_assert_uint_eq(delay_due_ms(&delay), 100);
	ck_assert_int_eq(take(99), '-');
	ck_assert_int_eq(take(100), 'a');
	ck_assert_int_eq(take(UINT64_MAX), '-');
}
END_TEST

START_TEST(order_is_kept)
{
	put('a', 100);
	put('b', 50);
	put('c', 101);
	ck_assert_int_eq(take(99), '-');
	ck_assert_int_eq(take(100), 'a');
	ck_assert_int_eq(take(100), 'b');
	ck_assert_int_eq(take(100), '-');
	ck_assert_uint_eq(delay_due_ms(&delay), 101);
	ck_assert_int_eq(take(101), 'c');
}
END_TEST

START_TEST(what_is_left_is_freed)
{
	put('a', 100);
	put('b', 200);
	delay_clear(&delay);
	ck_assert(delay_due_ms(&delay) == UINT64_MAX);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, arrives_when_it_is_due);
	tcase_add_test(tests, order_is_kept);
	tcase_add_test(tests, what_is_left_is_freed);
}

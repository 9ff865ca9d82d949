#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <urcu-qsbr.h>

#include "flows/flow_index.h"
#include "tests/unit/suite.h"

enum { CAPACITY = 1000, ROUNDS = 20000 };

static struct flow_index index_;

static void set_up(void)
{
	rcu_register_thread();
	ck_assert_int_eq(flow_index_init(&index_), 0);
}

static void tear_down(void)
{
	flow_index_destroy(&index_);
	rcu_unregister_thread();
}

static bool is_number(const void *ctx, uint32_t number)
{
	return *(const uint32_t *)ctx == number;
}

static bool nobody(const void *ctx, uint32_t number)
{
	(void)ctx;
	(void)number;
	return false;
}

static bool find(uint32_t hash, uint32_t number)
{
	const uint32_t found = flow_index_find(&index_, hash, is_number, &number);

	ck_assert(found == number || found == FLOW_INDEX_NONE);
	return found == number;
}

static void add(uint32_t hash, uint32_t number)
{
	ck_assert_uint_eq(flow_index_add(&index_, hash, number, is_number, &number), number);
}

START_TEST(empty)
{
	ck_assert(!find(0, 0));
	ck_assert(!find(UINT32_MAX, 0));
	ck_assert(!flow_index_remove(&index_, 0, 0));
}
END_TEST

START_TEST(added_and_removed)
{
	static const uint32_t hashes[] = { 0, 1, UINT32_MAX };

	for (uint32_t i = 0; i < 3; i++)
		add(hashes[i], i);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert(find(hashes[i], i));
		ck_assert(!find(hashes[i] + 5, i));
		ck_assert(!find(hashes[i], i + 1));
		ck_assert(!flow_index_remove(&index_, hashes[i], i + 1));
		ck_assert(flow_index_remove(&index_, hashes[i], i));
		ck_assert(!find(hashes[i], i));
		ck_assert(!flow_index_remove(&index_, hashes[i], i));
	}
}
END_TEST

static bool is_even(const void *ctx, uint32_t number)
{
	(void)ctx;
	return number % 2 == 0;
}

/* Entries of one hash exclude each other if they are the same. */
START_TEST(the_same_is_added_once)
{
	ck_assert_uint_eq(flow_index_add(&index_, 7, 3, is_even, NULL), 3);
	ck_assert_uint_eq(flow_index_add(&index_, 7, 4, is_even, NULL), 4);
	ck_assert_uint_eq(flow_index_add(&index_, 7, 6, is_even, NULL), 4);
	ck_assert_uint_eq(flow_index_add(&index_, 8, 6, is_even, NULL), 6);
	ck_assert(!find(7, 6));
}
END_TEST

/* All have the hash of the last line, so they fill the first lines too. They are found whichever of the others leave
 * first. */
START_TEST(one_hash_for_all)
{
	ck_assert_int_eq(flow_index_grow(&index_, CAPACITY), 0);
	for (uint32_t i = 0; i < CAPACITY; i++)
		ck_assert_uint_eq(flow_index_add(&index_, UINT32_MAX, i, nobody, NULL), i);
	for (uint32_t i = 0; i < CAPACITY; i++) {
		ck_assert(flow_index_remove(&index_, UINT32_MAX, i));
		ck_assert(!find(UINT32_MAX, i));
		for (uint32_t other = i + 1; other < CAPACITY; other += 97)
			ck_assert(find(UINT32_MAX, other));
	}
	/* No search has to pass a line for them any more. */
	for (size_t i = 0; i < index_.lines->count; i++)
		ck_assert_uint_eq(index_.lines->line[i].passed, 0);
}
END_TEST

START_TEST(as_full_as_it_gets)
{
	static uint32_t hash_of[CAPACITY];
	uint32_t dice = 1;

	ck_assert_int_eq(flow_index_grow(&index_, CAPACITY), 0);
	for (uint32_t i = 0; i < CAPACITY; i++)
		add(hash_of[i] = i * 2654435761u, i);
	for (int round = 0; round < ROUNDS; round++) {
		const uint32_t i = (dice = dice * 1664525 + 1013904223) >> 16, number = i % CAPACITY;

		ck_assert(flow_index_remove(&index_, hash_of[number], number));
		ck_assert(!find(hash_of[number], number));
		add(hash_of[number] = dice ^ (dice << 13), number);
	}
	for (uint32_t i = 0; i < CAPACITY; i++)
		ck_assert(find(hash_of[i], i));
}
END_TEST

START_TEST(grown)
{
	const struct flow_index_lines *lines;

	for (uint32_t i = 0; i < FLOW_INDEX_PER_LINE; i++)
		add(i << 29, i);
	ck_assert_int_eq(flow_index_grow(&index_, CAPACITY), 0);
	for (uint32_t i = 0; i < FLOW_INDEX_PER_LINE; i++)
		ck_assert(find(i << 29, i));
	lines = index_.lines;
	ck_assert_uint_gt(lines->count * FLOW_INDEX_PER_LINE, CAPACITY);
	ck_assert_int_eq(flow_index_grow(&index_, CAPACITY), 0);
	ck_assert_int_eq(flow_index_grow(&index_, 1), 0);
	ck_assert_ptr_eq(index_.lines, lines);
	ck_assert_int_eq(flow_index_grow(&index_, SIZE_MAX / 64), -ENOMEM);
	ck_assert_ptr_eq(index_.lines, lines);
}
END_TEST

static atomic_bool over, lost;

/* Entries that stay are found at any time. */
static void *search(void *arg)
{
	(void)arg;
	rcu_register_thread();
	while (!over) {
		for (uint32_t i = 0; i < CAPACITY / 2; i++)
			if (flow_index_find(&index_, i * 2654435761u, is_number, &i) != i)
				lost = true;
		rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return NULL;
}

static void *change(void *arg)
{
	(void)arg;
	rcu_register_thread();
	for (int round = 0; round < ROUNDS; round++) {
		const uint32_t number = CAPACITY / 2 + (uint32_t)round % (CAPACITY / 2), hash = number * 40503u << 16;

		if (!flow_index_remove(&index_, hash, number))
			flow_index_add(&index_, hash, number, is_number, &number);
		rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return NULL;
}

START_TEST(found_while_others_come_and_go_and_it_grows)
{
	pthread_t searching, changing;

	ck_assert_int_eq(flow_index_grow(&index_, CAPACITY), 0);
	for (uint32_t i = 0; i < CAPACITY / 2; i++)
		add(i * 2654435761u, i);
	ck_assert_int_eq(pthread_create(&searching, NULL, search, NULL), 0);
	ck_assert_int_eq(pthread_create(&changing, NULL, change, NULL), 0);
	for (size_t capacity = CAPACITY; capacity < 64 * CAPACITY; capacity += CAPACITY)
		ck_assert_int_eq(flow_index_grow(&index_, capacity), 0);
	rcu_thread_offline();
	pthread_join(changing, NULL);
	over = true;
	pthread_join(searching, NULL);
	rcu_thread_online();
	ck_assert(!lost);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, empty);
	tcase_add_test(tests, added_and_removed);
	tcase_add_test(tests, the_same_is_added_once);
	tcase_add_test(tests, one_hash_for_all);
	tcase_add_test(tests, as_full_as_it_gets);
	tcase_add_test(tests, grown);
	tcase_add_test(tests, found_while_others_come_and_go_and_it_grows);
}

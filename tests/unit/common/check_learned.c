/* The table of learned CIDs. A model says what would be right: a CID and the last two servers that gave it out. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/learned.h"
#include "tests/unit/suite.h"

enum { SMALL = LEARNED_MIN_CIDS, CID_OCTETS = 8, THREADS = 4, OF_A_THREAD = 20000 };

static const uint8_t secret[16] = { 1, 2, 3 };
static struct learned learned;
static void *memory;

static void begin(uint32_t max_cids)
{
	const size_t octets = learned_octets(max_cids);

	memory = aligned_alloc(64, (octets + 63) / 64 * 64);
	ck_assert_ptr_nonnull(memory);
	memset(memory, 0, octets);
	learned_begin(&learned, memory, max_cids, secret);
}

static void set_up(void)
{
	begin(SMALL);
}

static void tear_down(void)
{
	free(memory);
}

struct cid {
	uint8_t octets[LEARNED_CID_MAX];
};

static struct cid cid_of(uint32_t number)
{
	struct cid cid = { { 0xc1 } };

	memcpy(cid.octets + 1, &number, sizeof number);
	return cid;
}

static enum learned_added add(uint32_t number, uint16_t member)
{
	return learned_add(&learned, cid_of(number).octets, CID_OCTETS, member);
}

static bool find_len(uint32_t number, size_t len, struct learned_by *by)
{
	const struct cid cid = cid_of(number);
	const struct learned_place place = learned_look(&learned, cid.octets, len);

	return learned_find(&learned, &place, by);
}

static bool find(uint32_t number, struct learned_by *by)
{
	return find_len(number, CID_OCTETS, by);
}

/* With the members. */
START_TEST(cost)
{
	ck_assert_uint_le(learned_octets(1000000), 31 * 1000000);
	ck_assert_uint_eq(learned_octets(LEARNED_MAX_CIDS) / LEARNED_MAX_CIDS, 30);
}
END_TEST

START_TEST(one)
{
	struct learned_by by;

	ck_assert(!find(1, &by));
	ck_assert_int_eq(add(1, 7), LEARNED_ADDED);
	ck_assert_int_eq(add(1, 7), LEARNED_KNOWN);
	ck_assert(find(1, &by));
	ck_assert_uint_eq(by.last, 7);
	ck_assert_uint_eq(by.before, LEARNED_NOBODY);
	ck_assert(!find(2, &by));
	ck_assert(!find_len(1, CID_OCTETS - 1, &by));
	ck_assert(!find_len(1, CID_OCTETS + 1, &by));
	ck_assert_uint_eq(learned_count(&learned), 1);
}
END_TEST

/* Zeros behind a CID belong to it. */
START_TEST(every_length)
{
	const uint8_t zeros[LEARNED_CID_MAX] = { 0 };
	struct learned_by by;
	uint8_t len = (uint8_t)_i;

	ck_assert_int_eq(learned_add(&learned, zeros, len, 3), LEARNED_ADDED);
	ck_assert_uint_eq(learned_lengths(&learned), 1U << len);
	for (size_t other = 1; other <= LEARNED_CID_MAX; other++) {
		const struct learned_place place = learned_look(&learned, zeros, other);

		ck_assert_int_eq(learned_find(&learned, &place, &by), other == len);
	}
}
END_TEST

START_TEST(two_servers)
{
	struct learned_by by;

	add(1, 7);
	ck_assert_int_eq(add(1, 8), LEARNED_SHARED);
	ck_assert(find(1, &by));
	ck_assert_uint_eq(by.last, 8);
	ck_assert_uint_eq(by.before, 7);
	ck_assert_int_eq(add(1, 8), LEARNED_KNOWN);
	ck_assert_int_eq(add(1, 9), LEARNED_SHARED);
	ck_assert(find(1, &by));
	ck_assert_uint_eq(by.last, 9);
	ck_assert_uint_eq(by.before, 8);
	ck_assert_uint_eq(learned_count(&learned), 1);
	ck_assert_uint_eq(learned.counts.added, 1);
	ck_assert_uint_eq(learned.counts.shared, 2);
}
END_TEST

/* A fifth length waits until one of the four is gone. */
START_TEST(four_lengths)
{
	const bool nobody[LEARNED_MEMBERS] = { false };
	const struct cid cid = cid_of(1);

	for (size_t len = 4; len < 8; len++)
		ck_assert_int_eq(learned_add(&learned, cid.octets, len, 1), LEARNED_ADDED);
	ck_assert_int_eq(learned_add(&learned, cid.octets, 9, 1), LEARNED_REFUSED);
	ck_assert_uint_eq(learned.counts.refused, 1);
	learned_tidy(&learned);
	ck_assert_uint_eq(learned_lengths(&learned), 0xf0);
	learned_forget_members(&learned, nobody);
	ck_assert_uint_eq(learned_count(&learned), 0);
	learned_tidy(&learned);
	ck_assert_uint_eq(learned_lengths(&learned), 0);
	ck_assert_int_eq(learned_add(&learned, cid.octets, 9, 1), LEARNED_ADDED);
}
END_TEST

/* As many as it was made for are all there. */
START_TEST(room)
{
	struct learned_by by;

	tear_down();
	begin(_i ? 1000000 : 100000);
	for (uint32_t i = 0; i < (_i ? 1000000U : 100000U); i++)
		ck_assert_int_eq(add(i, (uint16_t)(i % 1000)), LEARNED_ADDED);
	ck_assert_uint_eq(learned.counts.evicted, 0);
	for (uint32_t i = 0; i < (_i ? 1000000U : 100000U); i++) {
		ck_assert(find(i, &by));
		ck_assert_uint_eq(by.last, i % 1000);
	}
}
END_TEST

/* Most of what somebody asks for stays, though others come that would fill the table 27 times. Without asking, nothing
 * would be left of it. */
START_TEST(asked_for)
{
	enum { ASKED = 100, OTHERS = 50 * SMALL };
	struct learned_by by;
	uint32_t stayed = 0, there = 0;

	for (uint32_t i = 0; i < ASKED; i++)
		add(i, 1);
	for (uint32_t i = 0; i < OTHERS; i++) {
		add(ASKED + i, 2);
		for (uint32_t j = 0; _i && i % 10 == 0 && j < ASKED; j++)
			find(j, &by);
	}
	for (uint32_t i = 0; i < ASKED; i++)
		stayed += find(i, &by) && by.last == 1;
	ck_assert_uint_ge(stayed, _i ? ASKED - 5 : 0);
	ck_assert_uint_le(stayed, _i ? ASKED : 0);
	for (uint32_t i = 0; i < ASKED + OTHERS; i++)
		there += find(i, &by);
	ck_assert_uint_eq(there, learned_count(&learned));
	ck_assert_uint_eq(learned.counts.added, ASKED + OTHERS);
	ck_assert_uint_eq(learned.counts.evicted, ASKED + OTHERS - there);
	ck_assert_uint_gt(there, SMALL);
}
END_TEST

START_TEST(members)
{
	const uint16_t a = learned_member(&learned, "a"), b = learned_member(&learned, "b");
	bool keep[LEARNED_MEMBERS] = { false };
	struct learned_by by;
	char name[16];

	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(learned_member(&learned, "a"), a);
	ck_assert_uint_eq(learned_member_known(&learned, "b"), b);
	ck_assert_uint_eq(learned_member_known(&learned, "c"), LEARNED_NOBODY);
	for (int i = 2; i < LEARNED_MEMBERS; i++) {
		snprintf(name, sizeof name, "m%d", i);
		ck_assert_uint_ne(learned_member(&learned, name), LEARNED_NOBODY);
	}
	ck_assert_uint_eq(learned_member(&learned, "one too many"), LEARNED_NOBODY);

	add(1, a);
	add(2, b);
	add(3, a), add(3, b);
	add(4, b), add(4, a);
	keep[a] = true;
	learned_forget_members(&learned, keep);
	ck_assert(find(1, &by) && !find(2, &by));
	for (uint32_t i = 3; i < 5; i++) {
		ck_assert(find(i, &by));
		ck_assert_uint_eq(by.last, a);
		ck_assert_uint_eq(by.before, LEARNED_NOBODY);
	}
	ck_assert_uint_eq(learned_count(&learned), 3);
	ck_assert_uint_eq(learned_member_known(&learned, "a"), a);
	ck_assert_uint_eq(learned_member_known(&learned, "b"), LEARNED_NOBODY);
	ck_assert_uint_ne(learned_member(&learned, "one too many"), LEARNED_NOBODY);
}
END_TEST

/* Whoever is found was added, with the server that each CID has here. */
static void *work(void *ctx)
{
	const uint32_t first = *(const uint32_t *)ctx * OF_A_THREAD;
	struct learned_by by;
	uintptr_t wrong = 0;

	for (uint32_t i = 0; i < OF_A_THREAD; i++) {
		add(first + i, (uint16_t)((first + i) % 1000));
		if (find(first + i / 2, &by))
			wrong += by.last != (first + i / 2) % 1000;
		if (find(i * THREADS, &by))
			wrong += by.last != i * THREADS % 1000;
	}
	return (void *)wrong;
}

START_TEST(many_threads)
{
	pthread_t threads[THREADS];
	uint32_t numbers[THREADS], there = 0;
	struct learned_by by;
	void *wrong;

	tear_down();
	begin(_i ? THREADS * OF_A_THREAD : SMALL);
	for (uint32_t i = 0; i < THREADS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_ptr_null(wrong);
	}
	for (uint32_t i = 0; i < THREADS * OF_A_THREAD; i++)
		if (find(i, &by)) {
			there++;
			ck_assert_uint_eq(by.last, i % 1000);
		}
	ck_assert_uint_eq(there, learned_count(&learned));
	if (_i)
		ck_assert_uint_eq(there, THREADS * OF_A_THREAD);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, cost);
	tcase_add_test(tests, one);
	tcase_add_loop_test(tests, every_length, 1, LEARNED_CID_MAX + 1);
	tcase_add_test(tests, two_servers);
	tcase_add_test(tests, four_lengths);
	tcase_add_loop_test(tests, room, 0, 2);
	tcase_add_loop_test(tests, asked_for, 0, 2);
	tcase_add_test(tests, members);
	tcase_add_loop_test(tests, many_threads, 0, 2);
}

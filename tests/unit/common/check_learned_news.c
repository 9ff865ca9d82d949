#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/learned_news.h"
#include "tests/unit/suite.h"

enum { THREADS = 4, OF_A_THREAD = 50000, SMALL = LEARNED_MIN_CIDS };

static struct learned_news *news;

static void set_up(void)
{
	news = calloc(1, sizeof *news);
	ck_assert_ptr_nonnull(news);
	learned_news_want(news, true);
}

static void tear_down(void)
{
	free(news);
}

static void post(uint32_t number, uint16_t member)
{
	learned_news_post(news, (const uint8_t *)&number, sizeof number, member);
}

static uint32_t number_of(const struct learned_new *what)
{
	uint32_t number;

	ck_assert_uint_eq(what->len, sizeof number);
	memcpy(&number, what->cid, sizeof number);
	return number;
}

START_TEST(in_order_and_bounded)
{
	struct learned_new what;

	for (uint32_t round = 0; round < 3; round++) {
		ck_assert(!learned_news_take(news, &what));
		for (uint32_t i = 0; i < LEARNED_NEWS + 5; i++)
			post(i, (uint16_t)round);
		ck_assert_uint_eq(learned_news_lost(news), 5 * (round + 1));
		for (uint32_t i = 0; i < LEARNED_NEWS; i++) {
			ck_assert(learned_news_take(news, &what));
			ck_assert_uint_eq(number_of(&what), i);
			ck_assert_uint_eq(what.member, round);
		}
	}
}
END_TEST

START_TEST(only_wanted)
{
	const uint8_t cid[LEARNED_CID_MAX + 1] = { 1 };
	struct learned_new what;

	learned_news_want(news, false);
	for (uint32_t i = 0; i < 2 * LEARNED_NEWS; i++)
		post(i, 0);
	ck_assert_uint_eq(learned_news_lost(news), 0);
	learned_news_want(news, true);
	ck_assert(!learned_news_take(news, &what));
	learned_news_post(news, cid, sizeof cid, 0);
	ck_assert(!learned_news_take(news, &what));
	learned_news_post(news, cid, LEARNED_CID_MAX, 7);
	ck_assert(learned_news_take(news, &what));
	ck_assert_uint_eq(what.len, LEARNED_CID_MAX);
	ck_assert_mem_eq(what.cid, cid, LEARNED_CID_MAX);
}
END_TEST

static void *post_many(void *thread)
{
	for (uint32_t i = 0; i < OF_A_THREAD; i++)
		post(i, (uint16_t)(uintptr_t)thread);
	return NULL;
}

/* What each thread posts comes once and in order, or is counted as lost. */
START_TEST(threads)
{
	pthread_t posting[THREADS];
	uint32_t next[THREADS] = { 0 }, taken = 0;
	struct learned_new what;

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&posting[i], NULL, post_many, (void *)i), 0);
	while (taken + learned_news_lost(news) < THREADS * OF_A_THREAD) {
		if (!learned_news_take(news, &what))
			continue;
		ck_assert_uint_lt(what.member, THREADS);
		ck_assert_uint_ge(number_of(&what), next[what.member]);
		next[what.member] = number_of(&what) + 1;
		taken++;
	}
	for (size_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(posting[i], NULL), 0);
	ck_assert(!learned_news_take(news, &what));
	ck_assert_uint_ge(taken, LEARNED_NEWS);
}
END_TEST

/* What the table posts: what changes it, and nothing that it was told. */
START_TEST(of_a_table)
{
	static const uint8_t secret[16] = { 1 }, cid[4] = "cids", other[4] = "else";
	const size_t octets = learned_octets(SMALL);
	void *memory = aligned_alloc(64, (octets + 63) / 64 * 64);
	struct learned_place place;
	struct learned_new what;
	struct learned learned;
	struct learned_by by;

	memset(memory, 0, octets);
	learned_begin(&learned, memory, SMALL, secret);
	learned.news = news;
	ck_assert_int_eq(learned_add(&learned, cid, 4, 1), LEARNED_ADDED);
	ck_assert_int_eq(learned_add(&learned, cid, 4, 1), LEARNED_KNOWN);
	ck_assert_int_eq(learned_add(&learned, cid, 4, 2), LEARNED_SHARED);
	ck_assert_int_eq(learned_add_told(&learned, other, 4, 3), LEARNED_ADDED);
	/* Both are known, and the last one stays that. */
	ck_assert_int_eq(learned_add_told(&learned, cid, 4, 1), LEARNED_KNOWN);
	ck_assert_int_eq(learned_add_told(&learned, cid, 4, 2), LEARNED_KNOWN);
	place = learned_look(&learned, cid, 4);
	ck_assert(learned_find(&learned, &place, &by));
	ck_assert(by.last == 2 && by.before == 1);
	for (uint16_t member = 1; member <= 2; member++) {
		ck_assert(learned_news_take(news, &what));
		ck_assert(what.member == member && what.len == 4 && memcmp(what.cid, cid, 4) == 0);
	}
	ck_assert(!learned_news_take(news, &what));
	free(memory);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, in_order_and_bounded);
	tcase_add_test(tests, only_wanted);
	tcase_add_test(tests, threads);
	tcase_add_test(tests, of_a_table);
}

#include "path/drops.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

static const struct siphash_key key = { 1, 2 };

static struct drop drop_of(uint32_t n, uint16_t port)
{
	struct drop drop = { .from = { .port = port }, .why.verdict = VERDICT_LIMITED, .service = 3, .last_s = 100 };

	memcpy(drop.from.ip + 12, &n, sizeof n);
	return drop;
}

START_TEST(found)
{
	struct drops *drops = calloc(1, sizeof *drops);
	struct drop a = drop_of(1, 5000), is;

	ck_assert(!drops_find(drops, &key, a.from.ip, &is));
	drops_note(drops, &key, &a);
	ck_assert(drops_find(drops, &key, a.from.ip, &is));
	ck_assert_uint_eq(is.times, 1);
	ck_assert_uint_eq(is.from.port, 5000);
	ck_assert_uint_eq(is.service, 3);
	ck_assert_uint_eq(is.last_s, 100);
	ck_assert(!is.why.refused && is.why.verdict == VERDICT_LIMITED);
	a.from.port = 5001;
	a.why = (struct drop_why){ .refused = true, .reason = REFUSED_FLOWS };
	a.last_s = 107;
	drops_note(drops, &key, &a);
	ck_assert(drops_find(drops, &key, a.from.ip, &is));
	ck_assert_uint_eq(is.times, 2);
	ck_assert_uint_eq(is.from.port, 5001);
	ck_assert_uint_eq(is.last_s, 107);
	ck_assert(is.why.refused && is.why.reason == REFUSED_FLOWS);
	ck_assert(!drops_find(drops, &key, drop_of(2, 5000).from.ip, &is));
	free(drops);
}
END_TEST

/* More addresses than slots: each that is found is the one that was asked for. */
START_TEST(others_take_the_slot)
{
	struct drops *drops = calloc(1, sizeof *drops);
	unsigned left = 0;

	for (uint32_t n = 0; n < 10 * DROPS_SLOTS; n++) {
		const struct drop drop = drop_of(n, (uint16_t)n);

		drops_note(drops, &key, &drop);
	}
	for (uint32_t n = 0; n < 10 * DROPS_SLOTS; n++) {
		struct drop is;

		if (!drops_find(drops, &key, drop_of(n, 0).from.ip, &is))
			continue;
		ck_assert_uint_eq(is.from.port, (uint16_t)n);
		ck_assert_uint_eq(is.times, 1);
		left++;
	}
	ck_assert_uint_le(left, DROPS_SLOTS);
	ck_assert_uint_gt(left, DROPS_SLOTS / 2);
	free(drops);
}
END_TEST

static struct drops shared;
static atomic_bool ends;

static void *write_on(void *arg)
{
	(void)arg;
	for (uint32_t n = 1; !atomic_load(&ends); n++) {
		struct drop drop = drop_of(7, (uint16_t)n);

		drop.service = (uint16_t)n;
		drop.last_s = (uint16_t)n;
		drops_note(&shared, &key, &drop);
	}
	return NULL;
}

/* Nothing is read half. */
START_TEST(read_while_written)
{
	const struct drop of = drop_of(7, 0);
	pthread_t writer;
	unsigned seen = 0;

	ck_assert_int_eq(pthread_create(&writer, NULL, write_on, NULL), 0);
	while (seen < 20000) {
		struct drop is;

		if (!drops_find(&shared, &key, of.from.ip, &is))
			continue;
		ck_assert_uint_eq(is.from.port, is.service);
		ck_assert_uint_eq(is.from.port, is.last_s);
		seen++;
	}
	atomic_store(&ends, true);
	ck_assert_int_eq(pthread_join(writer, NULL), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, found);
	tcase_add_test(tests, others_take_the_slot);
	tcase_add_test(tests, read_while_written);
}

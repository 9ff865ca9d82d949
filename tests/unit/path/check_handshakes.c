#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "path/handshakes.h"
#include "tests/fixtures/handshakes_seen.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

enum { THREADS = 4, SAME_SET = 16, ROUNDS = 50000 };

static const uint8_t secret[16] = { 7 };
static struct handshakes *handshakes;
static uint32_t now_s;

static void set_up(void)
{
	handshakes = handshakes_new(secret);
	ck_assert_ptr_nonnull(handshakes);
	now_s = 100000;
}

static void tear_down(void)
{
	handshakes_free(handshakes);
}

static uint64_t source_of(uint16_t pool, const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return handshakes_source(handshakes, pool, &addr);
}

/* The ith datagram of a handshake that was seen. */
static struct octets seen(int handshake, int i)
{
	return octets_of(handshakes_seen[handshake].datagrams[i] + 1);
}

static enum hello_step up(uint64_t source, const struct octets *in, uint16_t backend)
{
	const struct handshakes_datagram hello = { source, in->at, in->len, now_s };
	const enum hello_step step = handshakes_look(handshakes, &hello);

	handshakes_take(handshakes, &hello, backend);
	return step;
}

static void down(uint64_t source, const struct octets *in, uint16_t backend)
{
	handshakes_reply(handshakes, &(struct handshakes_datagram){ source, in->at, in->len, now_s }, backend);
}

static uint16_t hint(uint64_t source)
{
	return handshakes_hint(handshakes, source, now_s);
}

/* What is known of a source holds for its pool, address and port, and for HANDSHAKES_HINT_S. */
START_TEST(hints)
{
	const struct octets first = seen(0, 0);
	const uint64_t source = source_of(1, "192.0.2.1:4000");
	const uint64_t others[] = { source_of(2, "192.0.2.1:4000"),
				    source_of(1, "192.0.2.1:4001"),
				    source_of(1, "192.0.2.2:4000"),
				    source_of(1, "[2001:db8::1]:4000"),
				    source ^ 1 << 16,
				    source ^ UINT64_C(1) << 32 };

	ck_assert_uint_eq(hint(source), HANDSHAKES_NO_HINT);
	ck_assert_int_eq(up(source, &first, 42), HELLO_BEGINS);
	ck_assert_uint_eq(hint(source), 42);
	for (int i = 0; i < COUNT_OF(others); i++)
		ck_assert_uint_eq(hint(others[i]), HANDSHAKES_NO_HINT);
	now_s += HANDSHAKES_HINT_S;
	ck_assert_uint_eq(hint(source), 42);
	now_s++;
	ck_assert_uint_eq(hint(source), HANDSHAKES_NO_HINT);
	free(first.at);
}
END_TEST

/* As often as needed to see all entries. */
static void sweep_all(void)
{
	for (int i = 0; i < HANDSHAKES_ENTRIES / HANDSHAKES_SWEPT; i++)
		handshakes_sweep(handshakes, now_s);
}

/* In 16 bits of seconds, the same time as now is 18 hours ago. */
START_TEST(not_young_again)
{
	const struct octets first = seen(0, 0);
	uint64_t sources[64];

	for (int i = 0; i < COUNT_OF(sources); i++) {
		sources[i] = (uint64_t)i * 0x9e3779b97f4a7c15;
		ck_assert_int_eq(up(sources[i], &first, 42), HELLO_BEGINS);
	}
	now_s += HANDSHAKES_HINT_S + 1;
	sweep_all();
	now_s += (1 << 16) - (HANDSHAKES_HINT_S + 1);
	for (int i = 0; i < COUNT_OF(sources); i++) {
		ck_assert_uint_eq(hint(sources[i]), HANDSHAKES_NO_HINT);
		ck_assert_int_eq(up(sources[i], &first, 43), HELLO_BEGINS);
		ck_assert_uint_eq(hint(sources[i]), 43);
	}
	free(first.at);
}
END_TEST

/* Nor what was written by a thread whose clock is a second ahead. */
START_TEST(what_hints_is_not_swept)
{
	const struct octets first = seen(0, 0);
	const uint64_t source = source_of(1, "192.0.2.1:4000");

	up(source, &first, 42);
	now_s--;
	sweep_all();
	now_s++;
	ck_assert_uint_eq(hint(source), 42);
	now_s += HANDSHAKES_HINT_S;
	sweep_all();
	ck_assert_uint_eq(hint(source), 42);
	free(first.at);
}
END_TEST

/* A few at a time, and in the end all. */
START_TEST(swept_in_slices)
{
	enum { SLICES = HANDSHAKES_ENTRIES / HANDSHAKES_SWEPT };
	const struct octets first = seen(0, 0);
	const uint64_t last = HANDSHAKES_ENTRIES / 2 - 1; /* its set */

	for (int turn = 0; turn < 2; turn++) {
		up(last, &first, 42);
		now_s += HANDSHAKES_HINT_S + 1;
		for (int i = 0; i < SLICES - 1; i++)
			handshakes_sweep(handshakes, now_s);
		now_s -= HANDSHAKES_HINT_S + 1;
		ck_assert_uint_eq(hint(last), 42);
		now_s += HANDSHAKES_HINT_S + 1;
		handshakes_sweep(handshakes, now_s);
		now_s -= HANDSHAKES_HINT_S + 1;
		ck_assert_uint_eq(hint(last), HANDSHAKES_NO_HINT);
	}
	free(first.at);
}
END_TEST

/* Of every peer: the second ClientHello, its fragments too, goes on with what its first one began, and the cookie is
 * known. */
START_TEST(whole_handshake)
{
	const struct handshake_seen *handshake = &handshakes_seen[_i];
	const uint64_t source = source_of(1, "192.0.2.1:4000");

	for (int i = 0; handshake->datagrams[i]; i++) {
		const struct octets in = seen(_i, i);

		if (handshake->datagrams[i][0] == '>')
			ck_assert_int_eq(up(source, &in, 42), i == 0 ? HELLO_BEGINS : HELLO_GOES_ON);
		else
			down(source, &in, 42);
		ck_assert_uint_eq(hint(source), 42);
		free(in.at);
	}
}
END_TEST

/* The server that asked for the cookie is the one that can check it. */
START_TEST(cookie)
{
	const struct octets first = seen(0, 0), verify = seen(0, 1), second = seen(0, 2), other = seen(3, 0);
	const uint64_t source = source_of(1, "192.0.2.1:4000");

	down(source, &verify, 42);
	ck_assert_uint_eq(hint(source), HANDSHAKES_NO_HINT);
	up(source, &first, 42);
	down(source, &verify, 43);
	ck_assert_uint_eq(hint(source), 43);
	/* Somebody spoofs the source. What the device repeats is known all the same. */
	ck_assert_int_eq(up(source, &other, 42), HELLO_BEGINS);
	ck_assert_int_eq(up(source, &second, 43), HELLO_GOES_ON);
	free(first.at);
	free(verify.at);
	free(second.at);
	free(other.at);
}
END_TEST

/* Sources of one set. The two halves of their tags are not in the other ones. */
static uint64_t of_one_set(uint64_t i)
{
	return 5 | (i + 1) << 16 | (i + 101) << 32;
}

static void take_all(const int which[], int count, const struct octets *hello)
{
	for (int i = 0; i < count; i++, now_s++)
		up(of_one_set((uint64_t)which[i]), hello, (uint16_t)which[i]);
}

static void expect(int a, int b)
{
	for (int i = 0; i < SAME_SET; i++)
		ck_assert_msg(hint(of_one_set((uint64_t)i)) == (i == a || i == b ? i : HANDSHAKES_NO_HINT), "%d", i);
}

START_TEST(two_to_a_set)
{
	const struct octets first = seen(0, 0), verify = seen(0, 1), second = seen(0, 2);

	take_all((int[]){ 0, 1 }, 2, &first);
	expect(0, 1);
	take_all((int[]){ 2 }, 1, &first); /* the older one goes */
	expect(1, 2);
	take_all((int[]){ 1 }, 1, &first); /* a repetition takes no place, and makes nothing younger */
	expect(1, 2);
	take_all((int[]){ 3 }, 1, &first);
	expect(2, 3);
	/* Whose source is real stays, */
	down(of_one_set(2), &verify, 2);
	up(of_one_set(2), &second, 2);
	take_all((int[]){ 4, 5, 6 }, 3, &first);
	expect(2, 6);
	/* but not longer than it matters. */
	now_s += HELLO_LIFE_S;
	take_all((int[]){ 7, 8 }, 2, &first);
	expect(7, 8);
	free(first.at);
	free(verify.at);
	free(second.at);
}
END_TEST

START_TEST(the_older_of_two_that_are_real)
{
	const struct octets first = seen(0, 0), verify = seen(0, 1), second = seen(0, 2);

	for (int i = 0; i < 2; i++, now_s++) {
		up(of_one_set((uint64_t)i), &first, (uint16_t)i);
		down(of_one_set((uint64_t)i), &verify, (uint16_t)i);
		up(of_one_set((uint64_t)i), &second, (uint16_t)i);
	}
	take_all((int[]){ 2 }, 1, &first);
	expect(1, 2);
	free(first.at);
	free(verify.at);
	free(second.at);
}
END_TEST

static atomic_bool hammer_failed;

static void *hammer(void *seed)
{
	uint64_t dice = (uint64_t)(uintptr_t)seed * 0x9e3779b97f4a7c15u + 1;
	const struct octets first = seen(0, 0), verify = seen(0, 1);

	for (int i = 0; i < ROUNDS; i++) {
		dice = dice * 6364136223846793005u + 1442695040888963407u;
		const uint64_t which = dice >> 40 & 3, source = of_one_set(which);
		const uint16_t got = hint(source);

		if (got != HANDSHAKES_NO_HINT && got != which)
			hammer_failed = true;
		if (dice >> 50 & 1)
			up(source, &first, (uint16_t)which);
		else
			down(source, &verify, (uint16_t)which);
	}
	free(first.at);
	free(verify.at);
	return NULL;
}

static atomic_bool hammer_ends;

/* All is too old for it. */
static void *sweep_on(void *unused)
{
	(void)unused;
	while (!hammer_ends)
		handshakes_sweep(handshakes, now_s + HANDSHAKES_HINT_S + 1);
	return NULL;
}

/* Two sources share the two ways with two others. Nobody reads what belongs to another. */
START_TEST(threads_at_once)
{
	pthread_t threads[THREADS], sweeper;

	hammer_ends = false;
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)), 0);
	if (_i)
		ck_assert_int_eq(pthread_create(&sweeper, NULL, sweep_on, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	hammer_ends = true;
	if (_i)
		pthread_join(sweeper, NULL);
	ck_assert(!hammer_failed);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, hints);
	tcase_add_test(tests, not_young_again);
	tcase_add_test(tests, what_hints_is_not_swept);
	tcase_add_test(tests, swept_in_slices);
	tcase_add_loop_test(tests, whole_handshake, 0, COUNT_OF(handshakes_seen));
	tcase_add_test(tests, cookie);
	tcase_add_test(tests, two_to_a_set);
	tcase_add_test(tests, the_older_of_two_that_are_real);
	tcase_add_loop_test(tests, threads_at_once, 0, 2); /* the second time with one that sweeps */
}

/* Who must go, out of descriptors made by hand. The test keeps books of its own. */
#include <stdlib.h>
#include <string.h>

#include "flows/flow_arena.h"
#include "flows/flow_classes.h"
#include "tests/unit/suite.h"

enum { DESCRIPTORS = 4096, MOST = 8 * FLOW_CLASS_SAMPLE /* so the choice among handshakes is exact */ };

static struct flow_arena arena;
static struct flow_classes classes;
static uint32_t now_ms;

/* By number of the flow. */
static struct {
	struct flow *flow;
	int class; /* -1: in none */
	uint64_t prefix, age;
} books[DESCRIPTORS];
static uint64_t ages;

static void set_up(void)
{
	flow_arena_init(&arena);
	ck_assert_int_eq(flow_arena_grow(&arena, DESCRIPTORS), 0);
	flow_classes_init(&classes, &arena);
	ck_assert_int_eq(flow_classes_limit(&classes, MOST), 0);
	memset(books, 0, sizeof books);
	for (size_t i = 0; i < DESCRIPTORS; i++) {
		struct flow *flow = flow_arena_take(&arena);

		flow->member_at = FLOW_CLASS_NONE;
		books[flow->number].flow = flow;
		books[flow->number].class = -1;
	}
	now_ms = UINT32_MAX - 20000; /* it wraps soon */
	ages = 0;
}

static void tear_down(void)
{
	flow_classes_destroy(&classes);
	for (size_t i = 0; i < DESCRIPTORS; i++)
		flow_arena_return(&arena, books[i].flow);
	flow_arena_destroy(&arena);
}

static void left(struct flow *flow)
{
	if (!flow)
		return;
	if (books[flow->number].class < 0 || flow->member_at != FLOW_CLASS_NONE)
		ck_abort_msg("it was in no class, or still is");
	books[flow->number].class = -1;
}

/* Returns who must go for a new flow, -1: nobody. */
static int64_t add(uint32_t number, uint64_t prefix)
{
	struct flow *flow = books[number].flow, *leaving;

	ck_assert_int_eq(books[number].class, -1);
	flow->class = FLOW_CLASS_HANDSHAKE;
	atomic_store(&flow->last_ms, now_ms);
	leaving = flow_classes_add(&classes, flow, prefix, now_ms);
	left(leaving);
	books[number].class = FLOW_CLASS_HANDSHAKE;
	books[number].prefix = prefix;
	books[number].age = ++ages;
	return leaving ? (int64_t)leaving->number : -1;
}

static int64_t move(uint32_t number, enum flow_class to)
{
	struct flow *leaving = flow_classes_move(&classes, books[number].flow, to, now_ms);

	left(leaving);
	if (books[number].class >= 0)
		books[number].class = (int)to;
	return leaving ? (int64_t)leaving->number : -1;
}

static void take_out(uint32_t number)
{
	flow_classes_remove(&classes, books[number].flow);
	books[number].class = -1;
}

static uint32_t count_of(enum flow_class class)
{
	uint32_t count = 0;

	for (size_t i = 0; i < DESCRIPTORS; i++)
		count += books[i].class == (int)class;
	return count;
}

static void assert_books(void)
{
	for (enum flow_class class = 0; class < FLOW_CLASSES; class ++)
		ck_assert_uint_eq(classes.counts[class], count_of(class));
	for (size_t i = 0; i < DESCRIPTORS; i++)
		if (books[i].class >= 0 && books[i].flow->class != books[i].class)
			ck_abort_msg("flow %zu is in class %d, not %d", i, books[i].flow->class, books[i].class);
}

static uint32_t of_prefix(uint64_t prefix)
{
	uint32_t count = 0;

	for (size_t i = 0; i < DESCRIPTORS; i++)
		count += books[i].class == FLOW_CLASS_HANDSHAKE && books[i].prefix == prefix;
	return count;
}

static int64_t oldest_of(uint64_t prefix)
{
	int64_t oldest = -1;

	for (size_t i = 0; i < DESCRIPTORS; i++)
		if (books[i].class == FLOW_CLASS_HANDSHAKE && books[i].prefix == prefix &&
		    (oldest < 0 || books[i].age < books[oldest].age))
			oldest = (int64_t)i;
	return oldest;
}

START_TEST(names)
{
	static const char *const expected[FLOW_CLASSES] = { "handshake", "address", "cid" };

	for (enum flow_class class = 0; class < FLOW_CLASSES; class ++)
		ck_assert_str_eq(flow_class_name(class), expected[class]);
}
END_TEST

START_TEST(handshakes_are_an_eighth)
{
	static const uint32_t of[][2] = { { 0, 0 }, { 1, 1 }, { 8, 1 }, { 9, 2 }, { 64, 8 }, { UINT32_MAX, 1 << 29 } };

	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		ck_assert_uint_eq(flow_handshakes_most(of[i][0]), of[i][1]);
	for (uint32_t n = 0; n < 10 * FLOW_CLASS_SAMPLE; n++) {
		const int64_t leaving = add(n, n);

		ck_assert_int_eq(leaving >= 0, n >= FLOW_CLASS_SAMPLE);
	}
	assert_books();
	ck_assert_uint_eq(count_of(FLOW_CLASS_HANDSHAKE), FLOW_CLASS_SAMPLE);
}
END_TEST

static int64_t silent_longest(void)
{
	int64_t silent = -1;

	for (uint32_t i = 0; i < DESCRIPTORS; i++)
		if (books[i].class >= 0 &&
		    (silent < 0 || now_ms - books[i].flow->last_ms > now_ms - books[silent].flow->last_ms))
			silent = i;
	return silent;
}

/* Silent is who neither sent nor got anything, however old it is. */
START_TEST(silent_longest_goes)
{
	for (uint32_t n = 0; n < FLOW_CLASS_SAMPLE; n++) {
		now_ms++;
		add(n, n);
	}
	for (uint32_t n = FLOW_CLASS_SAMPLE; n < 1000; n++) {
		uint32_t speaks = (uint32_t)rand() % n;

		now_ms += 997;
		while (books[speaks].class < 0)
			speaks = (speaks + 1) % n;
		atomic_store(&books[speaks].flow->last_ms, now_ms);
		now_ms++;
		const int64_t silent = silent_longest();

		ck_assert_int_eq(add(n, n), silent);
	}
	assert_books();
}
END_TEST

/* Of a large class a sample is compared. */
START_TEST(one_of_those_that_are_silent_goes)
{
	enum { LARGE = 1024 };

	ck_assert_int_eq(flow_classes_limit(&classes, 8 * LARGE), 0);
	for (uint32_t n = 0; n < LARGE; n++) {
		now_ms++;
		add(n, n);
	}
	for (uint32_t n = 0; n < LARGE / 2; n++) {
		const int64_t leaving = add(LARGE + n, LARGE + n);
		uint32_t longer = 0;

		ck_assert_int_ge(leaving, 0);
		for (uint32_t i = 0; i < LARGE; i++)
			longer += books[i].class >= 0 && books[i].age < books[leaving].age;
		/* Less than 0.8^64 = 6e-7 that none of a sample is among the fifth that was silent longest. */
		ck_assert_uint_lt(longer, LARGE / 5);
	}
	assert_books();
}
END_TEST

/* One prefix floods. It has half of the class, and what it takes beyond is its own. */
START_TEST(prefix_has_its_share)
{
	const uint32_t most = flow_handshakes_most(MOST), half = most / 2 + 1;
	int64_t leaving;

	for (uint32_t n = 0; n < 1000; n++) {
		const int64_t oldest = oldest_of(1);

		leaving = add(n, 1);
		ck_assert_int_eq(leaving, n < half ? -1 : oldest);
	}
	ck_assert_uint_eq(of_prefix(1), half);
	/* Others find room, and keep it while the flood goes on. */
	for (uint32_t n = 1000; n < 1000 + most - half; n++) {
		ck_assert_int_eq(add(n, n), -1);
		ck_assert_uint_eq(books[add(n + 1000, 1)].prefix, 1);
	}
	ck_assert_uint_eq(of_prefix(1), half);
	for (uint32_t n = 1000; n < 1000 + most - half; n++)
		ck_assert_int_eq(books[n].class, FLOW_CLASS_HANDSHAKE);
	assert_books();
}
END_TEST

/* Two prefixes flood: each next one has at most half of what is free. */
START_TEST(next_prefix_has_half_of_what_is_free)
{
	const uint32_t most = flow_handshakes_most(MOST);
	uint32_t number = 0, had = 0;

	for (uint64_t prefix = 1; prefix < 6; prefix++) {
		const uint32_t before = count_of(FLOW_CLASS_HANDSHAKE);

		for (int i = 0; i < 200; i++)
			add(number++, prefix);
		had = of_prefix(prefix);
		if (prefix > 1)
			ck_assert_uint_le(2 * had, most - before);
		ck_assert_uint_gt(had, 0);
	}
	assert_books();
}
END_TEST

/* Handshakes cost no session, however many there are. */
START_TEST(handshakes_never_take_from_sessions)
{
	for (uint32_t n = 0; n < MOST; n++) {
		add(n, n);
		ck_assert_int_eq(move(n, n % 2 ? FLOW_CLASS_CID : FLOW_CLASS_ADDRESS), -1);
	}
	now_ms += 3600000;
	for (uint32_t n = MOST; n < DESCRIPTORS; n++) {
		const int64_t leaving = add(n, n % 3);

		if (leaving >= 0 && leaving < MOST)
			ck_abort_msg("a session had to go");
	}
	ck_assert_uint_eq(count_of(FLOW_CLASS_CID) + count_of(FLOW_CLASS_ADDRESS), MOST);
	assert_books();
}
END_TEST

/* Class cid and address are max_flows together. A full one gives up the one of its own that was silent longest. */
START_TEST(own_class_gives_way)
{
	const enum flow_class own = _i ? FLOW_CLASS_CID : FLOW_CLASS_ADDRESS;
	const enum flow_class other = _i ? FLOW_CLASS_ADDRESS : FLOW_CLASS_CID;

	ck_assert_int_eq(flow_classes_limit(&classes, FLOW_CLASS_SAMPLE), 0);
	for (uint32_t n = 0; n < FLOW_CLASS_SAMPLE; n++) {
		add(n, n);
		ck_assert_int_eq(move(n, n < 30 ? other : own), -1);
		now_ms += 10;
	}
	/* The others were silent longer. */
	for (uint32_t n = 0; n < 500; n++) {
		add(FLOW_CLASS_SAMPLE + n, n);
		now_ms += 10;
		ck_assert_int_eq(move(FLOW_CLASS_SAMPLE + n, own), 30 + n);
	}
	ck_assert_uint_eq(count_of(other), 30);
	assert_books();
}
END_TEST

/* Addresses have filled the table. They take from sessions with a CID only while there are no others, and give way to
 * them until they have half. */
START_TEST(addresses_give_way)
{
	ck_assert_int_eq(flow_classes_limit(&classes, FLOW_CLASS_SAMPLE), 0);
	for (uint32_t n = 0; n < FLOW_CLASS_SAMPLE; n++) {
		add(n, n);
		move(n, FLOW_CLASS_ADDRESS);
		now_ms += 10;
	}
	for (uint32_t n = 0; n < 500; n++) {
		add(FLOW_CLASS_SAMPLE + n, n);
		now_ms += 10;
		ck_assert_int_eq(move(FLOW_CLASS_SAMPLE + n, FLOW_CLASS_CID),
				 n < FLOW_CLASS_SAMPLE / 2 ? n : FLOW_CLASS_SAMPLE / 2 + n);
	}
	ck_assert_uint_eq(count_of(FLOW_CLASS_ADDRESS), FLOW_CLASS_SAMPLE / 2);
	add(1000, 1000);
	ck_assert_int_eq(move(1000, FLOW_CLASS_ADDRESS), FLOW_CLASS_SAMPLE / 2);
	assert_books();
}
END_TEST

START_TEST(only_sessions_give_way)
{
	ck_assert_int_eq(flow_classes_limit(&classes, FLOW_CLASS_SAMPLE), 0);
	for (uint32_t n = 0; n < FLOW_CLASS_SAMPLE; n++) {
		add(n, n);
		move(n, FLOW_CLASS_CID);
		now_ms += 10;
	}
	add(100, 100);
	ck_assert_int_eq(move(100, FLOW_CLASS_ADDRESS), 0);
	/* Now it has one. */
	add(101, 101);
	ck_assert_int_eq(move(101, FLOW_CLASS_ADDRESS), 100);
	assert_books();
}
END_TEST

START_TEST(moved_and_removed)
{
	add(1, 1);
	ck_assert_int_eq(move(1, FLOW_CLASS_ADDRESS), -1);
	ck_assert_int_eq(move(1, FLOW_CLASS_ADDRESS), -1);
	assert_books();
	ck_assert_int_eq(move(1, FLOW_CLASS_CID), -1);
	assert_books();
	take_out(1);
	assert_books();
	/* In no class it stays in none. */
	ck_assert_int_eq(move(1, FLOW_CLASS_CID), -1);
	take_out(1);
	assert_books();
	add(1, 1);
	assert_books();
}
END_TEST

/* max_flows changes while flows live. The oldest of a prefix stays the oldest. */
START_TEST(resized)
{
	static const uint32_t sizes[] = { 4 * MOST, MOST, 2 * MOST, MOST / 2, MOST };

	for (uint32_t n = 0; n < 60; n++)
		add(n, n % 3);
	for (uint32_t n = 0; n < 30; n += 2)
		take_out(n);
	for (uint32_t n = 100; n < 140; n++) {
		add(n, n);
		move(n, n % 4 ? FLOW_CLASS_CID : FLOW_CLASS_ADDRESS);
	}
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		ck_assert_int_eq(flow_classes_limit(&classes, sizes[i]), 0);
		ck_assert_uint_eq(classes.most, sizes[i]);
		assert_books();
	}
	for (uint32_t n = 200; n < 1000; n++) {
		const int64_t oldest = oldest_of(n % 3), leaving = add(n, n % 3);

		if (leaving >= 0 && leaving != oldest)
			ck_abort_msg("%d goes, not the oldest, which is %d", (int)leaving, (int)oldest);
	}
	assert_books();
}
END_TEST

/* A lower limit ends nobody at once, and lets nobody in without another one that goes. */
START_TEST(shrunk_below_what_there_is)
{
	for (uint32_t n = 0; n < MOST; n++) {
		add(n, n);
		move(n, n % 2 ? FLOW_CLASS_CID : FLOW_CLASS_ADDRESS);
	}
	for (uint32_t n = MOST; n < MOST + 64; n++)
		add(n, n);
	ck_assert_int_eq(flow_classes_limit(&classes, 8), 0);
	assert_books();
	ck_assert_uint_eq(count_of(FLOW_CLASS_HANDSHAKE), 64);
	for (uint32_t n = MOST + 64; n < MOST + 124; n++) {
		ck_assert_int_ge(add(n, n), 0);
		ck_assert_int_ge(move(n, FLOW_CLASS_CID), 0);
	}
	ck_assert_uint_le(count_of(FLOW_CLASS_CID) + count_of(FLOW_CLASS_ADDRESS), MOST);
	/* The pool is gone, or gets no flows any more. */
	ck_assert_int_eq(flow_classes_limit(&classes, 0), 0);
	assert_books();
	for (uint32_t n = 0; n < DESCRIPTORS; n++)
		if (books[n].class >= 0)
			take_out(n);
	assert_books();
	add(1, 1);
	ck_assert_int_eq(add(2, 2), 1);
	move(2, FLOW_CLASS_CID);
	add(3, 3);
	ck_assert_int_eq(move(3, FLOW_CLASS_ADDRESS), 2);
	assert_books();
}
END_TEST

/* Whoever only begins handshakes ends none that is finished, as long as there are others: neither by its own prefix nor
 * from everywhere, also after a change of max_flows. */
START_TEST(finished_go_last)
{
	const uint32_t half = FLOW_CLASS_SAMPLE / 2;

	for (uint32_t n = 0; n < half; n++) {
		add(n, 7);
		flow_classes_finish(&classes, books[n].flow);
		flow_classes_finish(&classes, books[n].flow);
	}
	now_ms += 1000;
	for (uint32_t n = half; n < 1000; n++)
		add(n, n < 500 ? 7 : n);
	ck_assert_int_eq(flow_classes_limit(&classes, 2 * MOST), 0);
	ck_assert_int_eq(flow_classes_limit(&classes, MOST), 0);
	for (uint32_t n = 1000; n < 2000; n++)
		add(n, n < 1500 ? 7 : n);
	assert_books();
	for (uint32_t n = 0; n < half; n++)
		ck_assert_int_eq(books[n].class, FLOW_CLASS_HANDSHAKE);
	/* Only finished ones are left: the one that was silent longest goes. */
	for (uint32_t n = half; n < 2000; n++)
		if (books[n].class >= 0)
			flow_classes_finish(&classes, books[n].flow);
	atomic_store(&books[3].flow->last_ms, now_ms - 5000);
	ck_assert_int_eq(add(2000, 7), 3);
	/* A flow in another class is none of a handshake. */
	move(2000, FLOW_CLASS_CID);
	flow_classes_finish(&classes, books[2000].flow);
	assert_books();
}
END_TEST

static uint32_t below(uint32_t limit)
{
	return (uint32_t)rand() % limit;
}

static void any_operation(void)
{
	const uint32_t n = below(700);

	now_ms += below(50);
	if (books[n].class < 0)
		add(n, below(3) ? below(4) : n);
	else if (below(3) == 0)
		take_out(n);
	else if (books[n].class == FLOW_CLASS_HANDSHAKE && below(2))
		flow_classes_finish(&classes, books[n].flow);
	else if (books[n].class == FLOW_CLASS_HANDSHAKE)
		move(n, below(2) ? FLOW_CLASS_CID : FLOW_CLASS_ADDRESS);
	else if (below(2))
		move(n, FLOW_CLASS_CID);
	else
		atomic_store(&books[n].flow->last_ms, now_ms);
}

START_TEST(any_operations)
{
	uint32_t most = 256;

	srand((unsigned)_i);
	ck_assert_int_eq(flow_classes_limit(&classes, most), 0);
	for (int i = 0; i < 100000; i++) {
		any_operation();
		if (i % 500 == 0) {
			assert_books();
			ck_assert_uint_le(count_of(FLOW_CLASS_HANDSHAKE), flow_handshakes_most(most));
			ck_assert_uint_le(count_of(FLOW_CLASS_CID) + count_of(FLOW_CLASS_ADDRESS), most);
		}
		if (i % 5000 == 0) {
			most += 8 * below(20);
			ck_assert_int_eq(flow_classes_limit(&classes, most), 0);
		}
	}
	for (uint32_t n = 0; n < DESCRIPTORS; n++)
		if (books[n].class >= 0)
			take_out(n);
	assert_books();
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, names);
	tcase_add_test(tests, handshakes_are_an_eighth);
	tcase_add_test(tests, silent_longest_goes);
	tcase_add_test(tests, one_of_those_that_are_silent_goes);
	tcase_add_test(tests, prefix_has_its_share);
	tcase_add_test(tests, next_prefix_has_half_of_what_is_free);
	tcase_add_test(tests, handshakes_never_take_from_sessions);
	tcase_add_loop_test(tests, own_class_gives_way, 0, 2);
	tcase_add_test(tests, addresses_give_way);
	tcase_add_test(tests, only_sessions_give_way);
	tcase_add_test(tests, moved_and_removed);
	tcase_add_test(tests, resized);
	tcase_add_test(tests, finished_go_last);
	tcase_add_test(tests, shrunk_below_what_there_is);
	tcase_add_loop_test(tests, any_operations, 1, 4);
}

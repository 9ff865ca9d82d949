/* A table of learned CIDs that another process takes up: what it finds whole, half written and damaged. */
#include "tests/fixtures/learned_bed.h"
#include "tests/unit/suite.h"

enum { SMALL = LEARNED_MIN_CIDS, DAMAGES = 1500, LINE = 64, PAGE = 4096 };

static const uint8_t secret[16] = { 1, 2, 3 };
static struct learned learned;
static struct bed_members members;
static uint8_t *file, *loaded;
static size_t octets;

static void begin(uint32_t max_cids)
{
	octets = learned_octets(max_cids);
	file = bed_memory(octets);
	loaded = bed_memory(octets);
	learned_begin(&learned, file, max_cids, secret);
	members = bed_name(&learned);
}

static void set_up(void)
{
	begin(SMALL);
}

static void tear_down(void)
{
	free(file);
	free(loaded);
}

static void learn(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		bed_learn(&learned, &members, i);
}

START_TEST(taken_up)
{
	struct learned again;
	uint8_t cid[BED_CID_OCTETS];

	if (_i)
		learned_load(&learned, loaded);
	learn(SMALL);
	bed_cid(cid, 1);
	learned_add(&learned, cid, 5, members.of[3]);
	ck_assert_ptr_null(learned_resume(&again, file, octets));
	ck_assert_uint_eq(learned_count(&again), SMALL + 1);
	ck_assert_uint_eq(learned_lengths(&again), 1U << BED_CID_OCTETS | 1U << 5);
	ck_assert_uint_eq(learned_max_cids(&again), SMALL);
	members = bed_name(&again);
	for (uint32_t i = 0; i < SMALL; i++)
		ck_assert(bed_check(&again, &members, i));
}
END_TEST

/* What is looked up is one thing with what is kept: after every kind of change, also where the table is too small. */
START_TEST(loaded_and_kept)
{
	bool keep[LEARNED_MEMBERS] = { false };
	struct learned again;
	struct learned_by one, other;

	learn(100);
	learned_load(&learned, loaded);
	learn(_i ? 20 * SMALL : SMALL);
	ck_assert_int_eq(learned.counts.evicted > 0, _i);
	keep[members.of[3]] = keep[members.of[4]] = true;
	learned_forget_members(&learned, keep);
	ck_assert_uint_ne(learned_member(&learned, "one more"), LEARNED_NOBODY);
	for (uint32_t i = 0; i < SMALL; i++)
		bed_find(&learned, i, &one);
	ck_assert_ptr_null(learned_resume(&again, file, octets));
	ck_assert_uint_eq(learned_count(&again), learned_count(&learned));
	ck_assert_uint_gt(learned_count(&again), SMALL / 10);
	ck_assert_uint_eq(learned_member_known(&again, "one more"), learned_member_known(&learned, "one more"));
	for (uint32_t i = 0; i < 20 * SMALL; i++) {
		const bool there = bed_find(&learned, i, &one);

		ck_assert_int_eq(bed_find(&again, i, &other), there);
		if (there)
			ck_assert(one.last == other.last && one.before == other.before);
	}
}
END_TEST

/* Looking up writes nothing to the memory that it was loaded from: a file. */
START_TEST(look_ups_write_nothing)
{
	uint8_t *before = bed_memory(octets);
	struct learned_by by;

	learn(SMALL);
	learned_load(&learned, loaded);
	memcpy(before, file, octets);
	for (uint32_t i = 0; i < SMALL; i++)
		ck_assert(bed_find(&learned, i, &by));
	ck_assert_mem_eq(before, file, octets);
	ck_assert_mem_ne(before, loaded, octets);
	free(before);
}
END_TEST

/* A table for more CIDs, or for fewer: as many as have room. */
START_TEST(copied)
{
	enum { MANY = 2 * SMALL - 200 };
	const uint32_t had = _i ? SMALL : MANY;
	struct learned from;
	uint8_t *old = NULL;
	uint32_t there = 0;

	tear_down();
	begin(_i ? SMALL : 2 * SMALL);
	learn(had);
	from = learned;
	old = file;
	free(loaded);
	octets = learned_octets(_i ? 2 * SMALL : SMALL);
	file = bed_memory(octets);
	loaded = bed_memory(octets);
	learned_begin(&learned, file, _i ? 2 * SMALL : SMALL, learned_secret(&from));
	learned_copy(&learned, &from);
	free(old);
	members = bed_name(&learned);
	ck_assert_uint_eq(learned_lengths(&learned), 1U << BED_CID_OCTETS);
	for (uint32_t i = 0; i < had; i++)
		there += bed_check(&learned, &members, i);
	ck_assert_uint_eq(there, learned_count(&learned));
	ck_assert_uint_eq(there + learned.counts.evicted, had);
	ck_assert(!_i || there == had);
	ck_assert_ptr_null(learned_resume(&learned, file, octets));
}
END_TEST

static uint64_t roll;

static uint32_t below(size_t limit)
{
	roll = roll * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((roll >> 32) * limit >> 32);
}

/* Other values in so many octets of `at`. */
static void fill(uint8_t *at, size_t count, unsigned how)
{
	for (size_t i = 0; i < count; i++)
		at[i] = how == 0 ? 0 : how == 1 ? 0xff : (uint8_t)below(256);
}

static void damage(uint8_t *at)
{
	const unsigned kind = below(5);
	uint8_t page[PAGE];
	size_t one, other, length = 1 + below(PAGE);

	switch (kind) {
	case 0: /* a few bits */
		for (unsigned i = 1 + below(4); i > 0; i--)
			at[below(octets)] ^= (uint8_t)(1U << below(8));
		break;
	case 1: /* octets */
		fill(at + below(octets - PAGE), length, below(3));
		break;
	case 2: /* a page that was not written, or was written in part */
		one = below(octets / PAGE) * PAGE;
		fill(at + one, below(2) ? PAGE : 512, below(3));
		break;
	case 3: /* a page in the place of another */
		one = below(octets / PAGE) * PAGE;
		other = below(octets / PAGE) * PAGE;
		memcpy(page, at + one, PAGE);
		memcpy(at + one, at + other, PAGE);
		memcpy(at + other, page, PAGE);
		break;
	default: /* a line in that of another */
		one = below(octets / LINE) * LINE;
		other = below(octets / LINE) * LINE;
		memmove(at + other, at + one, LINE);
		break;
	}
}

/* Whatever is written over it, and wherever: it is refused, or no CID leads to a server that has not given it out. That
 * is asked of the names that a process takes it up with, as numbers are given out anew. */
START_TEST(damaged)
{
	uint8_t *whole = bed_memory(octets);
	uint32_t refused = 0, lost = 0;
	struct learned again;

	roll = (uint64_t)_i + 1;
	learn(_i % 2 ? SMALL : SMALL / 4);
	memcpy(whole, file, octets);
	for (int i = 0; i < DAMAGES; i++) {
		memcpy(file, whole, octets);
		damage(file);
		if (learned_resume(&again, file, octets)) {
			refused++;
			continue;
		}
		members = bed_name(&again);
		for (uint32_t number = 0; number < SMALL; number++)
			lost += !bed_check(&again, &members, number);
	}
	ck_assert_uint_gt(refused, DAMAGES / 3);
	ck_assert_uint_lt(refused, DAMAGES);
	ck_assert_uint_gt(lost, 0);
	free(whole);
}
END_TEST

/* Of one bit all is known: it is refused, or nothing is lost. */
START_TEST(one_bit)
{
	uint32_t refused = 0;
	struct learned again;

	learn(SMALL);
	roll = 1;
	for (int i = 0; i < DAMAGES; i++) {
		const size_t at = below(octets);
		const uint8_t bit = (uint8_t)(1U << below(8));

		file[at] ^= bit;
		if (learned_resume(&again, file, octets)) {
			refused++;
		} else {
			ck_assert_uint_eq(learned_count(&again), SMALL);
			members = bed_name(&again);
			for (uint32_t number = 0; number < SMALL; number++)
				ck_assert(bed_check(&again, &members, number));
		}
		file[at] ^= bit;
	}
	ck_assert_uint_gt(refused, DAMAGES / 4);
}
END_TEST

/* Every length but its own. */
START_TEST(cut_off)
{
	struct learned again;

	learn(SMALL);
	for (size_t length = 0; length < octets; length += length < 512 ? 1 : 997) {
		uint8_t *cut = bed_memory(length ? length : 1);

		memcpy(cut, file, length);
		ck_assert_ptr_nonnull(learned_resume(&again, cut, length));
		free(cut);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, taken_up, 0, 2);
	tcase_add_loop_test(tests, loaded_and_kept, 0, 2);
	tcase_add_test(tests, look_ups_write_nothing);
	tcase_add_loop_test(tests, copied, 0, 2);
	tcase_add_loop_test(tests, damaged, 0, 4);
	tcase_add_test(tests, one_bit);
	tcase_add_test(tests, cut_off);
}

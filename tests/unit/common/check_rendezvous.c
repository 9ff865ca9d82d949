#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rendezvous.h"
#include "tests/unit/suite.h"

enum { MEMBERS_MAX = 320, NAME_OCTETS = 32 };

static struct rendezvous tables[3];

/* A set of members with names of its own. */
struct set {
	struct rendezvous_member members[MEMBERS_MAX];
	size_t count;
};

static char names[MEMBERS_MAX][NAME_OCTETS];
static struct siphash_key key;
static uint64_t dice_state;

static uint32_t dice(uint32_t sides)
{
	dice_state = dice_state * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)((dice_state >> 33) % sides);
}

static void setup(void)
{
	uint8_t octets[16];

	for (uint8_t i = 0; i < sizeof octets; i++)
		octets[i] = i;
	key = siphash_key_load(octets);
	dice_state = 2;
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		snprintf(names[i], sizeof names[i], "backend-%zu", i);
}

static struct set set_of(size_t count, uint16_t weight)
{
	struct set set = { .count = count };

	for (size_t i = 0; i < count; i++)
		set.members[i] = (struct rendezvous_member){ names[i], weight };
	return set;
}

/* 20 members whose weights differ: 1 to 256, one of them 0. */
static struct set set_mixed(void)
{
	struct set set = set_of(20, 100);

	for (size_t i = 0; i < set.count; i++)
		set.members[i].weight = (uint16_t)(i * i * 2 / 3);
	set.members[1].weight = 1;
	set.members[19].weight = 256;
	return set;
}

static void set_remove(struct set *set, size_t at)
{
	memmove(&set->members[at], &set->members[at + 1], (set->count - at - 1) * sizeof set->members[0]);
	set->count--;
}

static void build(struct rendezvous *out, const struct set *set)
{
	rendezvous_build(out, &key, set->members, set->count);
}

static void update(struct rendezvous *out, const struct set *set, const struct rendezvous *old,
		   const struct set *old_set)
{
	rendezvous_update(out, &key, set->members, set->count, old, old_set->members, old_set->count);
}

/* For loops over the slots: ck_assert() writes to a pipe even when it passes. */
static void require(bool ok, uint32_t slot)
{
	if (!ok)
		ck_abort_msg("slot %u", slot);
}

/* The name on a rank, "" for none. Names are unique pointers, so that they compare as such. */
static const char *name_at(const struct rendezvous *table, const struct set *set, uint32_t slot, size_t rank)
{
	uint16_t index = rank ? table->further[slot][rank - 1] : table->first[slot];

	if (index == RENDEZVOUS_NONE)
		return "";
	require(index < set->count, slot);
	return set->members[index].name;
}

static void assert_same(const struct rendezvous *a, const struct set *a_set, const struct rendezvous *b,
			const struct set *b_set)
{
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		for (size_t rank = 0; rank < RENDEZVOUS_DEPTH; rank++) {
			if (strcmp(name_at(a, a_set, slot, rank), name_at(b, b_set, slot, rank)) != 0)
				ck_abort_msg("slot %u rank %zu: %s, %s", slot, rank, name_at(a, a_set, slot, rank),
					     name_at(b, b_set, slot, rank));
		}
	}
}

START_TEST(slot_is_the_top_of_the_hash)
{
	ck_assert_uint_eq(rendezvous_slot(0), 0);
	ck_assert_uint_eq(rendezvous_slot((UINT64_C(1) << 46) - 1), 0);
	ck_assert_uint_eq(rendezvous_slot(UINT64_C(1) << 46), 1);
	ck_assert_uint_eq(rendezvous_slot(UINT64_MAX), RENDEZVOUS_SLOTS - 1);
}
END_TEST

/* From oracle_rendezvous.py --literals; the key is 00 01 … 0f. */
static const struct {
	const char *name;
	uint32_t slot;
	uint16_t weight;
	uint64_t score;
} scores[] = {
	{ "a", 0, 100, 0xfff089c9c2de548f },
	{ "a", 0, 1, 0xf9f5d270fe8b6420 },
	{ "a", 0, 256, 0xfff9f5d3f2076420 },
	{ "a", 0, 0, 0 },
	{ "b", 262143, 100, 0xfffffc28df999aff },
	{ "", 1, 50, 0xffe70f2e8e928c52 },
	{ "", 1, 0, 0 },
	{ "backend-17", 4711, 200, 0xfff5fc60d8776d1f },
};

START_TEST(score_literals)
{
	const struct rendezvous_member member = { scores[_i].name, scores[_i].weight };

	ck_assert_uint_eq(rendezvous_score(&key, scores[_i].slot, &member), scores[_i].score);
}
END_TEST

START_TEST(score_grows_with_weight)
{
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot += 97) {
		uint64_t before = 0;
		for (uint16_t weight = 0; weight <= RENDEZVOUS_MAX_WEIGHT; weight++) {
			uint64_t score = rendezvous_weigh(UINT64_C(0x0123456789abcdef), slot, weight);
			require(weight == 0 ? score == 0 : score > before, slot);
			before = score;
		}
	}
}
END_TEST

/* Found by search: under the key 01 01 02 … 0f these two score 0xfffda4a731781e9f in this slot with weight 100. */
START_TEST(equal_scores_go_to_the_lesser_name)
{
	const uint8_t octets[16] = { 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	const struct siphash_key tie_key = siphash_key_load(octets);
	const uint32_t slot = 199137;
	const struct rendezvous_member forth[] = { { "b115", 100 }, { "b220", 100 } };
	const struct rendezvous_member back[] = { { "b220", 100 }, { "b115", 100 } };

	ck_assert_uint_eq(rendezvous_score(&tie_key, slot, &forth[0]), 0xfffda4a731781e9f);
	ck_assert_uint_eq(rendezvous_score(&tie_key, slot, &forth[1]), 0xfffda4a731781e9f);
	rendezvous_build(&tables[0], &tie_key, forth, 2);
	ck_assert_uint_eq(tables[0].first[slot], 0);
	rendezvous_build(&tables[0], &tie_key, back, 2);
	ck_assert_uint_eq(tables[0].first[slot], 1);
	rendezvous_build(&tables[0], &tie_key, back, 1);
	rendezvous_update(&tables[1], &tie_key, back, 2, &tables[0], back, 1);
	ck_assert_uint_eq(tables[1].first[slot], 1);
}
END_TEST

START_TEST(fewer_members_than_ranks)
{
	struct set set = set_of(3, 100);

	set.members[1].weight = 0;
	for (; set.count < MEMBERS_MAX; set.count--) {
		size_t holders = set.count == 3 ? 2 : set.count ? 1 : 0;
		build(&tables[0], &set);
		for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
			for (size_t rank = 0; rank < RENDEZVOUS_DEPTH; rank++) {
				const char *name = name_at(&tables[0], &set, slot, rank);
				require((*name != '\0') == (rank < holders), slot);
				require(name != names[1], slot);
			}
		}
	}
}
END_TEST

static int compare_descending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

START_TEST(ranks_agree_with_a_full_sort)
{
	struct set set = set_of(60, 100);
	uint64_t sorted[60];

	for (size_t i = 0; i < set.count; i++)
		set.members[i].weight = (uint16_t)dice(RENDEZVOUS_MAX_WEIGHT + 1);
	build(&tables[0], &set);
	for (uint32_t slot = dice(251); slot < RENDEZVOUS_SLOTS; slot += 251) {
		for (size_t i = 0; i < set.count; i++)
			sorted[i] = rendezvous_score(&key, slot, &set.members[i]);
		qsort(sorted, set.count, sizeof sorted[0], compare_descending);
		require(rendezvous_score(&key, slot, &set.members[tables[0].first[slot]]) == sorted[0], slot);
		for (size_t rank = 1; rank < RENDEZVOUS_DEPTH; rank++)
			require(rendezvous_score(&key, slot, &set.members[tables[0].further[slot][rank - 1]]) ==
					sorted[rank],
				slot);
	}
}
END_TEST

START_TEST(shares_follow_weights)
{
	static const uint16_t weights[] = { 50, 100, 200 };
	struct set set = set_of(3, 0);
	size_t held[3] = { 0 };

	for (size_t i = 0; i < 3; i++)
		set.members[i].weight = weights[i];
	build(&tables[0], &set);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++)
		held[tables[0].first[slot]]++;
	for (size_t i = 0; i < 3; i++) {
		double share = (double)held[i] * 350 / weights[i] / (double)RENDEZVOUS_SLOTS;
		ck_assert_double_ge(share, 0.98);
		ck_assert_double_le(share, 1.02);
	}
}
END_TEST

static const struct {
	size_t members;
	double busiest; /* at most, over the mean */
} evenness[] = { { 8, 1.02 }, { 64, 1.06 }, { 256, 1.12 } };

START_TEST(busiest_over_mean)
{
	struct set set = set_of(evenness[_i].members, 100);
	size_t held[256] = { 0 }, busiest = 0;

	build(&tables[0], &set);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		size_t now = ++held[tables[0].first[slot]];
		busiest = now > busiest ? now : busiest;
	}
	double over_mean = (double)busiest * (double)set.count / (double)RENDEZVOUS_SLOTS;
	printf("%zu members: busiest/mean %.3f\n", set.count, over_mean);
	ck_assert_double_le(over_mean, evenness[_i].busiest);
}
END_TEST

/* Without member `gone` every slot keeps its order, and only its keys move. */
START_TEST(removal_and_return)
{
	struct set all = set_mixed(), rest = all;
	const size_t at = 11;
	const char *gone = all.members[at].name;
	uint32_t moved = 0;

	set_remove(&rest, at);
	build(&tables[0], &all);
	update(&tables[1], &rest, &tables[0], &all);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		for (size_t rank = 0, left = 0; rank < RENDEZVOUS_DEPTH; rank++) {
			const char *before = name_at(&tables[0], &all, slot, rank);
			if (before == gone)
				moved += rank == 0;
			else
				require(strcmp(before, name_at(&tables[1], &rest, slot, left++)) == 0, slot);
		}
	}
	ck_assert_uint_gt(moved, 0);
	update(&tables[2], &all, &tables[1], &rest);
	ck_assert_mem_eq(&tables[2], &tables[0], sizeof tables[0]);
}
END_TEST

START_TEST(addition_takes_only_what_it_gets)
{
	struct set before = set_mixed(), after = before;
	const char *added = names[100];
	uint32_t taken = 0;

	after.members[after.count++] = (struct rendezvous_member){ added, 70 };
	build(&tables[0], &before);
	build(&tables[1], &after);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		const char *now = name_at(&tables[1], &after, slot, 0);
		taken += now == added;
		require(now == added || now == name_at(&tables[0], &before, slot, 0), slot);
	}
	ck_assert_uint_gt(taken, 0);
}
END_TEST

START_TEST(order_does_not_matter)
{
	struct set forth = set_mixed(), back = forth;

	for (size_t i = 0; i < forth.count; i++)
		back.members[i] = forth.members[forth.count - 1 - i];
	build(&tables[0], &forth);
	build(&tables[1], &back);
	assert_same(&tables[0], &forth, &tables[1], &back);
	update(&tables[2], &back, &tables[0], &forth);
	ck_assert_mem_eq(&tables[2], &tables[1], sizeof tables[1]);
}
END_TEST

static const struct {
	uint16_t from, to;
} reweights[] = {
	{ 100, 101 }, { 101, 100 }, { 1, 256 }, { 256, 1 }, { 0, 50 }, { 50, 0 }, { 255, 256 }, { 256, 255 }
};

/* A member that grows only takes, one that shrinks only gives; the rest keep their order among themselves. */
START_TEST(weight_moves_keys_one_way)
{
	struct set before = set_mixed(), after;
	const size_t at = 7;
	const char *changed = before.members[at].name;
	const bool grows = reweights[_i].to > reweights[_i].from;
	uint32_t moved = 0;

	before.members[at].weight = reweights[_i].from;
	after = before;
	after.members[at].weight = reweights[_i].to;
	build(&tables[0], &before);
	update(&tables[1], &after, &tables[0], &before);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		const char *was = name_at(&tables[0], &before, slot, 0), *is = name_at(&tables[1], &after, slot, 0);
		if (was == is)
			continue;
		moved++;
		require((grows ? is : was) == changed, slot);
	}
	ck_assert_uint_gt(moved, 0);
	build(&tables[2], &after);
	ck_assert_mem_eq(&tables[1], &tables[2], sizeof tables[1]);
}
END_TEST

static void set_change(struct set *set)
{
	size_t at = set->count ? dice((uint32_t)set->count) : 0;
	const char *name = names[dice(24)];

	switch (dice(4)) {
	case 0:
		if (set->count)
			set_remove(set, at);
		break;
	case 1:
		for (size_t i = 0; i < set->count; i++) {
			if (set->members[i].name == name)
				return;
		}
		set->members[set->count] = set->members[at];
		set->members[at] = (struct rendezvous_member){ name, (uint16_t)dice(257) };
		set->count++;
		break;
	case 2:
		if (set->count)
			set->members[at].weight = (uint16_t)(dice(3) ? dice(257) : 0);
		break;
	default:
		if (set->count) {
			struct rendezvous_member swap = set->members[0];
			set->members[0] = set->members[at];
			set->members[at] = swap;
		}
	}
}

START_TEST(update_equals_build)
{
	struct set sets[2] = { set_of(6, 100) };

	build(&tables[0], &sets[0]);
	for (unsigned round = 0; round < 60; round++) {
		struct set *old = &sets[round % 2], *now = &sets[(round + 1) % 2];
		*now = *old;
		for (uint32_t changes = dice(4); changes > 0; changes--)
			set_change(now);
		update(&tables[(round + 1) % 2], now, &tables[round % 2], old);
		build(&tables[2], now);
		ck_assert_mem_eq(&tables[(round + 1) % 2], &tables[2], sizeof tables[2]);
	}
}
END_TEST

START_TEST(update_from_and_to_nothing)
{
	struct set none = set_of(0, 0), all = set_mixed();

	build(&tables[0], &none);
	update(&tables[1], &all, &tables[0], &none);
	build(&tables[2], &all);
	ck_assert_mem_eq(&tables[1], &tables[2], sizeof tables[1]);
	update(&tables[2], &none, &tables[1], &all);
	ck_assert_mem_eq(&tables[2], &tables[0], sizeof tables[0]);
}
END_TEST

START_TEST(another_key_is_another_table)
{
	struct set set = set_of(4, 100);
	uint32_t same = 0;

	build(&tables[0], &set);
	key.k1 ^= 1;
	build(&tables[1], &set);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++)
		same += tables[0].first[slot] == tables[1].first[slot];
	ck_assert_uint_gt(same, RENDEZVOUS_SLOTS / 4 - 2000);
	ck_assert_uint_lt(same, RENDEZVOUS_SLOTS / 4 + 2000);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, slot_is_the_top_of_the_hash);
	tcase_add_loop_test(tests, score_literals, 0, sizeof scores / sizeof *scores);
	tcase_add_test(tests, score_grows_with_weight);
	tcase_add_test(tests, equal_scores_go_to_the_lesser_name);
	tcase_add_test(tests, fewer_members_than_ranks);
	tcase_add_test(tests, ranks_agree_with_a_full_sort);
	tcase_add_test(tests, shares_follow_weights);
	tcase_add_loop_test(tests, busiest_over_mean, 0, sizeof evenness / sizeof *evenness);
	tcase_add_test(tests, removal_and_return);
	tcase_add_test(tests, addition_takes_only_what_it_gets);
	tcase_add_test(tests, order_does_not_matter);
	tcase_add_loop_test(tests, weight_moves_keys_one_way, 0, sizeof reweights / sizeof *reweights);
	tcase_add_test(tests, update_equals_build);
	tcase_add_test(tests, update_from_and_to_nothing);
	tcase_add_test(tests, another_key_is_another_table);
}

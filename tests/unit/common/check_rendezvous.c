/* Scores, ranks and shares of one table. */
#include "tests/fixtures/rendezvous_set.h"
#include "tests/unit/suite.h"

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
	rendezvous_update(&tables[1], &tie_key, back, 2, &(struct rendezvous_built){ &tables[0], back, 1 });
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
}

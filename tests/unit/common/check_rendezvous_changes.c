/* What moves when members or their weights change. */
#include "tests/fixtures/rendezvous_set.h"
#include "tests/unit/suite.h"

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
	tcase_add_test(tests, removal_and_return);
	tcase_add_test(tests, addition_takes_only_what_it_gets);
	tcase_add_test(tests, order_does_not_matter);
	tcase_add_loop_test(tests, weight_moves_keys_one_way, 0, sizeof reweights / sizeof *reweights);
	tcase_add_test(tests, update_equals_build);
	tcase_add_test(tests, update_from_and_to_nothing);
	tcase_add_test(tests, another_key_is_another_table);
}

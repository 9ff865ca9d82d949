/* Slots that are built later: without them each hash leads where it leads with them, and they come with the next
 * snapshot. */
#include "tests/fixtures/snapshot_spec.h"
#include "tests/unit/suite.h"

static struct snapshot *begin(const struct snapshot_pool_spec *spec, const struct snapshot *previous)
{
	struct snapshot *snapshot = snapshot_begin(&key, spec, 1, previous);

	ck_assert_ptr_nonnull(snapshot);
	return snapshot;
}

static unsigned finish(const struct snapshot *snapshot)
{
	unsigned pieces = 0;

	while (snapshot_go_on(snapshot))
		pieces++;
	return pieces;
}

static uint64_t hash_of_slot(uint32_t slot)
{
	return (uint64_t)slot << (64 - RENDEZVOUS_SLOT_BITS);
}

static void assert_same_backends(const struct snapshot *a, const struct snapshot *b)
{
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		const uint16_t one = snapshot_backend_of_hash(&a->pools[0], hash_of_slot(slot));
		const uint16_t other = snapshot_backend_of_hash(&b->pools[0], hash_of_slot(slot));

		if (one != other)
			ck_abort_msg("slot %u: %u and %u", slot, one, other);
	}
}

static void assert_same_slots(const struct snapshot *snapshot, const struct snapshot_pool_spec *spec)
{
	struct snapshot *fresh = build(spec, NULL);

	ck_assert_ptr_nonnull(snapshot->pools[0].slots);
	ck_assert_mem_eq(snapshot->pools[0].slots, fresh->pools[0].slots, sizeof(struct rendezvous));
	snapshot_free(fresh);
}

/* Of so many, one in `refuse` is down (0: none). */
static const struct {
	size_t count, refuse;
} pools[] = { { 1, 0 },  { 2, 0 },  { 3, 2 },  { 4, 0 },   { 5, 1 },   { 8, 3 },
	      { 17, 2 }, { 64, 0 }, { 64, 5 }, { 256, 0 }, { 300, 1 }, { 300, 2 } };

/* Weights of 0 to 256, and those who are down everywhere in the ranks. */
START_TEST(without_slots_each_hash_leads_where_it_leads_with_them)
{
	struct snapshot_pool_spec spec = spec_of(pools[_i].count, 2);
	struct snapshot *without, *with;

	spec.all_down = ALL_DOWN_DROP;
	for (size_t i = 0; i < spec.backend_count; i++) {
		backends[i].weight = (uint16_t)(i % 7 == 6 ? 0 : 1 + i * 37 % 256);
		if (pools[_i].refuse && i % pools[_i].refuse == 0)
			backends[i].health = BACKEND_DOWN;
	}
	without = begin(&spec, NULL);
	with = build(&spec, NULL);
	ck_assert_ptr_null(without->pools[0].slots);
	ck_assert(snapshot_lacks_slots(without));
	ck_assert(!snapshot_lacks_slots(with));
	assert_same_backends(without, with);
	snapshot_free(without);
	snapshot_free(with);
}
END_TEST

START_TEST(slots_come_with_the_next_snapshot)
{
	struct snapshot_pool_spec spec = spec_of(20, 1);
	struct snapshot *first = begin(&spec, NULL), *second, *without;

	ck_assert_uint_gt(finish(first), 10);
	ck_assert_ptr_null(first->pools[0].slots); /* who reads it sees no change */
	backends[3].health = BACKEND_DOWN;
	second = begin(&spec, first);
	without = begin(&spec, NULL);
	assert_same_backends(without, second);
	snapshot_free(without);
	snapshot_free(first);
	ck_assert(!snapshot_lacks_slots(second));
	ck_assert(!snapshot_go_on(second));
	assert_same_slots(second, &spec);
	snapshot_free(second);
}
END_TEST

START_TEST(a_snapshot_in_between_goes_on_where_the_last_one_was)
{
	struct snapshot_pool_spec spec = spec_of(20, 1);
	struct snapshot *first = begin(&spec, NULL), *second, *third;
	const unsigned pieces = finish(first);

	snapshot_free(first);
	first = begin(&spec, NULL);
	ck_assert(snapshot_go_on(first));
	ck_assert(snapshot_go_on(first));
	backends[3].admin = BACKEND_MAINT;
	second = begin(&spec, first);
	ck_assert_ptr_null(second->pools[0].slots);
	snapshot_free(first);
	ck_assert_uint_eq(finish(second), pieces - 2);
	third = begin(&spec, second);
	snapshot_free(second);
	assert_same_slots(third, &spec);
	snapshot_free(third);
}
END_TEST

START_TEST(a_change_before_they_are_whole_begins_anew)
{
	struct snapshot_pool_spec spec = spec_of(20, 1);
	struct snapshot *first = begin(&spec, NULL), *second, *third;

	ck_assert(snapshot_go_on(first));
	backends[3].weight = 7;
	second = begin(&spec, first);
	ck_assert_ptr_null(second->pools[0].slots);
	snapshot_free(first);
	finish(second);
	third = begin(&spec, second);
	snapshot_free(second);
	assert_same_slots(third, &spec);
	snapshot_free(third);
}
END_TEST

START_TEST(a_change_afterwards_has_them_at_once)
{
	struct snapshot_pool_spec spec = spec_of(20, 1);
	struct snapshot *first = build(&spec, NULL), *second;

	backends[3].weight = 7;
	second = begin(&spec, first);
	snapshot_free(first);
	assert_same_slots(second, &spec);
	snapshot_free(second);
}
END_TEST

START_TEST(who_waits_for_them_takes_over_what_was_begun)
{
	struct snapshot_pool_spec spec = spec_of(20, 1);
	struct snapshot *first = begin(&spec, NULL), *second;

	ck_assert(snapshot_go_on(first));
	second = build(&spec, first);
	ck_assert(!snapshot_go_on(first));
	ck_assert_ptr_null(first->pools[0].slots);
	snapshot_free(first);
	assert_same_slots(second, &spec);
	snapshot_free(second);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, without_slots_each_hash_leads_where_it_leads_with_them, 0,
			    sizeof pools / sizeof *pools);
	tcase_add_test(tests, slots_come_with_the_next_snapshot);
	tcase_add_test(tests, a_snapshot_in_between_goes_on_where_the_last_one_was);
	tcase_add_test(tests, a_change_before_they_are_whole_begins_anew);
	tcase_add_test(tests, a_change_afterwards_has_them_at_once);
	tcase_add_test(tests, who_waits_for_them_takes_over_what_was_begun);
}

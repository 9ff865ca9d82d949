/* What a snapshot is built of, and what it takes over from the one before. */
#include <string.h>

#include "tests/fixtures/snapshot_spec.h"
#include "tests/unit/suite.h"

START_TEST(holds_its_own_copy)
{
	char pool_name[] = "lwm2m";
	struct snapshot_pool_spec spec = spec_of(3, 1);

	spec.name = pool_name;
	struct snapshot *snapshot = build(&spec, NULL);
	memset(pool_name, 'x', sizeof pool_name - 1);
	memset(names, 'x', sizeof names);
	memset(backends, 0xff, sizeof backends);
	memset(ids, 0xff, sizeof ids);
	ck_assert_str_eq(snapshot->pools[0].name, "lwm2m");
	ck_assert_uint_eq(snapshot->pools[0].uid, 5);
	ck_assert_uint_eq(snapshot->pools[0].backend_count, 3);
	ck_assert_str_eq(snapshot->pools[0].backends[0].name, "b0");
	ck_assert_str_eq(snapshot->pools[0].backends[2].name, "b2");
	ck_assert_uint_eq(snapshot->pools[0].backends[2].uid, 7);
	ck_assert_uint_eq(snapshot_backend_of_id(&snapshot->pools[0], &(struct server_id){ 1, { 2 } }), 2);
	snapshot_free(snapshot);
}
END_TEST

START_TEST(generations_count)
{
	struct snapshot_pool_spec spec = spec_of(1, 1);
	struct snapshot *first = build(&spec, NULL), *second = build(&spec, first);

	ck_assert_uint_eq(first->generation, 1);
	ck_assert_uint_eq(second->generation, 2);
	snapshot_free(first);
	snapshot_free(second);
	snapshot_free(NULL);
}
END_TEST

START_TEST(keys_come_from_names)
{
	struct snapshot_pool_spec specs[2] = { spec_of(2, 1), spec_of(2, 1) };

	specs[1].name = "other";
	struct snapshot *snapshot = snapshot_build(&key, specs, 2, NULL);
	struct siphash_key expected = siphash_key_derive(&key, "pool:lwm2m");
	ck_assert_mem_eq(&snapshot->pools[0].hash_key, &expected, sizeof expected);
	expected = siphash_key_derive(&key, "pool:other");
	ck_assert_mem_eq(&snapshot->pools[1].hash_key, &expected, sizeof expected);
	ck_assert_mem_ne(snapshot->pools[0].slots, snapshot->pools[1].slots, sizeof(struct rendezvous));
	snapshot_free(snapshot);
}
END_TEST

static uint64_t homes_digest_of(const struct snapshot_pool_spec *spec)
{
	struct snapshot *snapshot = build(spec, NULL);
	const uint64_t digest = snapshot->homes_digest;

	snapshot_free(snapshot);
	return digest;
}

START_TEST(homes_digest_changes_with_ids_and_addresses_alone)
{
	struct snapshot_pool_spec spec = spec_of(4, 1);
	const uint64_t before = homes_digest_of(&spec);
	struct snapshot_backend swapped = backends[0];

	backends[0] = backends[3];
	backends[3] = swapped;
	ids[0].backend = 3;
	ids[3].backend = 0;
	ck_assert_uint_eq(homes_digest_of(&spec), before);
	backends[1].health = BACKEND_DOWN;
	backends[1].admin = BACKEND_MAINT;
	backends[1].weight = 0;
	ck_assert_uint_eq(homes_digest_of(&spec), before);
	backends[1].addr.port = 1;
	ck_assert_uint_ne(homes_digest_of(&spec), before);
	backends[1].addr.port = 0;
	ids[1].backend = 2;
	ck_assert_uint_ne(homes_digest_of(&spec), before);
	ids[1].backend = 1;
	ck_assert_uint_eq(homes_digest_of(&spec), before);
	spec.layout.lbcid.offset = 1;
	ck_assert_uint_ne(homes_digest_of(&spec), before);
}
END_TEST

START_TEST(slots_are_shared_while_members_and_weights_stay)
{
	struct snapshot_pool_spec spec = spec_of(4, 1);
	struct snapshot *first = build(&spec, NULL), *second, *third;
	const struct rendezvous *slots = first->pools[0].slots;

	backends[0].health = BACKEND_DOWN;
	backends[1].admin = BACKEND_MAINT;
	backends[2].addr.port = 1;
	backends[3].uid = 77;
	second = build(&spec, first);
	ck_assert_ptr_eq(second->pools[0].slots, slots);
	snapshot_free(first);
	third = build(&spec, second);
	snapshot_free(second);
	ck_assert_ptr_eq(third->pools[0].slots, slots);
	ck_assert_uint_lt(slots->first[RENDEZVOUS_SLOTS - 1], 4); /* not freed yet: for the sanitizer */
	snapshot_free(third);
}
END_TEST

static void change_weight(struct snapshot_pool_spec *spec)
{
	(void)spec;
	backends[1].weight = 99;
}

static void change_order(struct snapshot_pool_spec *spec)
{
	struct snapshot_backend swap = backends[0];

	(void)spec;
	backends[0] = backends[3];
	backends[3] = swap;
}

static void change_name(struct snapshot_pool_spec *spec)
{
	(void)spec;
	names[2][0] = 'z';
}

static void change_fewer(struct snapshot_pool_spec *spec)
{
	spec->backend_count--;
	spec->id_count--;
}

static void change_pool_name(struct snapshot_pool_spec *spec)
{
	spec->name = "renamed";
}

static void (*const changes[])(struct snapshot_pool_spec *) = { change_weight, change_order, change_name, change_fewer,
								change_pool_name };

START_TEST(slots_follow_a_change)
{
	struct snapshot_pool_spec spec = spec_of(8, 1);
	struct snapshot *before = build(&spec, NULL), *after, *fresh;

	changes[_i](&spec);
	after = build(&spec, before);
	fresh = build(&spec, NULL);
	ck_assert_ptr_ne(after->pools[0].slots, before->pools[0].slots);
	ck_assert_mem_ne(after->pools[0].slots, before->pools[0].slots, sizeof(struct rendezvous));
	ck_assert_mem_eq(after->pools[0].slots, fresh->pools[0].slots, sizeof(struct rendezvous));
	snapshot_free(before);
	snapshot_free(after);
	snapshot_free(fresh);
}
END_TEST

START_TEST(slots_of_another_key_are_not_shared)
{
	const struct siphash_key other = { key.k0, key.k1 ^ 1 };
	struct snapshot_pool_spec spec = spec_of(8, 1);
	struct snapshot *before = build(&spec, NULL), *after = snapshot_build(&other, &spec, 1, before),
			*fresh = snapshot_build(&other, &spec, 1, NULL);

	ck_assert_mem_ne(after->pools[0].slots, before->pools[0].slots, sizeof(struct rendezvous));
	ck_assert_mem_eq(after->pools[0].slots, fresh->pools[0].slots, sizeof(struct rendezvous));
	snapshot_free(before);
	snapshot_free(after);
	snapshot_free(fresh);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, holds_its_own_copy);
	tcase_add_test(tests, generations_count);
	tcase_add_test(tests, keys_come_from_names);
	tcase_add_test(tests, homes_digest_changes_with_ids_and_addresses_alone);
	tcase_add_test(tests, slots_are_shared_while_members_and_weights_stay);
	tcase_add_loop_test(tests, slots_follow_a_change, 0, sizeof changes / sizeof *changes);
	tcase_add_test(tests, slots_of_another_key_are_not_shared);
}

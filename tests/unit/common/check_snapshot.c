#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/snapshot.h"
#include "tests/unit/suite.h"

enum { BACKENDS_MAX = RENDEZVOUS_MAX_MEMBERS, NAME_OCTETS = 24 };

static const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
static char names[BACKENDS_MAX][NAME_OCTETS];
static struct snapshot_backend backends[BACKENDS_MAX];
static struct snapshot_id ids[BACKENDS_MAX];

/* A DTLS pool with node ids of `id_octets` (0: no layout) and `count` backends; backend i has uid 3 i + 1 and id i. */
static struct snapshot_pool_spec spec_of(size_t count, uint8_t id_octets)
{
	struct snapshot_pool_spec spec = {
		.name = "lwm2m", .uid = 5, .backends = backends, .backend_count = count, .ids = ids
	};

	if (id_octets) {
		spec.layout.scheme = CID_LAYOUT_ID;
		spec.layout.length = 16;
		spec.layout.lbcid = (struct lbcid_config){ .scheme = LBCID_NODE_ID, .length = 16, .size = id_octets };
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof names[i], "b%zu", i);
		backends[i] =
			(struct snapshot_backend){ .name = names[i], .uid = (uint16_t)(3 * i + 1), .weight = 100 };
		ids[i].backend = (uint16_t)i;
		if (id_octets && cid_id_from_number(&ids[i].id, &spec.layout, i) == 0)
			spec.id_count++;
	}
	return spec;
}

static struct snapshot *build(const struct snapshot_pool_spec *spec, const struct snapshot *previous)
{
	struct snapshot *snapshot = snapshot_build(&key, spec, 1, previous);

	ck_assert_ptr_nonnull(snapshot);
	return snapshot;
}

static uint64_t hash_of_slot(uint32_t slot)
{
	return (uint64_t)slot << (64 - RENDEZVOUS_SLOT_BITS);
}

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

static const struct {
	uint8_t octets;
	size_t backends;
} id_tables[] = { { 1, 1 }, { 1, 256 }, { 2, 300 }, { 3, 1 }, { 3, 1024 }, { 15, 1024 } };

START_TEST(ids_lead_to_their_backends)
{
	struct snapshot_pool_spec spec = spec_of(id_tables[_i].backends, id_tables[_i].octets);
	struct server_id id;

	for (size_t i = 0; i < spec.backend_count; i++)
		backends[i].weight = i == 0; /* the slots are not at issue: keeps the table cheap to build */
	struct snapshot *snapshot = build(&spec, NULL);
	for (uint32_t number = 0; cid_id_from_number(&id, &spec.layout, number) == 0 && number < 70000; number++) {
		uint16_t expected = number < spec.backend_count ? (uint16_t)number : SNAPSHOT_NO_BACKEND;
		if (snapshot_backend_of_id(&snapshot->pools[0], &id) != expected)
			ck_abort_msg("id %u", number);
	}
	cid_id_from_number(&id, &spec.layout, 0);
	id.len++;
	ck_assert_uint_eq(snapshot_backend_of_id(&snapshot->pools[0], &id), SNAPSHOT_NO_BACKEND);
	id.len = (uint8_t)(id.len - 2);
	ck_assert_uint_eq(snapshot_backend_of_id(&snapshot->pools[0], &id), SNAPSHOT_NO_BACKEND);
	snapshot_free(snapshot);
}
END_TEST

START_TEST(ids_that_are_not_there)
{
	const struct server_id zero = { .len = 1 };
	struct snapshot_pool_spec spec = spec_of(2, 1);
	struct snapshot *snapshot;

	spec.ids++;
	spec.id_count--;
	snapshot = build(&spec, NULL);
	ck_assert_uint_eq(snapshot_backend_of_id(&snapshot->pools[0], &zero), SNAPSHOT_NO_BACKEND);
	snapshot_free(snapshot);
	spec = spec_of(2, 1);
	ids[0].id.len = 2; /* as if the layout had been another when it was claimed */
	snapshot = build(&spec, NULL);
	ck_assert_uint_eq(snapshot_backend_of_id(&snapshot->pools[0], &zero), SNAPSHOT_NO_BACKEND);
	snapshot_free(snapshot);
	spec = spec_of(2, 0);
	snapshot = build(&spec, NULL);
	ck_assert_uint_eq(snapshot_backend_of_id(&snapshot->pools[0], &zero), SNAPSHOT_NO_BACKEND);
	snapshot_free(snapshot);
}
END_TEST

/* Three backends: the second owns four ids, the third owns none; in tables by index and by hash. */
static const uint8_t several_octets[] = { 1, 2, 3, 15 };

START_TEST(a_backend_has_several_ids)
{
	static const uint16_t owners[] = { 1, 0, 1, 1, 1 };
	struct snapshot_pool_spec spec = spec_of(5, several_octets[_i]);
	struct server_id id;

	spec.backend_count = 3;
	for (size_t i = 0; i < 5; i++)
		ids[i].backend = owners[i];
	struct snapshot *snapshot = build(&spec, NULL);
	for (uint16_t number = 0; number < 256; number++) {
		ck_assert_int_eq(cid_id_from_number(&id, &spec.layout, number), 0);
		ck_assert_uint_eq(snapshot_backend_of_id(&snapshot->pools[0], &id),
				  number < 5 ? owners[number] : SNAPSHOT_NO_BACKEND);
	}
	snapshot_free(snapshot);
}
END_TEST

/* More ids than rows for one each would be. */
START_TEST(one_backend_has_all_ids)
{
	struct snapshot_pool_spec spec = spec_of(BACKENDS_MAX, 3);
	struct server_id id;

	spec.backend_count = 1;
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		ids[i].backend = 0;
	struct snapshot *snapshot = build(&spec, NULL);
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		ck_assert_uint_eq(snapshot_backend_of_id(&snapshot->pools[0], &ids[i].id), 0);
	ck_assert_int_eq(cid_id_from_number(&id, &spec.layout, BACKENDS_MAX), 0);
	ck_assert_uint_eq(snapshot_backend_of_id(&snapshot->pools[0], &id), SNAPSHOT_NO_BACKEND);
	snapshot_free(snapshot);
}
END_TEST

START_TEST(uids_lead_to_their_backends)
{
	struct snapshot_pool_spec spec = spec_of(3, 1);
	struct snapshot *snapshot;
	const struct snapshot_pool *pool;

	backends[1].uid = 4095;
	snapshot = build(&spec, NULL);
	pool = &snapshot->pools[0];
	ck_assert_uint_eq(pool->uid_count, 4096);
	for (uint32_t uid = 0; uid <= UINT16_MAX; uid++) {
		uint16_t expected = uid == 1 ? 0 : uid == 4095 ? 1 : uid == 7 ? 2 : SNAPSHOT_NO_BACKEND;
		if (snapshot_backend_of_uid(pool, (uint16_t)uid) != expected)
			ck_abort_msg("uid %u", uid);
	}
	snapshot_free(snapshot);
}
END_TEST

static const struct {
	enum backend_health health;
	enum backend_admin admin;
	enum verdict verdict;
} cid_verdicts[] = {
	{ BACKEND_UP, BACKEND_READY, VERDICT_CID },          { BACKEND_DOWN, BACKEND_READY, VERDICT_CID_DOWN },
	{ BACKEND_UP, BACKEND_DRAIN, VERDICT_CID_DRAINING }, { BACKEND_DOWN, BACKEND_DRAIN, VERDICT_CID_DOWN },
	{ BACKEND_UP, BACKEND_MAINT, VERDICT_MAINT },        { BACKEND_DOWN, BACKEND_MAINT, VERDICT_MAINT },
};

START_TEST(verdicts_of_cids)
{
	struct snapshot_pool_spec spec = spec_of(sizeof cid_verdicts / sizeof *cid_verdicts, 1);
	struct snapshot *snapshot;

	for (size_t i = 0; i < spec.backend_count; i++) {
		backends[i].health = cid_verdicts[i].health;
		backends[i].admin = cid_verdicts[i].admin;
	}
	snapshot = build(&spec, NULL);
	for (size_t i = 0; i < spec.backend_count; i++)
		ck_assert_int_eq(snapshot->pools[0].cid_verdict[i], (int)cid_verdicts[i].verdict);
	snapshot_free(snapshot);
}
END_TEST

/* Four backends, a letter each: u up, d down, r up but draining, R down and draining, m in maint, 0 up with weight 0, o
 * down with weight 0. Expected: who gets new sessions. */
static const struct {
	const char *states;
	enum all_down all_down;
	const char *accept;
} accepts[] = {
	{ "uuuu", ALL_DOWN_HASH, "yyyy" }, { "udrm", ALL_DOWN_HASH, "y---" }, { "0ddu", ALL_DOWN_HASH, "---y" },
	{ "dddd", ALL_DOWN_HASH, "yyyy" }, { "dddd", ALL_DOWN_DROP, "----" }, { "drR0", ALL_DOWN_HASH, "y---" },
	{ "drmo", ALL_DOWN_HASH, "y---" }, { "drmo", ALL_DOWN_DROP, "----" }, { "rRm0", ALL_DOWN_HASH, "----" },
	{ "mmmm", ALL_DOWN_HASH, "----" }, { "uddd", ALL_DOWN_DROP, "y---" }, { "0000", ALL_DOWN_HASH, "----" },
};

START_TEST(who_accepts_new_sessions)
{
	struct snapshot_pool_spec spec = spec_of(4, 1);
	const char *accept = accepts[_i].accept;
	struct snapshot *snapshot;
	size_t held[4] = { 0 };

	spec.all_down = accepts[_i].all_down;
	for (size_t i = 0; i < 4; i++) {
		char state = accepts[_i].states[i];
		backends[i].health = strchr("dRo", state) ? BACKEND_DOWN : BACKEND_UP;
		backends[i].admin = strchr("rR", state) ? BACKEND_DRAIN : state == 'm' ? BACKEND_MAINT : BACKEND_READY;
		backends[i].weight = strchr("0o", state) ? 0 : 100;
	}
	snapshot = build(&spec, NULL);
	ck_assert_int_eq(snapshot->pools[0].any_accepts, strchr(accept, 'y') != NULL);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(snapshot->pools[0].accepts[i], accept[i] == 'y');
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		uint16_t backend = snapshot_backend_of_hash(&snapshot->pools[0], hash_of_slot(slot));
		if (backend == SNAPSHOT_NO_BACKEND ? strchr(accept, 'y') != NULL : accept[backend] != 'y')
			ck_abort_msg("slot %u: backend %u", slot, backend);
		if (backend != SNAPSHOT_NO_BACKEND)
			held[backend]++;
	}
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(held[i] > 0, accept[i] == 'y');
	snapshot_free(snapshot);
}
END_TEST

/* Whose id another has would give out CIDs that lead there. */
START_TEST(who_is_led_to_by_no_id_accepts_nothing)
{
	struct snapshot_pool_spec spec = spec_of(3, _i ? 1 : 0);
	struct snapshot *snapshot;

	ids[0].backend = 1;
	backends[2].health = _i == 2 ? BACKEND_DOWN : BACKEND_UP;
	backends[1].admin = _i == 2 ? BACKEND_DRAIN : BACKEND_READY;
	snapshot = build(&spec, NULL);
	ck_assert_int_eq(snapshot->pools[0].accepts[0], _i == 0);
	ck_assert_int_eq(snapshot->pools[0].accepts[1], _i < 2);
	ck_assert(snapshot->pools[0].accepts[2]);
	snapshot_free(snapshot);
}
END_TEST

/* The best accepting backend by a plain search, with the key that snapshot.h names. */
static uint16_t search_best(const struct snapshot_pool *pool, uint32_t slot)
{
	const struct siphash_key slots_key = siphash_key_derive(&pool->hash_key, "slots");
	uint16_t best = SNAPSHOT_NO_BACKEND;
	uint64_t best_score = 0;

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct rendezvous_member member = { pool->backends[i].name, pool->backends[i].weight };
		uint64_t score = pool->accepts[i] ? rendezvous_score(&slots_key, slot, &member) : 0;
		if (score > best_score) {
			best_score = score;
			best = (uint16_t)i;
		}
	}
	return best;
}

/* Of 40 backends: found within the ranks, and beyond them. */
static const size_t up_counts[] = { 1, 2, 5, 20, 39, 40 };

START_TEST(hash_finds_the_best_that_accepts)
{
	struct snapshot_pool_spec spec = spec_of(40, 1);
	struct snapshot *snapshot;

	for (size_t i = 0; i < spec.backend_count; i++) {
		backends[i].weight = (uint16_t)(1 + i * 6);
		backends[i].health = (i * 7) % 40 < up_counts[_i] ? BACKEND_UP : BACKEND_DOWN;
	}
	snapshot = build(&spec, NULL);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot += 101) {
		if (snapshot_backend_of_hash(&snapshot->pools[0], hash_of_slot(slot)) !=
		    search_best(&snapshot->pools[0], slot))
			ck_abort_msg("slot %u", slot);
	}
	snapshot_free(snapshot);
}
END_TEST

START_TEST(a_backend_that_goes_down_moves_only_its_own_keys)
{
	struct snapshot_pool_spec spec = spec_of(10, 1);
	struct snapshot *before = build(&spec, NULL), *after;
	uint32_t moved = 0;

	backends[4].health = BACKEND_DOWN;
	after = build(&spec, before);
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		uint16_t was = snapshot_backend_of_hash(&before->pools[0], hash_of_slot(slot));
		uint16_t is = snapshot_backend_of_hash(&after->pools[0], hash_of_slot(slot));
		if (is == 4 || (was != 4 && was != is))
			ck_abort_msg("slot %u: from %u to %u", slot, was, is);
		moved += was != is;
	}
	ck_assert_uint_gt(moved, RENDEZVOUS_SLOTS / 10 - 2000);
	ck_assert_uint_lt(moved, RENDEZVOUS_SLOTS / 10 + 2000);
	snapshot_free(before);
	snapshot_free(after);
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
	tcase_add_loop_test(tests, ids_lead_to_their_backends, 0, sizeof id_tables / sizeof *id_tables);
	tcase_add_test(tests, ids_that_are_not_there);
	tcase_add_loop_test(tests, a_backend_has_several_ids, 0, sizeof several_octets);
	tcase_add_test(tests, one_backend_has_all_ids);
	tcase_add_test(tests, uids_lead_to_their_backends);
	tcase_add_test(tests, verdicts_of_cids);
	tcase_add_loop_test(tests, who_accepts_new_sessions, 0, sizeof accepts / sizeof *accepts);
	tcase_add_loop_test(tests, who_is_led_to_by_no_id_accepts_nothing, 0, 3);
	tcase_add_loop_test(tests, hash_finds_the_best_that_accepts, 0, sizeof up_counts / sizeof *up_counts);
	tcase_add_test(tests, a_backend_that_goes_down_moves_only_its_own_keys);
}

/* Whose a server id is, and whose a uid. */
#include "tests/fixtures/snapshot_spec.h"
#include "tests/unit/suite.h"

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

static size_t shown;

static void note(void *ctx, const struct server_id *id, uint16_t backend)
{
	const struct snapshot_pool *pool = ctx;

	ck_assert_uint_eq(snapshot_backend_of_id(pool, id), backend);
	shown++;
}

START_TEST(each_id_is_shown)
{
	struct snapshot_pool_spec spec = spec_of(id_tables[_i].backends, id_tables[_i].octets);
	struct snapshot *snapshot;

	for (size_t i = 0; i < spec.backend_count; i++)
		backends[i].weight = i == 0;
	snapshot = build(&spec, NULL);
	shown = 0;
	snapshot_each_id(&snapshot->pools[0], note, &snapshot->pools[0]);
	ck_assert_uint_eq(shown, spec.id_count);
	snapshot_free(snapshot);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, ids_lead_to_their_backends, 0, sizeof id_tables / sizeof *id_tables);
	tcase_add_test(tests, ids_that_are_not_there);
	tcase_add_loop_test(tests, a_backend_has_several_ids, 0, sizeof several_octets);
	tcase_add_test(tests, one_backend_has_all_ids);
	tcase_add_test(tests, uids_lead_to_their_backends);
	tcase_add_loop_test(tests, each_id_is_shown, 0, sizeof id_tables / sizeof *id_tables);
}

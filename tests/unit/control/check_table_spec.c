#include <errno.h>

#include "control/table_spec.h"
#include "tests/unit/suite.h"

/* Two pools, each with a backend "a"; pool "q" has a "b" in drain as well. */
static struct conf_backend of_p[] = { { .name = (char *)"a", .weight = 100, .addr = { .port = 6001 } } };
static struct conf_backend of_q[] = {
	{ .name = (char *)"a", .weight = 50, .addr = { .port = 6002 } },
	{ .name = (char *)"b", .has_id = true, .id = { 1, { 9 } }, .addr = { .port = 6003 }, .admin = BACKEND_DRAIN },
};
static struct conf_pool conf_pools[] = {
	{ .name = (char *)"p", .protocol = POOL_UDP, .all_down = ALL_DOWN_DROP, .backends = of_p, .backend_count = 1 },
	{ .name = (char *)"q",
	  .affinity = AFFINITY_ADDRESS,
	  .layout = { .length = 6 },
	  .backends = of_q,
	  .backend_count = 2 },
};
static const struct conf conf = { .pools = conf_pools, .pool_count = 2 };
static struct uids *pools, *backends;
static struct table_spec spec;

static void setup(void)
{
	pools = uids_new(2);
	backends = uids_new(3);
}

static void teardown(void)
{
	table_spec_free(&spec);
	uids_free(pools);
	uids_free(backends);
}

START_TEST(test_copies_what_routing_needs)
{
	ck_assert_int_eq(table_spec_make(&spec, &conf, pools, backends), 0);
	ck_assert_uint_eq(spec.pool_count, 2);
	ck_assert_uint_eq(spec.backend_count, 3);
	ck_assert_str_eq(spec.pools[0].name, "p");
	ck_assert_int_eq(spec.pools[0].protocol, POOL_UDP);
	ck_assert_int_eq(spec.pools[0].all_down, ALL_DOWN_DROP);
	ck_assert_ptr_eq(spec.pools[0].backends, &spec.backends[0]);
	ck_assert_uint_eq(spec.pools[0].backend_count, 1);
	ck_assert_int_eq(spec.pools[1].affinity, AFFINITY_ADDRESS);
	ck_assert_uint_eq(spec.pools[1].layout.length, 6);
	ck_assert_ptr_eq(spec.pools[1].backends, &spec.backends[1]);
	ck_assert_uint_eq(spec.pools[1].backend_count, 2);
	const struct snapshot_backend *b = &spec.backends[2];
	ck_assert_str_eq(b->name, "b");
	ck_assert_uint_eq(spec.pools[0].id_count, 0);
	ck_assert_uint_eq(spec.pools[1].id_count, 1);
	ck_assert_uint_eq(spec.pools[1].ids[0].id.len, 1);
	ck_assert_uint_eq(spec.pools[1].ids[0].id.octets[0], 9);
	ck_assert_uint_eq(spec.pools[1].ids[0].backend, 1);
	ck_assert_uint_eq(b->addr.port, 6003);
	ck_assert_uint_eq(spec.backends[1].weight, 50);
	ck_assert_int_eq(b->health, BACKEND_UP);
	ck_assert_int_eq(b->admin, BACKEND_DRAIN);
}
END_TEST

START_TEST(test_numbers)
{
	ck_assert_int_eq(table_spec_make(&spec, &conf, pools, backends), 0);
	ck_assert_uint_eq(spec.pools[0].uid, 0);
	ck_assert_uint_eq(spec.pools[1].uid, 1);
	for (uint16_t i = 0; i < 3; i++)
		ck_assert_uint_eq(spec.backends[i].uid, i); /* one name, two pools: two numbers */
}
END_TEST

/* The pools change their order and "a" leaves "q": every number stays. */
START_TEST(test_numbers_outlive_a_reload)
{
	struct conf_pool reordered[] = { conf_pools[1], conf_pools[0] };
	struct conf reload = { .pools = reordered, .pool_count = 2 };

	ck_assert_int_eq(table_spec_make(&spec, &conf, pools, backends), 0);
	table_spec_free(&spec);
	reordered[0].backends++;
	reordered[0].backend_count = 1;
	ck_assert_int_eq(table_spec_make(&spec, &reload, pools, backends), 0);
	ck_assert_uint_eq(spec.backend_count, 2);
	ck_assert_uint_eq(spec.pools[0].uid, 1);
	ck_assert_uint_eq(spec.pools[1].uid, 0);
	ck_assert_uint_eq(spec.backends[0].uid, 2);
	ck_assert_uint_eq(spec.backends[1].uid, 0);
}
END_TEST

/* "a" of pool "q" has taken 9 over and owns 7. An id without owner and one of a backend in the other pool are left out.
 * Then nobody has claimed anything yet, so all is as in the file. */
START_TEST(test_ids_as_they_are_owned)
{
	struct claims_entry entries[] = { { .id = { 1, { 7 } }, .owner = 1 },
					  { .id = { 1, { 8 } }, .owner = CLAIMS_NOBODY, .contested = true },
					  { .id = { 1, { 9 } }, .owner = 1 },
					  { .id = { 1, { 10 } }, .owner = 0 },
					  { .id = { 1, { 11 } }, .owner = 2 } };
	const struct claims claims = { .entries = entries, .count = 5 }, none = { 0 };

	ck_assert_int_eq(table_spec_make(&spec, &conf, pools, backends), 0);
	ck_assert_int_eq(table_spec_set_ids(&spec, 1, &claims), 0);
	ck_assert_uint_eq(spec.pools[1].id_count, 3);
	ck_assert_uint_eq(spec.pools[1].ids[0].id.octets[0], 7);
	ck_assert_uint_eq(spec.pools[1].ids[0].backend, 0);
	ck_assert_uint_eq(spec.pools[1].ids[1].id.octets[0], 9);
	ck_assert_uint_eq(spec.pools[1].ids[1].backend, 0);
	ck_assert_uint_eq(spec.pools[1].ids[2].id.octets[0], 11);
	ck_assert_uint_eq(spec.pools[1].ids[2].backend, 1);
	ck_assert_uint_eq(spec.pools[0].id_count, 0);
	ck_assert_int_eq(table_spec_set_ids(&spec, 1, &none), 0);
	ck_assert_uint_eq(spec.pools[1].id_count, 1);
	ck_assert_uint_eq(spec.pools[1].ids[0].id.octets[0], 9);
	ck_assert_uint_eq(spec.pools[1].ids[0].backend, 1);
}
END_TEST

START_TEST(test_no_number_left)
{
	ck_assert_uint_eq(uids_give(backends, 7, "x"), 0);
	ck_assert_int_eq(table_spec_make(&spec, &conf, pools, backends), -ENOSPC);
	ck_assert_uint_eq(spec.pool_count, 0);
	ck_assert_ptr_null(spec.pools);
	ck_assert_ptr_null(spec.backends);
}
END_TEST

START_TEST(test_no_pool_number_left)
{
	ck_assert_uint_eq(uids_give(pools, 0, "x"), 0);
	ck_assert_int_eq(table_spec_make(&spec, &conf, pools, backends), -ENOSPC);
	ck_assert_uint_eq(spec.pool_count, 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_copies_what_routing_needs);
	tcase_add_test(tests, test_numbers);
	tcase_add_test(tests, test_numbers_outlive_a_reload);
	tcase_add_test(tests, test_ids_as_they_are_owned);
	tcase_add_test(tests, test_no_number_left);
	tcase_add_test(tests, test_no_pool_number_left);
}

/* Flows are made, found and ended, and say what passed. */
#include "tests/fixtures/flows_bed.h"
#include "tests/unit/suite.h"

START_TEST(made_and_found)
{
	static const enum flow_kind kinds[] = { FLOW_ADDRESS, FLOW_HELLO, FLOW_CID, FLOW_SOURCE };
	struct flow *made[4];

	for (int i = 0; i < 4; i++) {
		ck_assert_ptr_null(find(kinds[i], 1));
		made[i] = make(kinds[i], 1);
		ck_assert_ptr_nonnull(made[i]);
	}
	for (int i = 0; i < 4; i++) {
		struct addr backend = addr_of(60000), other = addr_of(60001);

		ck_assert_ptr_eq(find(kinds[i], 1), made[i]);
		ck_assert_ptr_null(find(kinds[i], 2));
		/* All have one hash, so the later ones took further endpoints. */
		ck_assert_ptr_eq(flows_find_end(flows, &made[i]->endpoint, &backend), made[i]);
		ck_assert_ptr_null(flows_find_end(flows, &made[i]->endpoint, &other));
		ck_assert(endpoint_contains(&space, &made[i]->endpoint));
	}
	assert_count(4, 0);
}
END_TEST

START_TEST(keys_tell_apart)
{
	struct what what;

	make(FLOW_SOURCE, 1);
	make(FLOW_CID, 1);
	what_of(&what, FLOW_SOURCE, POOL, 1);
	what.made.key.service = 5;
	ck_assert_ptr_null(flows_find(flows, &what.made.key));
	what_of(&what, FLOW_SOURCE, POOL, 1);
	what.made.key.source.port++;
	ck_assert_ptr_null(flows_find(flows, &what.made.key));
	what_of(&what, FLOW_CID, POOL, 1);
	what.made.key.cid_len--;
	ck_assert_ptr_null(flows_find(flows, &what.made.key));
	what_of(&what, FLOW_CID, OTHER_POOL, 1);
	ck_assert_ptr_null(flows_find(flows, &what.made.key));
}
END_TEST

/* A flow of a CID is found whoever owns it. */
START_TEST(owner_is_no_part_of_the_key_of_a_cid)
{
	struct flow *flow = make(FLOW_CID, 1);
	struct ownership_peer other = { .device = addr_of(99) };

	ck_assert(flow_lock(flow));
	ownership_prove(&flow->ownership, &other);
	flow_unlock(flow);
	ck_assert_ptr_eq(find(FLOW_CID, 1), flow);
}
END_TEST

START_TEST(made_twice_is_one)
{
	struct flow *flow = make(FLOW_CID, 1);

	ck_assert_ptr_eq(make(FLOW_CID, 1), flow);
	assert_count(1, 0);
}
END_TEST

START_TEST(ended)
{
	struct flow *flow = make(FLOW_CID, 1);
	struct addr endpoint = flow->endpoint, backend = addr_of(60000);

	prove(flow);
	assert_count(0, 1);
	flows_end(flows, flow);
	ck_assert(!flow_lock(flow));
	ck_assert_ptr_null(find(FLOW_CID, 1));
	ck_assert_ptr_null(flows_find_end(flows, &endpoint, &backend));
	flows_end(flows, flow);
	assert_count(0, 0);
	flow = make(FLOW_CID, 1);
	ck_assert(addr_equal(&flow->endpoint, &endpoint));
}
END_TEST

/* A flow keeps the time of the last datagram each way, and the number of copies. */
START_TEST(passes_are_kept)
{
	const struct flows_filter all = { 0 };
	struct flow *flow = make(FLOW_CID, 1);
	struct flow_description is;
	const uint32_t made_ms = now_ms;

	flows_describe(flows, &all, now_ms, &is, 1);
	ck_assert(!is.replied);
	ck_assert_uint_eq(is.up_ms, made_ms);
	flow_pass_up(flow, made_ms + 1);
	flow_pass_down(flow, 2, made_ms + 2);
	flow_pass_down(flow, FLOW_COUNTED - 3, made_ms + 3);
	flows_describe(flows, &all, now_ms, &is, 1);
	ck_assert(is.replied);
	ck_assert_uint_eq(is.created_ms, made_ms);
	ck_assert_uint_eq(is.up_ms, made_ms + 1);
	ck_assert_uint_eq(is.down_ms, made_ms + 3);
	ck_assert_uint_eq(is.copies, FLOW_COUNTED - 1);
	flow_pass_up(flow, made_ms + 4);
	flow_pass_up(flow, made_ms + 5);
	flow_pass_down(flow, 3, made_ms + 6);
	flow_pass_up(flow, made_ms + 7);
	flows_describe(flows, &all, now_ms, &is, 1);
	ck_assert_uint_eq(is.up_ms, made_ms + 7);
	ck_assert_uint_eq(is.down_ms, made_ms + 6);
	ck_assert_uint_eq(is.copies, FLOW_COUNTED);
}
END_TEST

START_TEST(endpoints_run_out)
{
	space.prefixes[0].host_bits = 0;
	space.port_last = space.port_first;
	ck_assert_ptr_nonnull(make(FLOW_CID, 1));
	ck_assert_ptr_null(make(FLOW_CID, 2));
	assert_count(1, 0);
	flows_end(flows, find(FLOW_CID, 1));
	ck_assert_ptr_nonnull(make(FLOW_CID, 2));
}
END_TEST

/* One endpoint serves a flow of each backend. */
START_TEST(backends_share_an_endpoint)
{
	struct what what;
	struct flow *one, *two;

	space.prefixes[0].host_bits = 0;
	space.port_last = space.port_first;
	one = make(FLOW_CID, 1);
	what_of(&what, FLOW_CID, POOL, 2);
	what.made.backend_addr = addr_of(60001);
	two = flows_make(flows, &what.made);
	ck_assert_ptr_nonnull(two);
	ck_assert(addr_equal(&one->endpoint, &two->endpoint));
	ck_assert_ptr_eq(flows_find_end(flows, &two->endpoint, &what.made.backend_addr), two);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, made_and_found);
	tcase_add_test(tests, keys_tell_apart);
	tcase_add_test(tests, owner_is_no_part_of_the_key_of_a_cid);
	tcase_add_test(tests, made_twice_is_one);
	tcase_add_test(tests, ended);
	tcase_add_test(tests, passes_are_kept);
	tcase_add_test(tests, endpoints_run_out);
	tcase_add_test(tests, backends_share_an_endpoint);
}

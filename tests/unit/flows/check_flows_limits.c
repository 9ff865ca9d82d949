/* How many flows a pool may have, which of them make room, and when they expire. */
#include "tests/fixtures/flows_bed.h"
#include "tests/unit/suite.h"

START_TEST(trials_are_bounded)
{
	for (unsigned n = 0; n < 10 * MAX_FLOWS; n++)
		ck_assert_ptr_nonnull(make(FLOW_CID, n));
	assert_count(MAX_FLOWS / FLOWS_TRIAL_PART, 0);
	/* The last ones made are still there. */
	for (unsigned n = 0; n < 10 * MAX_FLOWS; n++)
		ck_assert_msg(!find(FLOW_CID, n) == (n < 10 * MAX_FLOWS - MAX_FLOWS / FLOWS_TRIAL_PART), "flow %u", n);
}
END_TEST

START_TEST(proven_flows_outlive_any_trials)
{
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		prove(make(FLOW_CID, n));
	assert_count(0, MAX_FLOWS);
	for (unsigned n = MAX_FLOWS; n < 5000; n++) {
		make(FLOW_CID, n);
		rcu_quiescent_state();
	}
	assert_count(MAX_FLOWS / FLOWS_TRIAL_PART, MAX_FLOWS);
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		ck_assert_ptr_nonnull(find(FLOW_CID, n));
}
END_TEST

START_TEST(no_more_than_max_flows_are_proven)
{
	struct flow *late;

	for (unsigned n = 0; n < MAX_FLOWS; n++)
		prove(make(FLOW_CID, n));
	late = make(FLOW_CID, MAX_FLOWS);
	prove(late);
	assert_count(1, MAX_FLOWS);
	ck_assert(late->trial);
	flows_end(flows, find(FLOW_CID, 0));
	prove(late);
	assert_count(0, MAX_FLOWS);
	prove(late);
	assert_count(0, MAX_FLOWS);
}
END_TEST

/* Proven flows of all kinds and pools count, and no others. */
START_TEST(counted_by_backend)
{
	struct what what;
	struct flow *other;

	ck_assert_int_eq(flows_set_limits(flows, OTHER_POOL, &limits), 0);
	prove(make(FLOW_CID, 1));
	prove(make(FLOW_SOURCE, 2));
	prove(make(FLOW_ADDRESS, 3));
	make(FLOW_CID, 4);
	what_of(&what, FLOW_CID, POOL, 5);
	what.made.backend = STATS_BACKENDS - 1;
	other = flows_make(flows, &what.made);
	prove(other);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 3);
	ck_assert_uint_eq(flows_of_backend(flows, STATS_BACKENDS - 1), 1);
	ck_assert_uint_eq(flows_of_backend(flows, 0), 0);
	flows_end(flows, other);
	flows_end(flows, find(FLOW_CID, 4));
	flows_end(flows, find(FLOW_CID, 1));
	ck_assert_uint_eq(flows_of_backend(flows, STATS_BACKENDS - 1), 0);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 2);
	now_ms += CID_IDLE_MS;
	sweep();
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 0);
}
END_TEST

START_TEST(trials_expire)
{
	make(FLOW_CID, 1);
	now_ms += FLOWS_TRIAL_MS - 1;
	sweep();
	assert_count(1, 0);
	now_ms += 1;
	sweep();
	assert_count(0, 0);
	ck_assert_ptr_null(find(FLOW_CID, 1));
}
END_TEST

START_TEST(idle_flows_expire)
{
	prove(make(FLOW_ADDRESS, 1));
	prove(make(FLOW_CID, 1));
	prove(make(FLOW_SOURCE, 1));
	now_ms += IDLE_MS - 1;
	sweep();
	assert_count(0, 3);
	now_ms += 1;
	sweep();
	assert_count(0, 2);
	ck_assert_ptr_null(find(FLOW_ADDRESS, 1));
	now_ms += CID_IDLE_MS - IDLE_MS;
	sweep();
	assert_count(0, 0);
}
END_TEST

START_TEST(traffic_keeps_flows)
{
	struct flow *flow = make(FLOW_ADDRESS, 1);

	prove(flow);
	for (int i = 0; i < 3; i++) {
		now_ms += IDLE_MS - 1;
		ck_assert(flow_lock(flow));
		if (i % 2)
			flow_pass_up(flow, now_ms);
		else
			flow_pass_down(flow, 0, now_ms);
		flow_unlock(flow);
		sweep();
	}
	assert_count(0, 1);
}
END_TEST

START_TEST(pool_removed)
{
	static const struct flows_limits none = { 0 };
	struct what what;

	prove(make(FLOW_CID, 1));
	make(FLOW_CID, 2);
	ck_assert_int_eq(flows_set_limits(flows, OTHER_POOL, &limits), 0);
	what_of(&what, FLOW_CID, OTHER_POOL, 3);
	ck_assert_ptr_nonnull(flows_make(flows, &what.made));
	ck_assert_int_eq(flows_set_limits(flows, POOL, &none), 0);
	sweep();
	assert_count(0, 0);
	ck_assert_uint_eq(flows_count(flows, OTHER_POOL).trial, 1);
}
END_TEST

START_TEST(limits_grow_and_shrink)
{
	static const struct flows_limits more = { 4 * MAX_FLOWS, IDLE_MS, CID_IDLE_MS };

	for (unsigned n = 0; n < MAX_FLOWS; n++)
		prove(make(FLOW_CID, n));
	ck_assert_int_eq(flows_set_limits(flows, POOL, &more), 0);
	for (unsigned n = MAX_FLOWS; n < 2 * MAX_FLOWS; n++)
		prove(make(FLOW_CID, n));
	assert_count(0, 2 * MAX_FLOWS);
	/* A lower limit ends no flow. */
	ck_assert_int_eq(flows_set_limits(flows, POOL, &limits), 0);
	sweep();
	assert_count(0, 2 * MAX_FLOWS);
	prove(make(FLOW_CID, 5000));
	assert_count(1, 2 * MAX_FLOWS);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, trials_are_bounded);
	tcase_add_test(tests, proven_flows_outlive_any_trials);
	tcase_add_test(tests, no_more_than_max_flows_are_proven);
	tcase_add_test(tests, counted_by_backend);
	tcase_add_test(tests, trials_expire);
	tcase_add_test(tests, idle_flows_expire);
	tcase_add_test(tests, traffic_keeps_flows);
	tcase_add_test(tests, pool_removed);
	tcase_add_test(tests, limits_grow_and_shrink);
}

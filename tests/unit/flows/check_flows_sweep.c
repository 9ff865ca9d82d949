/* Which flows end, and when: those that are idle, whatever their age. */
#include "tests/fixtures/flows_bed.h"
#include "tests/unit/suite.h"

/* Class handshake is idle as flows without a CID are, whatever the kind. */
static const struct {
	enum flow_kind kind;
	enum flow_class class;
	uint32_t idle_ms;
} kinds[] = {
	{ FLOW_ADDRESS, FLOW_CLASS_HANDSHAKE, IDLE_MS }, { FLOW_HELLO, FLOW_CLASS_HANDSHAKE, IDLE_MS },
	{ FLOW_CID, FLOW_CLASS_HANDSHAKE, IDLE_MS },     { FLOW_SOURCE, FLOW_CLASS_HANDSHAKE, IDLE_MS },
	{ FLOW_ADDRESS, FLOW_CLASS_ADDRESS, IDLE_MS },   { FLOW_CID, FLOW_CLASS_CID, CID_IDLE_MS },
	{ FLOW_SOURCE, FLOW_CLASS_CID, CID_IDLE_MS },
};

enum { KINDS = sizeof kinds / sizeof *kinds };

static struct flow *make_kind(int i)
{
	struct flow *flow = make(kinds[i].kind, 1);

	if (kinds[i].class != FLOW_CLASS_HANDSHAKE)
		promote(flow, kinds[i].class);
	return flow;
}

START_TEST(idle)
{
	make_kind(_i);
	now_ms += kinds[_i].idle_ms - 1;
	sweep();
	ck_assert_ptr_nonnull(find(kinds[_i].kind, 1));
	now_ms += 1;
	sweep();
	ck_assert_ptr_null(find(kinds[_i].kind, 1));
	assert_count(0, 0, 0);
	/* They end in time, and not to make room. */
	assert_evicted(0, 0, 0);
}
END_TEST

/* Never by age. Either direction keeps it. */
START_TEST(in_use)
{
	struct flow *flow = make_kind(_i);

	for (int i = 0; i < 1000; i++) {
		now_ms += kinds[_i].idle_ms - 1;
		ck_assert(flow_lock(flow));
		if (i % 2)
			flow_pass_up(flow, now_ms);
		else
			flow_pass_down(flow, 0, now_ms);
		flow_unlock(flow);
		sweep();
	}
	ck_assert_ptr_eq(find(kinds[_i].kind, 1), flow);
}
END_TEST

/* A worker may begin its batch after the sweep has looked at the clock. */
START_TEST(datagram_after_the_sweep_began)
{
	static const uint32_t nows[] = { 5000, UINT32_MAX };

	for (int i = 0; i < 2; i++) {
		now_ms = nows[i] + 4;
		make_kind(_i);
		now_ms = nows[i];
		sweep();
		ck_assert_ptr_nonnull(find(kinds[_i].kind, 1));
		flows_end(flows, find(kinds[_i].kind, 1));
	}
}
END_TEST

START_TEST(longest_idle_time_at_the_wrap)
{
	static const struct flows_limits most = { MAX_FLOWS, 86400000, 2000000000 };

	ck_assert_int_eq(flows_set_limits(flows, POOL, &most), 0);
	promote(make(FLOW_CID, 1), FLOW_CLASS_CID);
	now_ms += 1999999999;
	sweep();
	assert_count(0, 0, 1);
	now_ms += 1;
	sweep();
	assert_count(0, 0, 0);
}
END_TEST

/* Each call takes its part, and all of them the whole. */
START_TEST(slices)
{
	static const struct flows_limits many = { 8 * 800, IDLE_MS, CID_IDLE_MS };

	ck_assert_int_eq(flows_set_limits(flows, POOL, &many), 0);
	for (unsigned n = 0; n < 400; n++)
		make(FLOW_CID, n);
	now_ms += IDLE_MS;
	for (int i = 0; i < FLOWS_SWEEP_CALLS; i++)
		flows_sweep(flows, now_ms);
	assert_count(0, 0, 0);
}
END_TEST

START_TEST(pool_removed)
{
	static const struct flows_limits none = { 0 };
	struct what what;

	promote(make(FLOW_CID, 1), FLOW_CLASS_CID);
	promote(make(FLOW_ADDRESS, 1), FLOW_CLASS_ADDRESS);
	make(FLOW_CID, 2);
	ck_assert_int_eq(flows_set_limits(flows, OTHER_POOL, &limits), 0);
	what_of(&what, FLOW_CID, OTHER_POOL, 3);
	ck_assert_ptr_nonnull(flows_make(flows, &what.made));
	ck_assert_int_eq(flows_set_limits(flows, POOL, &none), 0);
	sweep();
	assert_count(0, 0, 0);
	ck_assert_uint_eq(flows_count(flows, OTHER_POOL).flows[FLOW_CLASS_HANDSHAKE], 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, idle, 0, KINDS);
	tcase_add_loop_test(tests, in_use, 0, KINDS);
	tcase_add_loop_test(tests, datagram_after_the_sweep_began, 0, KINDS);
	tcase_add_test(tests, longest_idle_time_at_the_wrap);
	tcase_add_test(tests, slices);
	tcase_add_test(tests, pool_removed);
}

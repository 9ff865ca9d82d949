/* How often devices speak, by what their flows have seen. */
#include "flows/flows_habits.h"
#include "tests/fixtures/flows_bed.h"
#include "tests/unit/suite.h"

START_TEST(pauses)
{
	uint8_t before = 0;

	for (uint32_t s = 0; s < 16; s++)
		ck_assert_uint_eq(pause_s(pause_of(s)), s);
	ck_assert_uint_eq(pause_s(pause_of(90)), 96);
	ck_assert_uint_eq(pause_s(pause_of(3600)), 3840);
	ck_assert_uint_eq(pause_s(pause_of(86400)), 90112);
	/* Never less, an eighth more at most, and in order. */
	for (uint64_t s = 1; s <= UINT32_MAX; s += 1 + s / 61) {
		const uint8_t pause = pause_of((uint32_t)s);

		ck_assert_uint_ge(pause_s(pause), s);
		ck_assert_uint_le(pause_s(pause), s + s / 8);
		ck_assert_uint_ge(pause, before);
		ck_assert_uint_lt(pause, PAUSES);
		before = pause;
	}
	ck_assert_uint_ge(pause_s(pause_of(UINT32_MAX)), UINT32_MAX);
	/* The least that has as much. */
	for (unsigned pause = 1; pause < PAUSES; pause++)
		if (pause_s((uint8_t)pause) <= UINT32_MAX)
			ck_assert_uint_eq(pause_of((uint32_t)pause_s((uint8_t)pause)), pause);
}
END_TEST

static struct flow *make_cid(unsigned number)
{
	struct flow *flow = make(FLOW_CID, number);

	ck_assert_ptr_nonnull(flow);
	promote(flow, FLOW_CLASS_CID);
	return flow;
}

static void down(struct flow *flow)
{
	ck_assert(flow_lock(flow));
	flow_pass_down(flow, 0, now_ms);
	flow_unlock(flow);
}

/* A session whose device speaks every `s` seconds, three times; answers do not count. */
static struct flow *speaker(unsigned number, uint32_t s)
{
	struct flow *flow = make_cid(number);

	for (int i = 0; i < 3; i++) {
		pass_up(flow);
		now_ms += 10;
		down(flow);
		now_ms += s * 1000 - 10;
	}
	pass_up(flow);
	return flow;
}

START_TEST(habits)
{
	static struct flows_habits seen;
	struct flows_habits *of[STATS_BACKENDS] = { [BACKEND] = &seen };

	for (unsigned i = 0; i < 3; i++)
		(void)speaker(i, 10);
	(void)speaker(3, 14);
	(void)make_cid(4);
	ck_assert_ptr_nonnull(make(FLOW_CID, 5)); /* under a handshake */
	flows_habits(flows, of, now_ms);
	ck_assert_uint_eq(seen.counts[0], 1);
	ck_assert_uint_eq(seen.counts[10], 3);
	ck_assert_uint_eq(seen.counts[14], 1);
	ck_assert_uint_eq(flows_habit_s(&seen, 50), 10);
	ck_assert_uint_eq(flows_habit_s(&seen, 75), 10);
	ck_assert_uint_eq(flows_habit_s(&seen, 100), 14);
	/* The first three spoke 42 s ago or more, the fourth just now. */
	ck_assert_uint_eq(seen.late, 3);
	ck_assert_uint_eq(seen.due_ms, 14000);

	seen = (struct flows_habits){ 0 };
	now_ms += 14000;
	flows_habits(flows, of, now_ms);
	ck_assert_uint_eq(seen.late, 3);
	ck_assert_uint_eq(seen.due_ms, 0);
	seen = (struct flows_habits){ 0 };
	now_ms += 1;
	flows_habits(flows, of, now_ms);
	ck_assert_uint_eq(seen.late, 4);

	/* A clock that is ahead, and a backend that nobody asks for. */
	seen = (struct flows_habits){ 0 };
	flows_habits(flows, of, now_ms - 200000);
	ck_assert_uint_eq(seen.late, 0);
	of[BACKEND] = NULL;
	flows_habits(flows, of, now_ms);
	ck_assert_uint_eq(flows_habit_s(&(struct flows_habits){ 0 }, 50), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, pauses);
	tcase_add_test(tests, habits);
}

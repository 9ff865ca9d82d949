/* How many flows a pool may have, which of them make room, and what is counted. */
#include "tests/fixtures/flows_bed.h"
#include "tests/unit/suite.h"

enum { HANDSHAKES = MAX_FLOWS / FLOW_HANDSHAKE_PART };

START_TEST(handshakes_are_bounded)
{
	for (unsigned n = 0; n < 10 * MAX_FLOWS; n++) {
		now_ms++;
		ck_assert_ptr_nonnull(make(FLOW_CID, n));
	}
	assert_count(HANDSHAKES, 0, 0);
	assert_evicted(10 * MAX_FLOWS - HANDSHAKES, 0, 0);
	/* The last ones made are still there. */
	for (unsigned n = 0; n < 10 * MAX_FLOWS; n++)
		ck_assert_msg(!find(FLOW_CID, n) == (n < 10 * MAX_FLOWS - HANDSHAKES), "flow %u", n);
}
END_TEST

/* Whoever has nothing but addresses ends no session, and no handshake of another prefix. */
START_TEST(flood_from_one_prefix)
{
	struct what what;

	for (unsigned n = 0; n < MAX_FLOWS; n++)
		promote(make(FLOW_CID, n), FLOW_CLASS_CID);
	make(FLOW_ADDRESS, 100);
	for (unsigned n = 0; n < 1000; n++) {
		now_ms++;
		what_of(&what, FLOW_ADDRESS, POOL, 5000);
		what.made.key.source.port = (uint16_t)(n + 1);
		what.source.port = (uint16_t)(n + 1);
		ck_assert_ptr_nonnull(flows_make(flows, &what.made));
		rcu_quiescent_state();
	}
	ck_assert_ptr_nonnull(find(FLOW_ADDRESS, 100));
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		ck_assert_ptr_nonnull(find(FLOW_CID, n));
	ck_assert_uint_le(flows_count(flows, POOL).flows[FLOW_CLASS_HANDSHAKE], HANDSHAKES);
	ck_assert_uint_eq(flows_count(flows, POOL).flows[FLOW_CLASS_CID], MAX_FLOWS);
}
END_TEST

START_TEST(sessions_outlive_any_handshakes)
{
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		promote(make(FLOW_CID, n), FLOW_CLASS_CID);
	assert_count(0, 0, MAX_FLOWS);
	for (unsigned n = MAX_FLOWS; n < 5000; n++) {
		make(FLOW_CID, n);
		rcu_quiescent_state();
	}
	assert_count(HANDSHAKES, 0, MAX_FLOWS);
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		ck_assert_ptr_nonnull(find(FLOW_CID, n));
}
END_TEST

/* A new session of a full table ends the one that was silent longest, in time of traffic and not in age. */
START_TEST(full_table_forgets_the_silent)
{
	for (unsigned n = 0; n < MAX_FLOWS; n++) {
		promote(make(FLOW_CID, n), FLOW_CLASS_CID);
		now_ms++;
	}
	pass_up(find(FLOW_CID, 0));
	promote(make(FLOW_CID, MAX_FLOWS), FLOW_CLASS_CID);
	assert_count(0, 0, MAX_FLOWS);
	assert_evicted(0, 0, 1);
	ck_assert_ptr_nonnull(find(FLOW_CID, 0));
	ck_assert_ptr_null(find(FLOW_CID, 1));
	ck_assert_ptr_nonnull(find(FLOW_CID, 2));
	ck_assert_ptr_nonnull(find(FLOW_CID, MAX_FLOWS));
	/* A session without a CID takes none of those with one while it has another of its own. */
	promote(make(FLOW_ADDRESS, 1), FLOW_CLASS_ADDRESS);
	assert_evicted(0, 0, 2);
	now_ms += 10;
	promote(make(FLOW_ADDRESS, 2), FLOW_CLASS_ADDRESS);
	assert_count(0, 1, MAX_FLOWS - 1);
	assert_evicted(0, 1, 2);
	ck_assert_ptr_null(find(FLOW_ADDRESS, 1));
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), MAX_FLOWS);
}
END_TEST

START_TEST(promoted_once)
{
	struct flow *flow = make(FLOW_CID, 1);

	for (int i = 0; i < 3; i++)
		promote(flow, FLOW_CLASS_CID);
	assert_count(0, 0, 1);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 1);
	flows_end(flows, flow);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 0);
}
END_TEST

/* The one that is chosen to go is promoted by another worker before it ends. */
START_TEST(promoted_while_it_goes)
{
	struct flow *session, *leaving;

	ck_assert_int_eq(flows_set_limits(flows, POOL, &(struct flows_limits){ 1, IDLE_MS, CID_IDLE_MS }), 0);
	session = make(FLOW_CID, 1);
	promote(session, FLOW_CLASS_CID);
	now_ms++;
	ck_assert(flow_lock(make(FLOW_CID, 2)));
	leaving = flows_promote(flows, find(FLOW_CID, 2), FLOW_CLASS_CID, now_ms);
	flow_unlock(find(FLOW_CID, 2));
	ck_assert_ptr_eq(leaving, session);
	promote(session, FLOW_CLASS_CID);
	promote(session, FLOW_CLASS_ADDRESS);
	ck_assert_ptr_eq(find(FLOW_CID, 1), session);
	flows_evict(flows, leaving);
	flows_evict(flows, leaving);
	ck_assert_ptr_null(find(FLOW_CID, 1));
	assert_count(0, 0, 1);
	assert_evicted(0, 0, 1);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 1);
}
END_TEST

/* Flows beyond class handshake count, of all kinds and pools, and no others. */
START_TEST(counted_by_backend)
{
	struct what what;
	struct flow *other;

	ck_assert_int_eq(flows_set_limits(flows, OTHER_POOL, &limits), 0);
	promote(make(FLOW_CID, 1), FLOW_CLASS_CID);
	promote(make(FLOW_SOURCE, 2), FLOW_CLASS_CID);
	promote(make(FLOW_ADDRESS, 3), FLOW_CLASS_ADDRESS);
	make(FLOW_CID, 4);
	what_of(&what, FLOW_CID, OTHER_POOL, 5);
	what.made.backend = STATS_BACKENDS - 1;
	other = flows_make(flows, &what.made);
	promote(other, FLOW_CLASS_CID);
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

/* Flows live on while max_flows changes. */
START_TEST(limits_grow_and_shrink)
{
	static const struct flows_limits more = { 4 * MAX_FLOWS, IDLE_MS, CID_IDLE_MS };

	for (unsigned n = 0; n < MAX_FLOWS; n++)
		promote(make(FLOW_CID, n), FLOW_CLASS_CID);
	ck_assert_int_eq(flows_set_limits(flows, POOL, &more), 0);
	for (unsigned n = MAX_FLOWS; n < 2 * MAX_FLOWS; n++)
		promote(make(FLOW_CID, n), FLOW_CLASS_CID);
	assert_count(0, 0, 2 * MAX_FLOWS);
	/* A lower limit ends no flow. */
	ck_assert_int_eq(flows_set_limits(flows, POOL, &limits), 0);
	sweep();
	assert_count(0, 0, 2 * MAX_FLOWS);
	assert_evicted(0, 0, 0);
	now_ms++;
	promote(make(FLOW_CID, 5000), FLOW_CLASS_CID);
	assert_count(0, 0, 2 * MAX_FLOWS);
	assert_evicted(0, 0, 1);
}
END_TEST

START_TEST(evicted_are_forgotten)
{
	for (unsigned n = 0; n < 2 * MAX_FLOWS; n++)
		promote(make(FLOW_CID, n), n % 2 ? FLOW_CLASS_CID : FLOW_CLASS_ADDRESS);
	for (unsigned n = 0; n < 2 * MAX_FLOWS; n++)
		make(FLOW_HELLO, n);
	assert_evicted(2 * MAX_FLOWS - HANDSHAKES, MAX_FLOWS / 2, MAX_FLOWS / 2);
	flows_forget_evicted(flows, OTHER_POOL);
	assert_evicted(2 * MAX_FLOWS - HANDSHAKES, MAX_FLOWS / 2, MAX_FLOWS / 2);
	flows_forget_evicted(flows, POOL);
	assert_evicted(0, 0, 0);
}
END_TEST

static uint64_t seen[FLOW_CLASSES], seen_at;

static void see(void *ctx, const struct flow *flow)
{
	(void)ctx;
	seen[flow->class]++;
	seen_at += flow->class != FLOW_CLASS_HANDSHAKE;
}

/* What is counted is what is in the table. */
START_TEST(any_operations)
{
	static const enum flow_kind kinds[] = { FLOW_ADDRESS, FLOW_HELLO, FLOW_CID, FLOW_SOURCE };

	srand(1);
	for (int i = 0; i < 100000; i++) {
		const enum flow_kind kind = kinds[rand() % 4];
		const unsigned n = (unsigned)rand() % 60;
		struct flow *flow = find(kind, n);

		now_ms += (uint32_t)rand() % 20;
		if (!flow)
			make(kind, n);
		else if (rand() % 5 == 0)
			flows_end(flows, flow);
		else if (rand() % 2)
			promote(flow, kind == FLOW_ADDRESS ? FLOW_CLASS_ADDRESS : FLOW_CLASS_CID);
		else
			pass_up(flow);
		if (i % 64 == 0)
			rcu_quiescent_state();
		if (i % 1000 != 0)
			continue;
		sweep();
		memset(seen, 0, sizeof seen);
		seen_at = 0;
		flows_visit(flows, see, NULL);
		assert_count(seen[0], seen[1], seen[2]);
		ck_assert_uint_eq(flows_of_backend(flows, BACKEND), seen_at);
		ck_assert_uint_le(seen_at, MAX_FLOWS);
		ck_assert_uint_le(seen[0], HANDSHAKES);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, handshakes_are_bounded);
	tcase_add_test(tests, flood_from_one_prefix);
	tcase_add_test(tests, sessions_outlive_any_handshakes);
	tcase_add_test(tests, full_table_forgets_the_silent);
	tcase_add_test(tests, promoted_once);
	tcase_add_test(tests, promoted_while_it_goes);
	tcase_add_test(tests, counted_by_backend);
	tcase_add_test(tests, limits_grow_and_shrink);
	tcase_add_test(tests, evicted_are_forgotten);
	tcase_add_test(tests, any_operations);
}

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
	assert_count(4, 0, 0);
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

/* A flow of a CID is found whoever it belongs to. */
START_TEST(device_is_no_part_of_the_key_of_a_cid)
{
	struct flow *flow = make(FLOW_CID, 1);
	const struct ownership_pair other = { .device = addr_of(99) };

	ck_assert(flow_lock(flow));
	ownership_prove(&flow->session, &other);
	flow_unlock(flow);
	ck_assert_ptr_eq(find(FLOW_CID, 1), flow);
}
END_TEST

/* Descriptors are used again. Nothing of the flow before is left. */
START_TEST(nothing_is_left_of_the_flow_before)
{
	static const enum flow_kind kinds[] = { FLOW_ADDRESS, FLOW_HELLO, FLOW_CID, FLOW_SOURCE };

	for (unsigned n = 0; n < 20000; n++) {
		struct flow *flow = make(kinds[n / 7 % 4], n % 97);

		ck_assert(flow && flow_lock(flow));
		if (flow->replied || flow->last_down || flow->copies || flow->rounds)
			ck_abort_msg("what passed before");
		if (flow->kind == FLOW_CID ? flow->session.has_proven || flow->session.opened ||
						     flow->session.has_many || flow->session.places[3].taken
		    : flow->kind == FLOW_SOURCE
			    ? flow->own.open || flow->own.answered || flow->own.account.credit
			    : flow->handshake.begun || flow->handshake.over || flow->handshake.cid.len)
			ck_abort_msg("the state before, n %u", n);
		if (flow->kind == FLOW_CID) {
			flow->session.has_proven = flow->session.opened = true;
			flow->session.places[3].taken = true;
			ownership_expand(&flow->session, flows_many_places());
		} else if (flow->kind == FLOW_SOURCE) {
			flow->own = (struct ownership_own){ { 1, 1 }, 1, true, true, true };
		} else {
			memset(&flow->handshake, 0xff, sizeof flow->handshake);
		}
		flow_pass_up(flow, now_ms);
		flow_pass_down(flow, 3, now_ms);
		flow_pass_up(flow, now_ms);
		flow_pass_down(flow, 3, now_ms);
		flow_unlock(flow);
		flows_end(flows, flow);
		if (n % 1000 == 0)
			rcu_barrier();
	}
	assert_count(0, 0, 0);
}
END_TEST

START_TEST(made_twice_is_one)
{
	struct flow *flow = make(FLOW_CID, 1);

	ck_assert_ptr_eq(make(FLOW_CID, 1), flow);
	assert_count(1, 0, 0);
}
END_TEST

START_TEST(ended)
{
	struct flow *flow = make(FLOW_CID, 1);
	struct addr endpoint = flow->endpoint, backend = addr_of(60000);

	promote(flow, FLOW_CLASS_CID);
	assert_count(0, 0, 1);
	flows_end(flows, flow);
	ck_assert(!flow_lock(flow));
	ck_assert_ptr_null(find(FLOW_CID, 1));
	ck_assert_ptr_null(flows_find_end(flows, &endpoint, &backend));
	flows_end(flows, flow);
	assert_count(0, 0, 0);
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

	flows_describe(flows, &all, &is, 1);
	ck_assert(!is.replied);
	ck_assert_uint_eq(is.up_ms, made_ms);
	flow_pass_up(flow, made_ms + 1);
	flow_pass_down(flow, 2, made_ms + 2);
	flow_pass_down(flow, FLOW_COUNTED - 3, made_ms + 3);
	flows_describe(flows, &all, &is, 1);
	ck_assert(is.replied);
	ck_assert_uint_eq(is.created_ms, made_ms);
	ck_assert_uint_eq(is.up_ms, made_ms + 1);
	ck_assert_uint_eq(is.down_ms, made_ms + 3);
	ck_assert_uint_eq(is.copies, FLOW_COUNTED - 1);
	flow_pass_up(flow, made_ms + 4);
	flow_pass_up(flow, made_ms + 5);
	flow_pass_down(flow, 3, made_ms + 6);
	flow_pass_up(flow, made_ms + 7);
	flows_describe(flows, &all, &is, 1);
	ck_assert_uint_eq(is.up_ms, made_ms + 7);
	ck_assert_uint_eq(is.down_ms, made_ms + 6);
	ck_assert_uint_eq(is.copies, FLOW_COUNTED);
}
END_TEST

/* A round trip is a downlink that follows an uplink. */
START_TEST(rounds_are_counted)
{
	struct flow *flow = make(FLOW_ADDRESS, 1);

	flow_pass_up(flow, now_ms);
	flow_pass_up(flow, now_ms);
	ck_assert_uint_eq(flow->rounds, 0);
	flow_pass_down(flow, 0, now_ms);
	flow_pass_down(flow, 0, now_ms);
	ck_assert_uint_eq(flow->rounds, 1);
	flow_pass_up(flow, now_ms);
	ck_assert_uint_eq(flow->rounds, 1);
	for (int i = 0; i < 300; i++) {
		flow_pass_down(flow, 0, now_ms);
		ck_assert_uint_eq(flow->rounds, FLOW_ROUNDS);
		flow_pass_up(flow, now_ms);
	}
}
END_TEST

/* What is told of a session: its proven address and those in places. It is found by any of them. */
START_TEST(described)
{
	struct flow *flow = make(FLOW_CID, 1);
	const struct addr addrs[] = { addr_of(70), addr_of(71), addr_of(72), addr_of(73) };
	struct ownership_pair pairs[OWNERSHIP_WAYS_BACK];
	struct flow_description is;
	struct flows_filter filter = { 0 };

	ck_assert_uint_eq(flow_pairs(flow, pairs), 0);
	ck_assert_uint_eq(flows_describe(flows, &filter, &is, 1), 1);
	ck_assert(!is.has_device);
	ck_assert_uint_eq(is.place_count, 0);
	ownership_expand(&flow->session, flows_many_places());
	flow->session.has_proven = true;
	flow->session.proven.device = addrs[0];
	flow->session.many[2] = (struct ownership_place){ .pair = { addrs[1], 9 }, .taken = true, .known = true };
	flow->session.many[4] = (struct ownership_place){ .pair = { addrs[2], 9 }, .taken = true, .answered = true };
	flow->session.many[31] = (struct ownership_place){ .pair = { addrs[3], 9 }, .taken = true, .withheld = true };
	ck_assert_uint_eq(flow_pairs(flow, pairs), 4);
	for (int i = 0; i < 4; i++) {
		ck_assert(addr_equal(&pairs[i].device, &addrs[i]));
		filter.from = &addrs[i];
		ck_assert_uint_eq(flows_describe(flows, &filter, &is, 1), 1);
	}
	ck_assert(is.has_device && addr_equal(&is.device.device, &addrs[0]));
	ck_assert_int_eq(is.class, FLOW_CLASS_HANDSHAKE);
	ck_assert_uint_eq(is.place_count, 3);
	ck_assert(is.places[0].known && !is.places[0].answered && !is.places[0].withheld);
	ck_assert(!is.places[1].known && is.places[1].answered && !is.places[1].withheld);
	ck_assert(!is.places[2].known && !is.places[2].answered && is.places[2].withheld);
	ck_assert_uint_eq(is.places[2].pair.service, 9);
	flow->session.many[2].taken = false;
	filter.from = &addrs[1];
	ck_assert_uint_eq(flows_describe(flows, &filter, &is, 1), 0);
}
END_TEST

/* Numbers in no order; of those that match, the first in the order that is asked for. */
START_TEST(ordered)
{
	enum { FLOWS = 50, SHOWN = 7 };
	struct flow_description is[FLOWS];

	for (unsigned i = 0; i < FLOWS; i++) {
		struct flow *flow = make(FLOW_CID, (uint8_t)(i + 1));
		const unsigned number = i * 37 % FLOWS;

		for (unsigned move = 0; move < number; move++)
			flow_count_move(flow);
		promote(flow, FLOW_CLASS_CID);
		flow_count(flow, 10 * number, 0);
		flow_pass_up(flow, now_ms - number * 1000);
	}
	for (enum flows_order order = FLOWS_MOST_MOVES; order <= FLOWS_LONGEST_SILENT; order++) {
		const struct flows_filter filter = { .order = order, .now_ms = now_ms };

		for (size_t limit = SHOWN; limit <= FLOWS; limit += FLOWS - SHOWN) {
			ck_assert_uint_eq(flows_describe(flows, &filter, is, limit), FLOWS);
			for (unsigned i = 0; i < limit; i++) {
				ck_assert_uint_eq(is[i].moves, FLOWS - 1 - i);
				ck_assert_uint_eq(is[i].octets, 10 * is[i].moves);
				ck_assert_uint_eq(now_ms - is[i].up_ms, 1000 * is[i].moves);
			}
		}
	}
	ck_assert_uint_eq(
		flows_describe(flows, &(struct flows_filter){ .older_ms = 40000, .now_ms = now_ms }, is, FLOWS), 9);
	for (unsigned i = 0; i < 9; i++)
		ck_assert_uint_gt(is[i].moves, 40);
}
END_TEST

START_TEST(moves_and_octets_are_counted)
{
	struct flow *flow = make(FLOW_CID, 1);
	const struct flows_filter all = { 0 };
	struct flow_description is;

	flow_count_move(flow);
	flow_count(flow, UINT32_MAX - 1, FLOW_COUNTED - 1);
	flows_describe(flows, &all, &is, 1);
	ck_assert_uint_eq(is.moves, 1);
	ck_assert_uint_eq(is.octets, UINT32_MAX - 1);
	ck_assert_uint_eq(is.withheld, FLOW_COUNTED - 1);
	for (unsigned i = 0; i < FLOW_COUNTED; i++)
		flow_count_move(flow);
	flow_count(flow, UINT64_C(1) << 32, 2);
	flows_describe(flows, &all, &is, 1);
	ck_assert_uint_eq(is.moves, FLOW_COUNTED);
	ck_assert_uint_eq(is.octets, UINT32_MAX);
	ck_assert_uint_eq(is.withheld, FLOW_COUNTED);
}
END_TEST

START_TEST(endpoints_run_out)
{
	space.prefixes[0].host_bits = 0;
	space.port_last = space.port_first;
	ck_assert_ptr_nonnull(make(FLOW_CID, 1));
	/* Nobody has answered at it, so it gives way. */
	ck_assert_ptr_nonnull(make(FLOW_CID, 2));
	ck_assert_ptr_null(find(FLOW_CID, 1));
	promote(find(FLOW_CID, 2), FLOW_CLASS_CID);
	ck_assert_ptr_null(make(FLOW_CID, 3));
	assert_count(0, 0, 1);
	flows_end(flows, find(FLOW_CID, 2));
	ck_assert_ptr_nonnull(make(FLOW_CID, 3));
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
	tcase_add_test(tests, device_is_no_part_of_the_key_of_a_cid);
	tcase_add_test(tests, nothing_is_left_of_the_flow_before);
	tcase_add_test(tests, made_twice_is_one);
	tcase_add_test(tests, ended);
	tcase_add_test(tests, passes_are_kept);
	tcase_add_test(tests, rounds_are_counted);
	tcase_add_test(tests, described);
	tcase_add_test(tests, ordered);
	tcase_add_test(tests, moves_and_octets_are_counted);
	tcase_add_test(tests, endpoints_run_out);
	tcase_add_test(tests, backends_share_an_endpoint);
}

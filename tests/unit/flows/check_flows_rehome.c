/* Flows when server ids move and backends change their addresses. */
#include "tests/fixtures/rehome_bed.h"
#include "tests/unit/suite.h"

START_TEST(sessions_follow_their_id)
{
	struct flow *of_cid = promote(make(FLOW_CID, 1, 1)), *of_source = promote(make(FLOW_SOURCE, 1, 2));
	struct flow *finished = make_finished(1, 3), *other = promote(make(FLOW_CID, 3, 4));
	const struct addr endpoint = of_cid->endpoint;

	finished->handshake.begun = true; /* a ClientHello came since */
	ck_assert_uint_eq(flows_at(0), 3);
	ck_assert_uint_eq(take_over(), 3);
	assert_at(of_cid, 1);
	assert_at(of_source, 1);
	assert_at(finished, 1);
	assert_at(other, 2);
	ck_assert(addr_equal(&of_cid->endpoint, &endpoint));
	ck_assert_ptr_eq(find(FLOW_CID, 1, 1), of_cid);
	ck_assert_ptr_eq(find(FLOW_SOURCE, 1, 2), of_source);
	ck_assert_uint_eq(flows_at(0), 0);
	ck_assert_uint_eq(flows_at(1), 3);
	ck_assert_uint_eq(flows_at(2), 1);
	ck_assert_uint_eq(count_of(FLOW_CLASS_CID), 3);
	ck_assert_uint_eq(count_of(FLOW_CLASS_ADDRESS), 1);
	/* And back. */
	configured.owner[0] = 0;
	ck_assert_uint_eq(follow(), 3);
	assert_at(of_cid, 0);
	ck_assert_uint_eq(flows_at(0), 3);
}
END_TEST

static bool pay(void *ctx, const struct ownership_pair *to, uint32_t octets)
{
	(void)ctx;
	(void)to;
	(void)octets;
	return true;
}

/* Proven address, places, accounts and times are as they were. */
START_TEST(state_stays)
{
	const struct ownership_pair proven = { addr_of(1), 0 };
	const struct ownership_datagram other = { { addr_of(9), 0 }, 70, 1001 };
	const struct ownership_purse purse = { .pay = pay };
	struct flow *flow = make(FLOW_CID, 1, 1);
	struct ownership_pair to[OWNERSHIP_WAYS_BACK];
	struct flow before;
	unsigned withheld;

	ownership_prove(&flow->session, &proven);
	ownership_uplink(&flow->session, NULL, &other);
	ownership_downlink(&flow->session, &(struct ownership_datagram){ .octets = 50 }, &purse, to, &withheld);
	flow_pass_up(flow, 1001);
	flow_pass_down(flow, 1, 1002);
	before = *flow;
	ck_assert_uint_eq(take_over(), 1);
	ck_assert_mem_eq(&flow->session, &before.session, sizeof flow->session);
	ck_assert_int_eq(flow->class, FLOW_CLASS_HANDSHAKE);
	ck_assert(flow->replied && flow->last_down);
	ck_assert_uint_eq(flow->copies, 1);
	ck_assert_uint_eq(flow->rounds, 1);
	ck_assert_uint_eq(flow->created_ms, 1000);
	ck_assert_uint_eq(flow->last_ms, 1002);
	ck_assert_uint_eq(flow->turned_ms, 1001);
	ck_assert_uint_eq(flow->endpoint.port, before.endpoint.port);
}
END_TEST

/* A flow stays in its class when it moves. It is promoted where it leads now, and ends like any other. */
START_TEST(class_stays)
{
	struct flow *flow = make(FLOW_CID, 1, 1);

	ck_assert_uint_eq(take_over(), 1);
	ck_assert_uint_eq(flows_at(0) + flows_at(1), 0);
	ck_assert_uint_eq(count_of(FLOW_CLASS_HANDSHAKE), 1);
	promote(flow);
	ck_assert_uint_eq(flows_at(1), 1);
	flows_end(flows, flow);
	assert_ended(FLOW_CID, 1, 1);
	ck_assert_ptr_null(flows_find_end(flows, &flow->endpoint, &configured.backend[1].addr));
	ck_assert_uint_eq(flows_at(1), 0);
	ck_assert_uint_eq(count_of(FLOW_CLASS_HANDSHAKE) + count_of(FLOW_CLASS_CID), 0);
}
END_TEST

START_TEST(handshakes_that_moved_make_room)
{
	make(FLOW_CID, 1, 1);
	ck_assert_uint_eq(take_over(), 1);
	for (unsigned n = 2; n < 2 + MAX_FLOWS / FLOW_HANDSHAKE_PART; n++)
		make(FLOW_CID, 2, n);
	assert_ended(FLOW_CID, 1, 1);
	ck_assert_uint_eq(flows_count(flows, configured.pool_uid).evicted[FLOW_CLASS_HANDSHAKE], 1);
}
END_TEST

/* Handshakes, and flows without a session, stay with the backend that they began with. */
START_TEST(no_session_does_not_follow_an_id)
{
	struct flow *address = promote(make(FLOW_ADDRESS, 1, 1)), *hello = make(FLOW_HELLO, 1, 2);

	ck_assert_uint_eq(take_over(), 0);
	assert_at(address, 0);
	assert_at(hello, 0);
	ck_assert_uint_eq(flows_at(0), 1);
}
END_TEST

START_TEST(all_follow_an_address)
{
	struct flow *made[] = { make(FLOW_ADDRESS, 1, 1), make(FLOW_HELLO, 1, 2), promote(make(FLOW_CID, 1, 3)),
				promote(make(FLOW_SOURCE, 1, 4)), make_finished(1, 5) };
	const struct addr before = configured.backend[0].addr;

	made[0]->handshake.begun = true;
	configured.backend[0].addr.ip[15] = 77;
	ck_assert_uint_eq(follow(), 5);
	for (int i = 0; i < 5; i++) {
		assert_at(made[i], 0);
		ck_assert_ptr_null(flows_find_end(flows, &made[i]->endpoint, &before));
	}
	ck_assert(made[0]->handshake.begun);
	ck_assert_uint_eq(flows_at(0), 3);
}
END_TEST

/* Two backends exchange their addresses. */
START_TEST(addresses_are_swapped)
{
	struct flow *one = make(FLOW_CID, 1, 1), *two = make(FLOW_CID, 2, 2);
	const struct addr first = configured.backend[0].addr;

	configured.backend[0].addr = configured.backend[1].addr;
	configured.backend[1].addr = first;
	ck_assert_uint_eq(follow(), 2);
	assert_at(one, 0);
	assert_at(two, 1);
}
END_TEST

START_TEST(nobody_knows_where_to)
{
	struct flow *flow = promote(make(FLOW_CID, 1, 1));

	configured.owner[0] = SNAPSHOT_NO_BACKEND;
	ck_assert_uint_eq(follow(), 0);
	assert_at(flow, 0);
	configured.owner[0] = 1;
	configured.backend[1].addr = (struct addr){ .port = 6002 };
	ck_assert_uint_eq(follow(), 0);
	ck_assert(addr_equal(&flow->backend_addr, &configured.backend[0].addr));
	/* The address becomes known. */
	configured.backend[1].addr = configured.backend[0].addr;
	configured.backend[1].addr.port = 6009;
	ck_assert_uint_eq(follow(), 1);
	assert_at(flow, 1);
}
END_TEST

START_TEST(nothing_moved)
{
	struct flow *flow = make(FLOW_CID, 1, 1);

	configured.backend[0].admin = BACKEND_DRAIN;
	configured.backend[1].weight = 7;
	ck_assert_uint_eq(follow(), 0);
	configured.backend[2].addr.port++;
	ck_assert_uint_eq(follow(), 0);
	assert_at(flow, 0);
}
END_TEST

/* Another session has the endpoint there already. */
START_TEST(endpoint_is_taken)
{
	struct flow *there = promote(make(FLOW_CID, 2, 2));
	struct what what;

	what_of(&what, FLOW_CID, 1, 1);
	what.made.endpoint = &there->endpoint;
	promote(flows_make(flows, &what.made));
	ck_assert_uint_eq(take_over(), 0);
	assert_ended(FLOW_CID, 1, 1);
	assert_at(there, 1);
	ck_assert_uint_eq(flows_at(0), 0);
	ck_assert_uint_eq(flows_at(1), 1);
	ck_assert_uint_eq(count_of(FLOW_CLASS_CID), 1);
}
END_TEST

START_TEST(other_family)
{
	promote(make(FLOW_CID, 1, 1));
	ck_assert_int_eq(addr_parse(&configured.backend[0].addr, "[fd00::1]:6001"), 0);
	ck_assert_uint_eq(follow(), 0);
	assert_ended(FLOW_CID, 1, 1);
	ck_assert_uint_eq(flows_at(0), 0);
}
END_TEST

/* Every descriptor is in use. */
START_TEST(at_max_flows)
{
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		promote(make(FLOW_CID, 1, n));
	ck_assert_uint_eq(take_over(), MAX_FLOWS);
	ck_assert_uint_eq(flows_at(1), MAX_FLOWS);
	for (unsigned n = 0; n < MAX_FLOWS; n++)
		assert_at(find(FLOW_CID, 1, n), 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, sessions_follow_their_id);
	tcase_add_test(tests, state_stays);
	tcase_add_test(tests, class_stays);
	tcase_add_test(tests, handshakes_that_moved_make_room);
	tcase_add_test(tests, no_session_does_not_follow_an_id);
	tcase_add_test(tests, all_follow_an_address);
	tcase_add_test(tests, addresses_are_swapped);
	tcase_add_test(tests, nobody_knows_where_to);
	tcase_add_test(tests, nothing_moved);
	tcase_add_test(tests, endpoint_is_taken);
	tcase_add_test(tests, other_family);
	tcase_add_test(tests, at_max_flows);
}

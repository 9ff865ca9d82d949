/* nat.endpoint = "handshake": sessions that keep the endpoint of their handshake. */
#include "control/flow_home.h"
#include "tests/fixtures/nat_bed.h"
#include "tests/unit/suite.h"

enum { DATA_OCTETS = 37, ALLOWED = 3 * DATA_OCTETS + OWNERSHIP_ALLOWANCE };

static void set_up_handshake(void)
{
	nat_begin();
	bed.configured.pool.nat.endpoint = ENDPOINT_HANDSHAKE;
	publish();
}

static struct flow *session_flow(int at)
{
	const struct octets cid = octets_of(cid_of(at));
	const struct flow_key key = {
		.kind = FLOW_CID, .pool = bed.configured.pool_uid, .cid_len = NAT_CID_OCTETS, .cid = cid.at
	};
	struct flow *flow = flows_find(bed.shared.flows, &key);

	free(cid.at);
	return flow;
}

static uint64_t flows_in_all(void)
{
	return flows_in(FLOW_CLASS_HANDSHAKE) + flows_in(FLOW_CLASS_ADDRESS) + flows_in(FLOW_CLASS_CID);
}

/* The handshake of X up to the server's Finished, which came down. */
static struct arrival finish_handshake(void)
{
	const struct arrival handshake = begin_handshake(), flight = up(X, flight_of(handshake.at));

	assert_same(handshake, flight);
	ck_assert_str_eq(down(&handshake, CHANGE FINISHED), "X");
	return handshake;
}

/* All of it, up to the first answer. */
static struct arrival make_session_there(void)
{
	const struct arrival handshake = finish_handshake(), data = up(X, data_of(handshake.at));

	assert_same(handshake, data);
	ck_assert_str_eq(down(&handshake, DATA), "X");
	return handshake;
}

/* One address, and one flow, from the first ClientHello on, wherever the device is. */
START_TEST(one_endpoint)
{
	const struct arrival home = make_session_there();
	struct arrival at;

	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 1);
	ck_assert_uint_eq(flows_in_all(), 1);
	at = up(Y, data_of(home.at));
	assert_same(at, home);
	ck_assert_str_eq(down(&home, DATA), "XY");
	at = up(Z, data_of(home.at));
	assert_same(at, home);
	ck_assert_str_eq(down(&home, DATA), "XYZ");
	ck_assert_uint_eq(flows_in_all(), 1);
}
END_TEST

/* It moves before the server has answered anything. */
START_TEST(moved_at_once)
{
	const struct arrival home = finish_handshake();
	struct arrival at = up(Y, data_of(home.at));

	assert_same(at, home);
	ck_assert_str_eq(down(&home, DATA), "XY");
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 1);
}
END_TEST

/* The server's last flight is lost, as often as not. The device repeats its own, in one datagram or in three, and gets
 * what it needs: plaintext, too. */
START_TEST(last_flight_lost)
{
	const struct arrival home = finish_handshake();
	struct arrival at;

	for (int i = 0; i < 3; i++) {
		at = up(X, flight_of(home.at));
		assert_same(at, home);
		ck_assert_str_eq(down(&home, CHANGE), "X");
		ck_assert_str_eq(down(&home, FINISHED), "X");
	}
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 0);
	at = up(X, KEY_EXCHANGE);
	assert_same(at, home);
	at = up(X, CHANGE);
	assert_same(at, home);
	at = up(X, with_cid("19fefd0001000000000000", home.at));
	assert_same(at, home);
	ck_assert_str_eq(down(&home, CHANGE FINISHED), "X");
	/* Nobody else gets any of it. */
	at = up(Y, flight_of(home.at));
	ck_assert_int_eq(at.at, NOBODY);
	at = up(X, data_of(home.at));
	assert_same(at, home);
	ck_assert_str_eq(down(&home, DATA), "X");
	ck_assert_uint_eq(flows_in_all(), 1);
}
END_TEST

/* Once the server has answered, plaintext is none of the session's: neither up nor down. */
START_TEST(plaintext)
{
	const struct arrival home = make_session_there();
	struct arrival at = up(X, flight_of(home.at));

	ck_assert_int_eq(at.at, NOBODY);
	ck_assert_uint_eq(verdicts(VERDICT_MIXED), 1);
	ck_assert_str_eq(down(&home, CHANGE), "");
	ck_assert_str_eq(down(&home, ALERT), "");
	ck_assert_uint_eq(counted()->refused_down[bed.configured.pool_uid][REFUSED_PLAINTEXT], 2);
}
END_TEST

/* Whoever shows the CID before the handshake is over does not keep the session at an endpoint of his. */
START_TEST(shown_early)
{
	const struct arrival handshake = begin_handshake();
	struct arrival forged = up(Y, data_of(handshake.at)), at;

	assert_other(forged, handshake);
	at = up(X, flight_of(handshake.at));
	assert_same(at, handshake);
	forged = up(Z, data_of(handshake.at));
	ck_assert_str_eq(down(&handshake, CHANGE FINISHED), "X");
	at = up(Y, data_of(handshake.at));
	assert_same(at, handshake);
	at = up(X, data_of(handshake.at));
	assert_same(at, handshake);
	ck_assert_str_eq(down_long(&handshake, 60000), "X");
	ck_assert_uint_eq(flows_in_all(), 1);
}
END_TEST

/* Promises a and b of common/ownership.h. */
START_TEST(forgers)
{
	const struct arrival home = make_session_there();
	char from[] = "10.0.0.10:4000";
	struct arrival at = up(Y, data_of(home.at));

	assert_same(at, home);
	ck_assert_str_eq(down_long(&home, ALLOWED), "XY");
	ck_assert_str_eq(down_long(&home, 60000), "X");
	/* It asks for more, and there are many: still the same endpoint, because the server takes no other. */
	for (int i = 0; i < 40; i++) {
		from[7] = (char)('1' + i / 10);
		from[8] = (char)('0' + i % 10);
		at = up(from, data_of(home.at));
		assert_same(at, home);
		ck_assert_int_eq(down_long(&home, 60000)[0], 'X');
	}
	ck_assert_uint_eq(counted()->own_endpoint[bed.configured.pool_uid], 0);
}
END_TEST

/* The same address begins another session with the same server: each has its endpoint. */
START_TEST(two_sessions_of_one_address)
{
	const struct arrival first = make_session_there();
	struct arrival second = up(X, seen_datagram(OPENSSL, 0)), at;
	char cid[2 * NAT_CID_OCTETS + 1], hex[512];

	ck_assert_int_eq(second.at, first.at);
	assert_other(second, first);
	snprintf(cid, sizeof cid, "%.2s112233445566aa", cid_of(first.at));
	ck_assert_str_eq(down(&second, server_hello(cid)), "X");
	snprintf(hex, sizeof hex, KEY_EXCHANGE CHANGE "19fefd0001000000000000%s" PAYLOAD, cid);
	at = up(X, hex);
	assert_same(at, second);
	ck_assert_str_eq(down(&second, CHANGE FINISHED), "X");
	snprintf(hex, sizeof hex, "19fefd0001000000000001%s" PAYLOAD, cid);
	at = up(X, hex);
	assert_same(at, second);
	ck_assert_str_eq(down(&second, DATA), "X");
	at = up(Y, data_of(first.at));
	assert_same(at, first);
	ck_assert_str_eq(down(&first, DATA), "XY");
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 2);
}
END_TEST

/* A ClientHello in the name of a device whose last flight is under way does not take that away. */
START_TEST(spoofed_hello)
{
	const struct arrival home = finish_handshake();
	struct arrival at = up(X, seen_datagram(OPENSSL, 0));

	assert_other(at, home);
	ck_assert_str_eq(down(&at, seen_datagram(OPENSSL, 1)), "X");
	at = up(X, flight_of(home.at));
	assert_same(at, home);
	ck_assert_str_eq(down(&home, CHANGE FINISHED), "X");
	at = up(X, data_of(home.at));
	assert_same(at, home);
	ck_assert_str_eq(down(&home, DATA), "X");
}
END_TEST

/* After a restart, or an eviction, a device that is where its handshake was goes on, whoever shows its CID before. One
 * that has moved is lost: nothing says where its handshake was. */
START_TEST(restart)
{
	const struct arrival home = make_session_there();
	struct arrival at;

	flows_end(bed.shared.flows, session_flow(home.at));
	at = up(Y, data_of(home.at));
	assert_other(at, home);
	at = up(X, data_of(home.at));
	assert_same(at, home);
	at = up(Y, data_of(home.at));
	at = up(X, data_of(home.at));
	assert_same(at, home);
	ck_assert_str_eq(down_long(&home, ALLOWED), "X");
	ck_assert_str_eq(down_long(&home, 60000), "");
	/* It is answered: nobody moves it any more. */
	at = up(Y, data_of(home.at));
	assert_same(at, home);
	at = up(X, data_of(home.at));
	assert_same(at, home);
	ck_assert_str_eq(down(&home, DATA), "XY");
	ck_assert_uint_eq(flows_in_all(), 1);
}
END_TEST

/* The id of its server moves while the last flight is under way. */
START_TEST(rehome)
{
	const struct arrival home = finish_handshake();
	const int other = (home.at + 1) % NAT_BACKENDS;
	struct arrival at;

	bed.configured.owner[home.at] = (uint16_t)other;
	bed.configured.owner[other] = SNAPSHOT_NO_BACKEND;
	publish();
	ck_assert_uint_eq(flow_home_follow(bed.shared.flows, path_bed_table(&bed)), 1);
	at = up(X, data_of(home.at));
	ck_assert_int_eq(at.at, other);
	ck_assert(addr_equal(&at.endpoint, &home.endpoint));
	ck_assert_str_eq(down(&at, DATA), "X");
	ck_assert_uint_eq(flows_in_all(), 1);
}
END_TEST

/* Any other server may change: the flow of a handshake that has handed its endpoint on stays. */
START_TEST(rehome_of_others)
{
	const struct arrival home = finish_handshake();
	const int other = (home.at + 1) % NAT_BACKENDS, third = (home.at + 2) % NAT_BACKENDS;
	struct arrival at = up(Y, data_of(other));

	ck_assert_int_eq(at.at, other);
	bed.configured.owner[other] = (uint16_t)third;
	bed.configured.owner[third] = SNAPSHOT_NO_BACKEND;
	publish();
	flow_home_follow(bed.shared.flows, path_bed_table(&bed));
	at = up(X, flight_of(home.at));
	assert_same(at, home);
	ck_assert_str_eq(down(&home, CHANGE FINISHED), "X");
	at = up(X, data_of(home.at));
	assert_same(at, home);
}
END_TEST

/* How many sessions of a server fell silent right after their handshake. */
static uint64_t silent(int at)
{
	for (int i = 0; i < FLOWS_SWEEP_CALLS; i++)
		flows_sweep(bed.shared.flows, bed.path->now_ms);
	return flows_silent(bed.shared.flows, bed.configured.uid[at]);
}

static void set_cid(int i)
{
	static const struct flows_limits limits = { .max_flows = 64, .idle_ms = 60000, .cid_idle_ms = 60000 };

	bed.configured.pool.nat.endpoint = ENDPOINT_CID;
	bed.configured.pool.nat.rebind = i ? REBIND_BACKEND : REBIND_FOLLOW;
	publish();
	ck_assert_int_eq(flows_set_limits(bed.shared.flows, bed.configured.pool_uid, &limits), 0);
}

/* nat.endpoint = "cid", rebind = "follow" or "backend": the server does not answer behind the handshake. */
START_TEST(silence)
{
	struct arrival home;

	set_cid(_i);
	home = finish_handshake();
	for (int i = 0; i < 5; i++)
		up(X, data_of(home.at));
	/* It is too soon to tell. */
	ck_assert_uint_eq(silent(home.at), 0);
	pass_ms(FLOW_SILENT_MS);
	ck_assert_uint_eq(silent(home.at), 1);
	up(X, data_of(home.at));
	ck_assert_uint_eq(silent(home.at), 1);
}
END_TEST

/* It ends the session, as pion does: with an alert to where the handshake was. */
START_TEST(alert)
{
	struct arrival home;

	set_cid(_i);
	home = finish_handshake();
	/* It has repeated its last flight, too. */
	ck_assert_str_eq(down(&home, CHANGE FINISHED), "X");
	up(X, data_of(home.at));
	pass_ms(FLOW_SILENT_MS);
	ck_assert_uint_eq(silent(home.at), 0);
	ck_assert_str_eq(down(&home, DATA), "X");
	ck_assert_uint_eq(silent(home.at), 1);
}
END_TEST

/* What others say, and what a server has answered, counts for nothing. */
START_TEST(no_silence)
{
	struct arrival home, at;

	set_cid(0);
	home = finish_handshake();
	for (int i = 0; i < 5; i++)
		up(Y, data_of(home.at));
	pass_ms(3000);
	ck_assert_uint_eq(silent(home.at), 0);
	up(X, data_of(home.at));
	at = up(X, data_of(home.at));
	down(&home, DATA);
	ck_assert_str_eq(down(&at, DATA), "XY");
	ck_assert_uint_eq(counted()->sessions[bed.configured.uid[home.at]], 1);
	for (int i = 0; i < 5; i++)
		up(X, data_of(home.at));
	ck_assert_uint_eq(silent(home.at), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up_handshake, tear_down);
	tcase_add_test(tests, one_endpoint);
	tcase_add_test(tests, moved_at_once);
	tcase_add_test(tests, last_flight_lost);
	tcase_add_test(tests, plaintext);
	tcase_add_test(tests, shown_early);
	tcase_add_test(tests, forgers);
	tcase_add_test(tests, two_sessions_of_one_address);
	tcase_add_test(tests, spoofed_hello);
	tcase_add_test(tests, restart);
	tcase_add_test(tests, rehome);
	tcase_add_test(tests, rehome_of_others);
	tcase_add_loop_test(tests, silence, 0, 2);
	tcase_add_loop_test(tests, alert, 0, 2);
	tcase_add_test(tests, no_silence);
}

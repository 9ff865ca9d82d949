/* Handshakes of mode nat, from the ClientHello to the first application record, as devices and servers see them. */
#include "tests/fixtures/nat_bed.h"
#include "tests/unit/suite.h"

static struct flow *flow_of_x(void)
{
	const struct flow_key key = { .kind = FLOW_ADDRESS,
				      .pool = bed.configured.pool_uid,
				      .service = bed.configured.listener_uid,
				      .source = addr_of(X) };

	return flows_find(bed.shared.flows, &key);
}

/* One endpoint for the handshake, one for the session, and one flow per device in the end. */
START_TEST(with_cookie_and_cid)
{
	const struct arrival home = make_session();

	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 0);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_ADDRESS), 0);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 1);
	ck_assert_ptr_null(flow_of_x());
	for (int i = 0; i < 3; i++) {
		const struct arrival again = up(X, data_of(home.at));

		assert_same(again, home);
		/* X is proven: it gets what it gets. */
		ck_assert_str_eq(down_long(&home, 60000), "X");
	}
	ck_assert_uint_eq(counted()->reflected[bed.configured.pool_uid], 0);
}
END_TEST

/* Its session is there, and belongs to the handshake until it is answered at its own endpoint. */
START_TEST(proven_before_the_first_record)
{
	const struct arrival handshake = begin_handshake();
	struct arrival home, other;

	up(X, flight_of(handshake.at));
	down(&handshake, CHANGE FINISHED);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 2);
	/* Somebody else shows the CID first. */
	other = up(Y, data_of(handshake.at));
	assert_other(other, handshake);
	home = up(X, data_of(handshake.at));
	assert_same(home, other);
	ck_assert_str_eq(down(&home, DATA), "XY");
	ck_assert_str_eq(down_long(&home, 60000), "X");
}
END_TEST

/* The server's Finished was lost. So the device repeats its flight, and the server its answer. */
START_TEST(flight_repeated)
{
	const struct arrival handshake = begin_handshake();
	struct arrival home;

	for (int i = 0; i < 3; i++) {
		const struct arrival flight = up(X, flight_of(handshake.at));

		assert_same(flight, handshake);
		ck_assert_str_eq(down(&handshake, CHANGE FINISHED), "X");
	}
	home = up(X, data_of(handshake.at));
	ck_assert_str_eq(down(&home, DATA), "X");
	/* The session is answered: what looks like a flight is forged. */
	ck_assert_int_eq(up(X, flight_of(handshake.at)).at, NOBODY);
	ck_assert_uint_eq(verdicts(VERDICT_MIXED), 1);
}
END_TEST

/* Some devices send Finished in a datagram of its own, others each record. */
START_TEST(finished_alone)
{
	const struct arrival handshake = begin_handshake();
	const char *const finished[] = { FINISHED_OF(CID_OF(1)), FINISHED_OF(CID_OF(2)), FINISHED_OF(CID_OF(3)) };
	struct arrival at = up(X, KEY_EXCHANGE);

	assert_same(at, handshake);
	at = up(X, CHANGE);
	assert_same(at, handshake);
	at = up(X, finished[handshake.at]);
	assert_same(at, handshake);
	/* Repeated. */
	at = up(X, finished[handshake.at]);
	assert_same(at, handshake);
	ck_assert_str_eq(down(&handshake, CHANGE FINISHED), "X");
	at = up(X, data_of(handshake.at));
	assert_other(at, handshake);
	ck_assert_str_eq(down(&at, DATA), "X");
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 1);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 0);
}
END_TEST

/* Another CID than that of its ServerHello: of another server, of the same one. */
START_TEST(flight_with_a_foreign_cid)
{
	const struct arrival handshake = begin_handshake();
	char other[] = CID_OF(1), hex[512];

	ck_assert_int_eq(up(X, flight_of((handshake.at + 1) % NAT_BACKENDS)).at, NOBODY);
	other[1] = (char)('1' + handshake.at);
	other[15] = '7';
	snprintf(hex, sizeof hex, KEY_EXCHANGE CHANGE "19fefd0001000000000000%s" PAYLOAD, other);
	ck_assert_int_eq(up(X, hex).at, NOBODY);
	ck_assert_uint_eq(verdicts(VERDICT_MIXED), 2);
	/* Without the plaintext before it, it is somebody's session. */
	snprintf(hex, sizeof hex, "19fefd0001000000000001%s" PAYLOAD, other);
	const struct arrival session = up(X, hex);
	assert_other(session, handshake);
}
END_TEST

/* A flight never uses a session's endpoint, whoever sends it. */
START_TEST(flight_of_somebody_else)
{
	const struct arrival home = make_session();

	ck_assert_int_eq(up(Y, flight_of(home.at)).at, NOBODY);
	ck_assert_uint_eq(verdicts(VERDICT_MIXED), 1);
}
END_TEST

/* No ServerHello is known, as after a restart: a flight goes on with the handshake of its source. `_i`: with contest =
 * "home" none does. */
START_TEST(flight_after_a_restart)
{
	struct arrival flight, record;

	bed.configured.pool.nat.contest = _i ? CONTEST_HOME : CONTEST_OWN;
	publish();
	flight = up(X, flight_of(1));
	if (_i) {
		ck_assert_int_eq(flight.at, NOBODY);
		ck_assert_uint_eq(verdicts(VERDICT_MIXED), 1);
		return;
	}
	ck_assert_int_eq(flight.at, 1);
	ck_assert_str_eq(down(&flight, CHANGE FINISHED), "X");
	record = up(X, data_of(1));
	assert_other(record, flight);
	/* It is proven for nobody. */
	ck_assert_str_eq(down_long(&record, 60000), "");
	ck_assert_int_eq(up(X, flight_of(2)).at, NOBODY);
}
END_TEST

START_TEST(without_a_cid)
{
	struct arrival at = up(X, seen_datagram(OPENSSL, 0)), again;

	ck_assert_str_eq(down(&at, seen_datagram(OPENSSL, 1)), "X");
	again = up(X, seen_datagram(OPENSSL, 2));
	assert_same(again, at);
	down(&at, seen_datagram(OPENSSL, 3));
	up(X, KEY_EXCHANGE CHANGE);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 1);
	ck_assert_str_eq(down(&at, CHANGE FINISHED), "X");
	ck_assert_uint_eq(flows_in(FLOW_CLASS_ADDRESS), 1);
	again = up(X, DATA);
	assert_same(again, at);
	ck_assert_str_eq(down_long(&at, 60000), "X");
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 0);
}
END_TEST

/* A server hands out a CID that leads to another server. It proves nothing there. */
START_TEST(cid_of_another_server)
{
	const struct arrival handshake = up(X, seen_datagram(MBEDTLS, 0));
	const int other = (handshake.at + 1) % NAT_BACKENDS;
	struct arrival home;

	ck_assert_str_eq(down(&handshake, server_hello(cid_of(other))), "X");
	up(X, data_of(other));
	ck_assert_str_eq(down(&handshake, CHANGE FINISHED), "X");
	home = up(Y, data_of(other));
	ck_assert_int_eq(home.at, other);
	ck_assert_str_eq(down_long(&home, 60000), "");
	ck_assert_str_eq(down(&home, DATA), "Y");
}
END_TEST

/* A ClientHello that is replayed: the server resumes, and says Finished at once. That proves nobody. */
START_TEST(replayed_resumption)
{
	char hello_and_finished[4200];
	const struct arrival handshake = up(X, seen_datagram(MBEDTLS, 0));
	struct arrival home;

	snprintf(hello_and_finished, sizeof hello_and_finished, "%s" CHANGE FINISHED,
		 server_hello(cid_of(handshake.at)));
	for (int i = 0; i < 3; i++)
		down(&handshake, hello_and_finished);
	down(&handshake, CHANGE FINISHED);
	home = up(Y, data_of(handshake.at));
	ck_assert_str_eq(down(&home, DATA), "Y");
}
END_TEST

/* Servers without cookies answer whom they like. Beyond three times and the allowance it is counted. */
START_TEST(reflected)
{
	const struct arrival at = up(X, seen_datagram(MBEDTLS, 0));

	ck_assert_str_eq(down(&at, server_hello(cid_of(at.at))), "X");
	ck_assert_uint_eq(counted()->reflected[bed.configured.pool_uid], 0);
	ck_assert_str_eq(down_long(&at, 3000), "X");
	ck_assert_uint_eq(counted()->reflected[bed.configured.pool_uid], 1);
}
END_TEST

/* One with cookies does not answer more before the cookie came back. Something else is up. */
START_TEST(withheld_before_the_cookie)
{
	const struct arrival at = up(X, seen_datagram(MBEDTLS, 0));

	down(&at, seen_datagram(MBEDTLS, 1));
	ck_assert_str_eq(down_long(&at, 3000), "");
	ck_assert_uint_eq(counted()->refused_down[bed.configured.pool_uid][REFUSED_BUDGET], 1);
	up(X, seen_datagram(MBEDTLS, 2));
	ck_assert_str_eq(down_long(&at, 60000), "X");
}
END_TEST

/* X has a session without a CID. Its server takes no new ones. */
static struct arrival make_session_without_cid(void)
{
	const struct arrival at = up(X, seen_datagram(OPENSSL, 0));

	down(&at, seen_datagram(OPENSSL, 1));
	up(X, seen_datagram(OPENSSL, 2));
	down(&at, seen_datagram(OPENSSL, 3));
	up(X, KEY_EXCHANGE CHANGE);
	down(&at, CHANGE FINISHED);
	bed.configured.backend[at.at].admin = BACKEND_DRAIN;
	publish();
	return at;
}

/* Anybody can send a ClientHello in its name. It takes the session from nobody before the other server has more to say
 * than HelloVerifyRequest. */
START_TEST(second_handshake_of_an_address)
{
	const struct arrival old = make_session_without_cid();
	struct arrival at, hello = up(X, seen_datagram(MBEDTLS, 0));

	/* Perhaps at the same endpoint: there is one for each server. */
	ck_assert_int_ne(hello.at, old.at);
	ck_assert_str_eq(down(&hello, seen_datagram(MBEDTLS, 1)), "X");
	at = up(X, DATA);
	assert_same(at, old);
	ck_assert_str_eq(down(&old, DATA), "X");
	at = up(X, seen_datagram(MBEDTLS, 2));
	assert_same(at, hello);
	at = up(X, DATA);
	assert_same(at, old);
	/* The server goes on. */
	ck_assert_str_eq(down(&hello, server_hello(cid_of(hello.at))), "X");
	ck_assert_ptr_nonnull(flow_of_x());
	at = up(X, KEY_EXCHANGE);
	assert_same(at, hello);
	ck_assert_str_eq(down(&old, DATA), "");
	ck_assert_uint_eq(counted()->strays, 1);
	at = up(X, flight_of(hello.at));
	assert_same(at, hello);
	ck_assert_str_eq(down(&hello, CHANGE FINISHED), "X");
	at = up(X, data_of(hello.at));
	ck_assert_str_eq(down_long(&at, 60000), "X");
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 1);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE) + flows_in(FLOW_CLASS_ADDRESS), 0);
}
END_TEST

/* The server is drained before the device has its answer, and so repeats its first ClientHello: the same server gets
 * it, and the cookie. Another handshake goes elsewhere; so does one whose server is down. */
START_TEST(first_hello_repeated)
{
	const struct arrival first = up(X, seen_datagram(MBEDTLS, 0));
	struct arrival at, other;

	bed.configured.backend[first.at].admin = BACKEND_DRAIN;
	publish();
	for (int i = 0; i < 3; i++) {
		at = up(X, seen_datagram(MBEDTLS, 0));
		assert_same(at, first);
	}
	ck_assert_str_eq(down(&first, seen_datagram(MBEDTLS, 1)), "X");
	at = up(X, seen_datagram(MBEDTLS, 0));
	assert_same(at, first);
	at = up(X, seen_datagram(MBEDTLS, 2));
	assert_same(at, first);
	ck_assert_uint_eq(verdicts(VERDICT_HINT), 5);
	other = up(X, seen_datagram(OPENSSL, 0));
	ck_assert_int_ne(other.at, first.at);
	/* That one's server fails. */
	bed.configured.backend[other.at].admin = BACKEND_MAINT;
	bed.configured.backend[first.at].admin = BACKEND_READY;
	publish();
	at = up(X, seen_datagram(OPENSSL, 0));
	ck_assert_int_ne(at.at, other.at);
	ck_assert_int_ne(at.at, NOBODY);
}
END_TEST

/* Only forged: the session goes on for as long as one likes. */
START_TEST(forged_hellos)
{
	const struct arrival old = make_session_without_cid();

	for (int i = 0; i < 100; i++) {
		const struct arrival hello = up(X, seen_datagram(i % 2 ? MBEDTLS : OPENSSL, 0));
		struct arrival at;

		down(&hello, seen_datagram(MBEDTLS, 1));
		at = up(X, DATA);
		assert_same(at, old);
		ck_assert_str_eq(down(&old, DATA), "X");
	}
	ck_assert_uint_eq(flows_in(FLOW_CLASS_ADDRESS), 1);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 1);
}
END_TEST

static uint64_t begun(void)
{
	return sum_of(counted()->begun, STATS_BACKENDS);
}

static uint64_t answered(void)
{
	return sum_of(counted()->answered, STATS_BACKENDS);
}

/* A handshake is a new session, however often its device repeats it; another random is another one. */
START_TEST(new_sessions)
{
	struct arrival at = up(X, seen_datagram(MBEDTLS, 0));

	ck_assert_uint_eq(counted()->begun[bed.configured.uid[at.at]], 1);
	up(X, seen_datagram(MBEDTLS, 0));
	ck_assert_uint_eq(begun(), 1);
	ck_assert_uint_eq(answered(), 0);
	up(X, seen_datagram(OPENSSL, 0));
	up(Y, seen_datagram(MBEDTLS, 0));
	ck_assert_uint_eq(begun(), 3);
	/* No ClientHello */
	up(Z, KEY_EXCHANGE);
	up(Z, data_of(0));
	ck_assert_uint_eq(begun(), 3);
}
END_TEST

/* What a server says first shows that it is there; what it says later shows nothing of new sessions. */
START_TEST(first_answers)
{
	struct arrival at = up(X, seen_datagram(MBEDTLS, 0)), home;

	ck_assert_str_eq(down(&at, "15fefd00010000000000010002 0228"), "X");
	ck_assert_uint_eq(counted()->answered[bed.configured.uid[at.at]], 0);
	ck_assert_str_eq(down(&at, ALERT), "X");
	ck_assert_uint_eq(counted()->answered[bed.configured.uid[at.at]], 1);
	ck_assert_str_eq(down(&at, seen_datagram(MBEDTLS, 1)), "X");
	ck_assert_uint_eq(answered(), 2);
	home = make_session();
	ck_assert_uint_eq(answered(), 4);
	up(X, data_of(home.at));
	ck_assert_str_eq(down_long(&home, 100), "X");
	ck_assert_uint_eq(answered(), 4);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, with_cookie_and_cid);
	tcase_add_test(tests, proven_before_the_first_record);
	tcase_add_test(tests, flight_repeated);
	tcase_add_test(tests, finished_alone);
	tcase_add_test(tests, flight_with_a_foreign_cid);
	tcase_add_test(tests, flight_of_somebody_else);
	tcase_add_loop_test(tests, flight_after_a_restart, 0, 2);
	tcase_add_test(tests, without_a_cid);
	tcase_add_test(tests, cid_of_another_server);
	tcase_add_test(tests, replayed_resumption);
	tcase_add_test(tests, reflected);
	tcase_add_test(tests, withheld_before_the_cookie);
	tcase_add_test(tests, second_handshake_of_an_address);
	tcase_add_test(tests, first_hello_repeated);
	tcase_add_test(tests, forged_hellos);
	tcase_add_test(tests, new_sessions);
	tcase_add_test(tests, first_answers);
}

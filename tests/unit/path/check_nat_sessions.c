/* Sessions of mode nat whose CID several addresses show, and who gets what their servers say. */
#include "tests/fixtures/nat_bed.h"
#include "tests/unit/suite.h"

enum { DATA_OCTETS = 37 /* of data_of() */, ALLOWED = 3 * DATA_OCTETS + OWNERSHIP_ALLOWANCE /* for one of them */ };

static uint64_t withheld(void)
{
	return counted()->withheld[bed.configured.pool_uid];
}

static uint64_t own_endpoint(void)
{
	return counted()->own_endpoint[bed.configured.pool_uid];
}

static uint64_t refused_down(enum refused reason)
{
	return counted()->refused_down[bed.configured.pool_uid][reason];
}

static uint64_t moves(void)
{
	return counted()->moves[bed.configured.pool_uid];
}

static uint64_t rescued(void)
{
	return counted()->rescued[bed.configured.pool_uid];
}

START_TEST(length_of_a_datagram)
{
	const struct octets octets = octets_of(data_of(0));

	ck_assert_uint_eq(octets.len, DATA_OCTETS);
	free(octets.at);
}
END_TEST

/* The forger gets three times what it sent and an allowance, the device all. */
START_TEST(forger_in_a_place)
{
	const struct arrival home = make_session();
	struct arrival forged = up(Y, data_of(home.at)), own;

	assert_same(forged, home);
	ck_assert_str_eq(down_long(&home, ALLOWED), "XY");
	ck_assert_uint_eq(counted()->copies[bed.configured.pool_uid], 1);
	ck_assert_str_eq(down_long(&home, 60000), "X");
	ck_assert_uint_eq(withheld(), 1);
	/* Its uplinks leave by an endpoint of its own now, and the server decides. */
	own = up(Y, data_of(home.at));
	ck_assert_int_eq(own.at, home.at);
	assert_other(own, home);
	ck_assert_uint_eq(own_endpoint(), 1);
	ck_assert_str_eq(down_long(&own, 100), "Y");
	ck_assert_str_eq(down_long(&own, ALLOWED), "");
	ck_assert_uint_eq(refused_down(REFUSED_BUDGET), 1);
	/* The device notices nothing. */
	forged = up(X, data_of(home.at));
	assert_same(forged, home);
	ck_assert_int_eq(down_long(&home, 60000)[0], 'X');
}
END_TEST

/* A device moves, and asks for more than it is given: the server moves to its own endpoint, for as long as it is used.
 */
START_TEST(device_moves_and_asks_for_much)
{
	const struct arrival home = make_session();
	struct arrival at = up(Y, data_of(home.at)), own;

	assert_same(at, home);
	down_long(&home, 60000);
	own = up(Y, data_of(home.at));
	assert_other(own, home);
	for (int i = 0; i < 50; i++) {
		ck_assert_str_eq(down_long(&own, 1200), "Y");
		pass_ms(10000);
		at = up(Y, data_of(home.at));
		assert_same(at, own);
	}
	/* It rests for longer than it is open. */
	pass_ms(OWNERSHIP_OPEN_MS + 1000);
	at = up(Y, data_of(home.at));
	assert_same(at, home);
	ck_assert_uint_eq(own_endpoint(), 51);
	ck_assert_uint_eq(moves(), 1);
}
END_TEST

/* A session that goes on elsewhere was rescued, once however often it moves. */
START_TEST(moves_are_counted)
{
	const struct arrival home = make_session();
	struct arrival at;

	ck_assert_uint_eq(counted()->handshakes_begun[bed.configured.pool_uid], 1);
	ck_assert_uint_eq(counted()->handshakes_over[bed.configured.pool_uid], 1);
	down_long(&home, 100);
	ck_assert_uint_eq(moves(), 0);
	at = up(Y, data_of(home.at));
	assert_same(at, home);
	ck_assert_uint_eq(moves() + rescued(), 0);
	down_long(&home, 100);
	down_long(&home, 100);
	ck_assert_uint_eq(moves(), 1);
	ck_assert_uint_eq(rescued(), 1);
	at = up(X, data_of(home.at));
	assert_same(at, home);
	down_long(&home, 100);
	ck_assert_uint_eq(moves(), 2);
	ck_assert_uint_eq(rescued(), 1);
	ck_assert_uint_eq(counted()->handshakes_begun[bed.configured.pool_uid], 1);
}
END_TEST

/* The endpoint is that of the pair for life: opened again, it is the same. */
START_TEST(own_endpoint_again)
{
	const struct arrival home = make_session();
	struct arrival first, second;

	up(Y, data_of(home.at));
	down_long(&home, 60000);
	first = up(Y, data_of(home.at));
	pass_ms(OWNERSHIP_OPEN_MS + 1000);
	up(Y, data_of(home.at));
	down_long(&home, 60000);
	second = up(Y, data_of(home.at));
	assert_same(first, second);
	assert_other(first, home);
}
END_TEST

/* No place is free. The fifth address gets an endpoint of its own, and is known once the server answers there. */
START_TEST(fifth_address)
{
	const struct arrival home = make_session();
	char from[] = "10.0.0.1:4000";
	struct arrival own, at;

	for (int i = 0; i < OWNERSHIP_PLACES; i++) {
		from[7] = (char)('1' + i);
		at = up(from, data_of(home.at));
		assert_same(at, home);
	}
	ck_assert_str_eq(down(&home, DATA), "X????");
	own = up(Z, data_of(home.at));
	assert_other(own, home);
	ck_assert_str_eq(down(&home, DATA), "X????");
	ck_assert_str_eq(down(&own, DATA), "Z");
	ck_assert_uint_eq(withheld(), 0);
	/* It has a place now, of one of the others. */
	at = up(Z, data_of(home.at));
	assert_same(at, home);
	ck_assert_ptr_nonnull(strchr(down(&home, DATA), 'Z'));
}
END_TEST

/* contest = "home": own endpoints never open. */
START_TEST(contest_home)
{
	struct arrival home, at;
	char from[] = "10.0.0.10:4000";

	bed.configured.pool.nat.contest = CONTEST_HOME;
	publish();
	home = make_session();
	for (int i = 0; i < 40; i++) {
		from[7] = (char)('1' + i / 10);
		from[8] = (char)('0' + i % 10);
		at = up(from, data_of(home.at));
		assert_same(at, home);
		down_long(&home, 60000);
		at = up(from, data_of(home.at));
		assert_same(at, home);
	}
	ck_assert_uint_eq(strlen(down(&home, DATA)), 1 + OWNERSHIP_PLACES_HOME);
	ck_assert_uint_eq(own_endpoint(), 0);
}
END_TEST

/* What is protected by no key goes to nobody, be it at the session's endpoint or at one of a source. */
START_TEST(plaintext_from_the_server)
{
	const struct arrival home = make_session();
	struct arrival own;

	ck_assert_str_eq(down(&home, ALERT), "");
	ck_assert_str_eq(down(&home, seen_datagram(MBEDTLS, 1)), "");
	ck_assert_str_eq(down(&home, server_hello(cid_of(home.at))), "");
	ck_assert_uint_eq(refused_down(REFUSED_PLAINTEXT), 3);
	up(Y, data_of(home.at));
	down_long(&home, 60000);
	own = up(Y, data_of(home.at));
	assert_other(own, home);
	ck_assert_str_eq(down(&own, ALERT), "");
	ck_assert_uint_eq(refused_down(REFUSED_PLAINTEXT), 4);
	ck_assert_str_eq(down(&own, DATA), "Y");
}
END_TEST

/* A plaintext answer is none: the session stays where handshakes are, and whoever has no credentials can have it
 * evicted. */
START_TEST(plaintext_promotes_nothing)
{
	const struct arrival home = up(X, data_of(1));

	for (int i = 0; i < 5; i++)
		down(&home, ALERT);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 0);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 1);
	down(&home, DATA);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 1);
}
END_TEST

/* After a restart, and on another node: the endpoint is the same, and nobody is proven. */
START_TEST(restart)
{
	const struct arrival home = make_session();
	const struct octets cid = octets_of(cid_of(home.at));
	struct arrival at;
	const struct flow_key key = {
		.kind = FLOW_CID, .pool = bed.configured.pool_uid, .cid_len = NAT_CID_OCTETS, .cid = cid.at
	};

	flows_end(bed.shared.flows, flows_find(bed.shared.flows, &key));
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 0);
	at = up(X, data_of(home.at));
	assert_same(at, home);
	ck_assert_str_eq(down_long(&home, ALLOWED), "X");
	ck_assert_str_eq(down_long(&home, 60000), "");
	ck_assert_uint_eq(refused_down(REFUSED_BUDGET), 1);
	free(cid.at);
}
END_TEST

/* nat.unproven_rate: 0 gives nothing beyond three times, and what there is, is for all sessions of the pool. */
START_TEST(unproven_rate)
{
	struct arrival home;

	bed.configured.pool.nat.unproven_rate = _i ? OWNERSHIP_ALLOWANCE : 0;
	publish();
	home = make_session();
	up(Y, data_of(home.at));
	up(Z, data_of(home.at));
	ck_assert_str_eq(down_long(&home, 3 * DATA_OCTETS), "XYZ");
	ck_assert_str_eq(down_long(&home, 2000), _i ? "XY" : "X");
	ck_assert_uint_eq(withheld(), _i ? 1 : 2);
	/* A second later there is as much again. */
	pass_ms(1000);
	ck_assert_str_eq(down_long(&home, 2000), _i ? "XZ" : "X");
}
END_TEST

/* A record of DTLS 1.3 with this CID, and one without. */
#define DATA13_OF(cid) "3f" cid "00010010 00112233445566778899aabbccddeeff"
#define DATA13         "2f 00010010 00112233445566778899aabbccddeeff"
#define CID13          "01aaaaaaaaaaaaaa"

static void sweep(void)
{
	for (int i = 0; i < FLOWS_SWEEP_CALLS; i++)
		flows_sweep(bed.shared.flows, bed.path->now_ms);
}

/* A device goes on to a CID that was agreed in secret, where it is or elsewhere. No handshake has shown that CID, and
 * its flow lives as long as any of a session that was answered. That of the first CID, too: nothing tells that it is
 * the same device's. */
START_TEST(another_cid)
{
	static const struct flows_limits limits = { .max_flows = 64, .idle_ms = 1000, .cid_idle_ms = 9000 };
	const struct arrival first = make_session();
	struct arrival second = up(_i ? Y : X, DATA13_OF(CID13));

	ck_assert_int_eq(flows_set_limits(bed.shared.flows, bed.configured.pool_uid, &limits), 0);
	ck_assert_str_eq(down(&second, DATA13), _i ? "Y" : "X");
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 2);
	pass_ms(8000);
	sweep();
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 2);
	ck_assert_str_eq(down(&second, DATA13), _i ? "Y" : "X");
	ck_assert_str_eq(down(&first, DATA), "X");
	pass_ms(9000);
	sweep();
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 0);
}
END_TEST

/* Only from the session's server. */
START_TEST(answers_of_others)
{
	const struct arrival home = make_session();
	struct arrival other = home;

	other.at = (home.at + 1) % NAT_BACKENDS;
	ck_assert_str_eq(down(&other, DATA), "");
	other = home;
	other.endpoint.port++;
	ck_assert_str_eq(down(&other, DATA), "");
	ck_assert_uint_eq(counted()->strays, 2);
	ck_assert_str_eq(down(&home, DATA), "X");
}
END_TEST

/* A new handshake of the same device, at the address of Y: the session before stays what it was. */
START_TEST(two_sessions)
{
	const struct arrival first = make_session();
	struct arrival at = up(Y, seen_datagram(OPENSSL, 0));

	down(&at, seen_datagram(OPENSSL, 1));
	at = up(Y, data_of(first.at));
	assert_same(at, first);
	ck_assert_str_eq(down(&first, DATA), "XY");
}
END_TEST

/* rebind = "backend": each source has its own endpoint, and the server moves the session. */
START_TEST(rebind_backend)
{
	struct arrival handshake, x, y, at;

	bed.configured.pool.nat.rebind = REBIND_BACKEND;
	publish();
	handshake = begin_handshake();
	at = up(X, flight_of(handshake.at));
	assert_same(at, handshake);
	ck_assert_str_eq(down(&handshake, CHANGE FINISHED), "X");
	x = up(X, data_of(handshake.at));
	ck_assert_int_eq(x.at, handshake.at);
	ck_assert_str_eq(down_long(&x, 60000), "X");
	y = up(Y, data_of(handshake.at));
	assert_other(y, x);
	ck_assert_str_eq(down_long(&y, 60000), "Y");
	ck_assert_str_eq(down_long(&x, 60000), "X");
	at = up(X, data_of(handshake.at));
	assert_same(at, x);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_CID), 2);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 0);
	ck_assert_uint_eq(withheld() + own_endpoint(), 0);
}
END_TEST

static void make_udp(void)
{
	bed.configured.pool.protocol = POOL_UDP;
	bed.configured.pool.layout = (struct cid_layout){ .scheme = CID_LAYOUT_NONE };
	publish();
}

/* Plain UDP: what was asked twice and answered twice is no forgery of one datagram. */
START_TEST(udp_rounds)
{
	struct arrival at, again;

	make_udp();
	at = up(X, "40010001");
	ck_assert_str_eq(down(&at, "60000001"), "X");
	ck_assert_str_eq(down(&at, "60000002"), "X");
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 1);
	again = up(X, "40010002");
	assert_same(at, again);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 1);
	ck_assert_str_eq(down_octets(&at, (const uint8_t[1500]){ 0 }, 1500), "X");
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 0);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_ADDRESS), 1);
	ck_assert_uint_eq(counted()->begun[bed.configured.uid[at.at]], 1);
	ck_assert_uint_eq(counted()->answered[bed.configured.uid[at.at]], 1);
}
END_TEST

START_TEST(udp_without_answers)
{
	make_udp();
	for (int i = 0; i < 10; i++)
		up(X, "40010001");
	ck_assert_uint_eq(sum_of(counted()->begun, STATS_BACKENDS), 1);
	ck_assert_uint_eq(sum_of(counted()->answered, STATS_BACKENDS), 0);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_HANDSHAKE), 1);
	ck_assert_uint_eq(flows_in(FLOW_CLASS_ADDRESS), 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, length_of_a_datagram);
	tcase_add_test(tests, forger_in_a_place);
	tcase_add_test(tests, device_moves_and_asks_for_much);
	tcase_add_test(tests, moves_are_counted);
	tcase_add_test(tests, own_endpoint_again);
	tcase_add_test(tests, fifth_address);
	tcase_add_test(tests, contest_home);
	tcase_add_test(tests, plaintext_from_the_server);
	tcase_add_test(tests, plaintext_promotes_nothing);
	tcase_add_test(tests, restart);
	tcase_add_loop_test(tests, unproven_rate, 0, 2);
	tcase_add_loop_test(tests, another_cid, 0, 2);
	tcase_add_test(tests, answers_of_others);
	tcase_add_test(tests, two_sessions);
	tcase_add_test(tests, rebind_backend);
	tcase_add_test(tests, udp_rounds);
	tcase_add_test(tests, udp_without_answers);
}

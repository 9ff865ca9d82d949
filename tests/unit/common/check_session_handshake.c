/* Handshakes, whole and broken. */
#include "tests/fixtures/session_pair.h"
#include "tests/unit/suite.h"

START_TEST(handshake_agrees_on_the_servers_cid)
{
	struct pair *pair = pair_established(sizeof server_cid);
	uint8_t cid[SESSION_CID_MAX];

	/* ClientHello twice and flight 5; HelloVerifyRequest, ServerHello flight, Finished: one datagram each. */
	ck_assert_uint_eq(pair->client.sent, 3);
	ck_assert_uint_eq(pair->server.sent, 3);
	ck_assert(session_uses_cid(pair->client.session));
	ck_assert(session_uses_cid(pair->server.session));
	ck_assert_uint_eq(session_peer_cid(pair->client.session, cid), sizeof server_cid);
	ck_assert_mem_eq(cid, server_cid, sizeof server_cid);
	ck_assert_uint_eq(session_peer_cid(pair->server.session, cid), 0);
	ck_assert(session_deadline(pair->client.session) == SESSION_NEVER);
	ck_assert(session_deadline(pair->server.session) == SESSION_NEVER);

	say(pair, &pair->client, &pair->server, "up");
	say(pair, &pair->server, &pair->client, "down");
	struct datagram record = record_of(pair, "again");
	ck_assert_uint_eq(record.octets[0], DTLS_TLS12_CID);
	ck_assert_mem_eq(record.octets + DTLS_CID_AT, server_cid, sizeof server_cid);
	pair_free(pair);
}
END_TEST

START_TEST(handshake_without_cid)
{
	struct pair *pair = pair_established(0);

	ck_assert(!session_uses_cid(pair->client.session));
	ck_assert(!session_uses_cid(pair->server.session));
	say(pair, &pair->client, &pair->server, "up");
	say(pair, &pair->server, &pair->client, "down");
	ck_assert_uint_eq(record_of(pair, "again").octets[0], DTLS_APPLICATION_DATA);
	pair_free(pair);
}
END_TEST

/* The n-th datagram of the handshake, of either side, never arrives. */
START_TEST(handshake_survives_any_loss)
{
	struct pair *pair = pair_new(key, sizeof server_cid);
	uint64_t began_ms = pair->now_ms;

	pair->countdown = _i;
	session_start(pair->client.session, pair->now_ms);
	run(pair);
	ck_assert(both(pair, SESSION_ESTABLISHED));
	ck_assert_uint_eq(pair->now_ms - began_ms, 1000);
	say(pair, &pair->client, &pair->server, "up");
	say(pair, &pair->server, &pair->client, "down");
	pair_free(pair);
}
END_TEST

START_TEST(handshake_with_another_key_fails)
{
	struct pair *pair = pair_new(other_key, sizeof server_cid);

	session_start(pair->client.session, pair->now_ms);
	run(pair);
	ck_assert(both(pair, SESSION_FAILED));
	ck_assert_int_eq(session_write(pair->client.session, key, 1), -ENOTCONN);
	pair_free(pair);
}
END_TEST

START_TEST(handshake_into_the_void_ends)
{
	struct pair *pair = pair_new(key, sizeof server_cid);
	uint64_t deadline;

	session_start(pair->client.session, pair->now_ms);
	while ((deadline = session_deadline(pair->client.session)) != SESSION_NEVER) {
		ck_assert_int_eq(session_expire(pair->client.session, deadline - 1), SESSION_HANDSHAKING);
		session_expire(pair->client.session, pair->now_ms = deadline);
	}
	ck_assert_int_eq(session_state(pair->client.session), SESSION_FAILED);
	ck_assert_uint_eq(pair->now_ms, 1000000 + 1000 + 2000 + 4000 + 8000 + 16000);
	ck_assert_uint_eq(pair->client.sent, 5);
	pair_free(pair);
}
END_TEST

START_TEST(listening_keeps_nothing)
{
	struct pair *pair = pair_new(key, sizeof server_cid);
	static const uint8_t other_peer[6] = { 192, 0, 2, 2, 0xa1, 0x62 };
	static const uint8_t noise[] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0 };

	session_start(pair->client.session, pair->now_ms);
	struct datagram hello = take(&pair->client);
	for (int i = 0; i < 3; i++) {
		input(pair, &pair->server, &hello);
		ck_assert_int_eq(session_state(pair->server.session), SESSION_LISTENING);
	}
	ck_assert_uint_eq(pair->server.sent, 3);
	session_input(pair->server.session, noise, sizeof noise, pair->now_ms);
	session_input(pair->server.session, noise, sizeof noise - 1, pair->now_ms);
	session_input(pair->server.session, noise, 0, pair->now_ms);
	ck_assert_int_eq(session_state(pair->server.session), SESSION_LISTENING);
	ck_assert(session_deadline(pair->server.session) == SESSION_NEVER);

	/* The cookie of one address is none at another. */
	struct datagram retry = take(&pair->server);
	pair->server.queued = 0;
	input(pair, &pair->client, &retry);
	hello = take(&pair->client);
	ck_assert_int_eq(session_set_peer(pair->server.session, other_peer, sizeof other_peer), 0);
	ck_assert_int_eq(session_input(pair->server.session, hello.octets, hello.len, pair->now_ms), SESSION_LISTENING);
	pair->server.queued = 0;
	input(pair, &pair->server, &hello);
	ck_assert_int_eq(session_state(pair->server.session), SESSION_HANDSHAKING);
	exchange(pair);
	ck_assert(both(pair, SESSION_ESTABLISHED));
	ck_assert(session_uses_cid(pair->server.session));
	pair_free(pair);
}
END_TEST

/* The server's last flight is lost: the client's retransmission comes as CKE, CCS, Finished, and its only protected
 * record is the last. */
START_TEST(check_finds_the_record_behind_a_handshake_flight)
{
	struct pair *pair = pair_new(key, sizeof server_cid);

	pair->countdown = 5;
	session_start(pair->client.session, pair->now_ms);
	exchange(pair);
	ck_assert_int_eq(session_state(pair->server.session), SESSION_ESTABLISHED);
	session_expire(pair->client.session, pair->now_ms = session_deadline(pair->client.session));
	struct datagram flight = take(&pair->client);
	ck_assert_uint_eq(flight.octets[0], DTLS_HANDSHAKE);
	ck_assert_int_eq(session_check(pair->server.session, flight.octets, flight.len), SESSION_CHECK_NEWEST);
	input(pair, &pair->server, &flight);
	exchange(pair);
	ck_assert(both(pair, SESSION_ESTABLISHED));
	pair_free(pair);
}
END_TEST

/* A ClientHello with a valid cookie, sent again once the session stands, is no reason to throw the session away. */
START_TEST(established_session_ignores_a_client_hello)
{
	struct pair *pair = pair_new(key, sizeof server_cid);

	session_start(pair->client.session, pair->now_ms);
	struct datagram hello = take(&pair->client);
	input(pair, &pair->server, &hello);
	struct datagram retry = take(&pair->server);
	input(pair, &pair->client, &retry);
	hello = pair->client.queue[0];
	exchange(pair);
	ck_assert(both(pair, SESSION_ESTABLISHED));
	unsigned sent = pair->server.sent;
	input(pair, &pair->server, &hello);
	ck_assert_uint_eq(pair->server.sent, sent);
	ck_assert_int_eq(session_check(pair->server.session, hello.octets, hello.len), SESSION_CHECK_FORGED);
	say(pair, &pair->client, &pair->server, "still here");
	pair_free(pair);
}
END_TEST

/* A pair whose client offers every suite, with another identity if it is given. */
static struct pair *pair_with_all_suites(const uint8_t *client_key, const char *identity)
{
	struct pair *pair = pair_new(key, sizeof server_cid);
	struct session_options client = options_of(SESSION_CLIENT, client_key, 0);

	session_free(pair->client.session);
	session_config_free(pair->client_config);
	client.all_suites = true;
	client.psk_identity = identity ? identity : client.psk_identity;
	ck_assert_int_eq(session_config_new(&pair->client_config, &client), 0);
	ck_assert_int_eq(session_new(&pair->client.session, pair->client_config, NULL, &callbacks, &pair->client), 0);
	return pair;
}

START_TEST(all_suites_are_offered)
{
	static const uint8_t offered[] = {
		0, 12, 0xc0, 0xa8, 0xc0, 0xa4, 0x00, 0xa8, 0x00, 0xae, 0xc0, 0x37, 0x00, 0xff
	};
	struct pair *pair = pair_with_all_suites(key, NULL);
	const struct datagram *hello = &pair->client.queue[0];

	session_start(pair->client.session, pair->now_ms);
	ck_assert_mem_eq(hello->octets + 61, offered, sizeof offered); /* behind random, no session id, no cookie */
	exchange(pair);
	ck_assert(both(pair, SESSION_ESTABLISHED));
	ck_assert(session_uses_cid(pair->client.session));
	ck_assert_ptr_null(session_reason(pair->client.session));
	say(pair, &pair->client, &pair->server, "up");
	pair_free(pair);
}
END_TEST

START_TEST(refusals_have_their_reason)
{
	struct pair *pair = pair_with_all_suites(key, "nobody");

	session_start(pair->client.session, pair->now_ms);
	exchange(pair);
	ck_assert_int_eq(session_state(pair->client.session), SESSION_FAILED);
	ck_assert_int_eq(session_alert(pair->client.session), 115);
	ck_assert_str_eq(session_reason(pair->client.session), "unknown_psk_identity");
	pair_free(pair);

	pair = pair_with_all_suites(other_key, NULL);
	session_start(pair->client.session, pair->now_ms);
	exchange(pair);
	ck_assert_int_eq(session_state(pair->client.session), SESSION_FAILED);
	ck_assert_int_eq(session_alert(pair->client.session), 20);
	ck_assert_str_eq(session_reason(pair->client.session), "bad_record_mac");
	pair_free(pair);

	pair = pair_with_all_suites(key, NULL);
	session_start(pair->client.session, pair->now_ms);
	pair->client.queued = 0;
	ck_assert_int_eq(session_alert(pair->client.session), -1);
	while (session_deadline(pair->client.session) != SESSION_NEVER) {
		session_expire(pair->client.session, session_deadline(pair->client.session));
		pair->client.queued = 0;
	}
	ck_assert_int_eq(session_alert(pair->client.session), -1);
	ck_assert_str_eq(session_reason(pair->client.session), "no answer");
	pair_free(pair);
}
END_TEST

/* A server that drops what it cannot verify leaves the client waiting for Finished. */
START_TEST(the_last_flight_is_told)
{
	struct pair *pair = pair_with_all_suites(other_key, NULL);

	session_start(pair->client.session, pair->now_ms);
	while (pair->client.queued == 0 || pair->client.queue[0].octets[13] != 16) {
		struct side *from = pair->client.queued ? &pair->client : &pair->server;
		ck_assert(!session_awaits_finished(pair->client.session));
		struct datagram datagram = take(from);
		input(pair, from == &pair->client ? &pair->server : &pair->client, &datagram);
	}
	ck_assert(session_awaits_finished(pair->client.session));
	exchange(pair);
	ck_assert(!session_awaits_finished(pair->client.session));
	pair_free(pair);
}
END_TEST

START_TEST(config_refuses_what_is_out_of_range)
{
	struct session_options good = options_of(SESSION_SERVER, key, 8), bad;
	struct session_config *config;

	bad = good, bad.psk_key_len = 0;
	ck_assert_int_eq(session_config_new(&config, &bad), -EINVAL);
	bad = good, bad.psk_key_len = SESSION_PSK_MAX + 1;
	ck_assert_int_eq(session_config_new(&config, &bad), -EINVAL);
	bad = good, bad.psk_identity = "";
	ck_assert_int_eq(session_config_new(&config, &bad), -EINVAL);
	bad = good, bad.cid_length = SESSION_CID_MAX + 1;
	ck_assert_int_eq(session_config_new(&config, &bad), -EINVAL);
	bad = good, bad.use_cid = false;
	ck_assert_int_eq(session_config_new(&config, &bad), -EINVAL);
	bad = good, bad.random = NULL;
	ck_assert_int_eq(session_config_new(&config, &bad), -EINVAL);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, handshake_agrees_on_the_servers_cid);
	tcase_add_test(tests, handshake_without_cid);
	tcase_add_loop_test(tests, handshake_survives_any_loss, 0, 6);
	tcase_add_test(tests, handshake_with_another_key_fails);
	tcase_add_test(tests, handshake_into_the_void_ends);
	tcase_add_test(tests, listening_keeps_nothing);
	tcase_add_test(tests, check_finds_the_record_behind_a_handshake_flight);
	tcase_add_test(tests, established_session_ignores_a_client_hello);
	tcase_add_test(tests, all_suites_are_offered);
	tcase_add_test(tests, refusals_have_their_reason);
	tcase_add_test(tests, the_last_flight_is_told);
	tcase_add_test(tests, config_refuses_what_is_out_of_range);
}

/* The `coaps` probe against the reference server, in one event loop. */
#include "tests/fixtures/coaps_fixture.h"
#include "tests/unit/suite.h"

static struct server *server;

static void server_start(void)
{
	ck_assert_int_eq(server_new(&server, base, &options), 0);
}

static void server_stop(void)
{
	server_free(server);
	server = NULL;
}

static void teardown(void)
{
	fixture_end();
	server_stop();
}

/* The first probe proves it already, and each further one from a further port. */
START_TEST(rebinding_is_proven_all_the_time)
{
	server_start();
	probe_start();
	expect_good(probe_run(1));
	ck_assert_uint_eq(server->report.address_changes, 1);
	ck_assert_uint_gt(seen[0].took_us, 0);
	for (int i = 0; i < 4; i++)
		expect_good(probe_run(1));
	ck_assert_uint_eq(server->report.address_changes, 5);
	ck_assert_uint_eq(server->report.handshakes, 1);
	ck_assert_uint_eq(seen[4].findings.sessions, 1);
	ck_assert_uint_eq(seen[4].findings.sessions_lost, 0);
}
END_TEST

START_TEST(ipv6_and_a_port_of_its_own)
{
	options.listen.port = free_port("::1", &options.listen);
	target.addr = options.listen;
	target.addr.port = 1;
	target.how.port = options.listen.port;
	server_start();
	probe_start();
	expect_good(probe_run(2));
}
END_TEST

START_TEST(without_cid)
{
	options.cid.length = 0;
	server_start();
	probe_start();
	for (int i = 0; i < 3; i++) {
		const struct seen *one = probe_run(1);
		ck_assert(one->ok);
		ck_assert_int_eq(one->findings.rebinding, FINDING_BAD);
		ck_assert_str_eq(one->findings.rebinding_reason, "CID not negotiated");
		ck_assert_int_eq(one->findings.cid, FINDING_BAD);
		ck_assert_str_eq(one->findings.cid_reason, "none, configured length 6");
	}
	ck_assert_uint_eq(server->report.handshakes, 1);
	ck_assert_uint_eq(server->report.requests, 3);
}
END_TEST

static void expect_cid(const char *reason)
{
	const struct seen *one = probe_run(1);

	ck_assert(one->ok);
	ck_assert_int_eq(one->findings.rebinding, FINDING_GOOD);
	ck_assert_int_eq(one->findings.cid, FINDING_BAD);
	ck_assert_str_eq(one->findings.cid_reason, reason);
}

START_TEST(another_length)
{
	options.cid.length = 8;
	server_start();
	probe_start();
	expect_cid("length 8, configured 6");
}
END_TEST

/* A reload that gives the backend its true id needs no new session. */
START_TEST(another_id)
{
	options.id = 0;
	server_start();
	probe_start();
	expect_cid("id 0, configured 2");
	target.id.octets[0] = 0;
	probe_start();
	expect_good(probe_run(1));
	ck_assert_uint_eq(server->report.handshakes, 1);
}
END_TEST

/* Whoever refuses is down, also between two handshakes, which become rare: at 0, 1, 3 and 7 intervals. */
static void expect_refusals(const char *why)
{
	server_start();
	probe_start();
	for (int i = 0; i < 12; i++) {
		const struct seen *one = probe_run(1);
		ck_assert_str_eq(one->reason, why);
		ck_assert(!one->ok);
		ck_assert_int_eq(one->findings.rebinding, FINDING_UNKNOWN);
		ck_assert_int_eq(one->findings.cid, FINDING_UNKNOWN);
	}
	ck_assert_uint_eq(server->report.handshakes, 0);
	ck_assert_uint_ge(server->report.handshakes_started, 2);
	ck_assert_uint_le(server->report.handshakes_started, 6);
}

START_TEST(wrong_key)
{
	options.psk_key[0] ^= 1;
	expect_refusals("handshake refused: bad_record_mac: is psk_key right?");
}
END_TEST

START_TEST(wrong_identity)
{
	options.psk_identity[0] ^= 1;
	expect_refusals("handshake refused: unknown_psk_identity: is psk_identity right?");
}
END_TEST

START_TEST(nobody_there_then_somebody)
{
	probe_start();
	for (int i = 0; i < 10; i++) {
		const struct seen *one = probe_run(1);
		ck_assert(!one->ok);
		ck_assert_str_eq(one->reason, "connection refused");
	}
	server_start();
	expect_good(probe_run(1));
}
END_TEST

/* New keys, nothing known of the session: one loss, one handshake, and no word against rebinding. */
START_TEST(restart_heals)
{
	server_start();
	probe_start();
	expect_good(probe_run(2));
	server_stop();
	server_start();
	const struct seen *one = probe_run(1);
	ck_assert(one->ok);
	ck_assert_str_eq(one->reason, "2.05 Content in a new session");
	ck_assert_int_eq(one->findings.rebinding, FINDING_GOOD);
	ck_assert_uint_eq(one->findings.sessions, 2);
	ck_assert_uint_eq(one->findings.sessions_lost, 1);
	expect_good(probe_run(1));
	expect_good(probe_run(1));
	ck_assert_uint_eq(server->report.handshakes, 1);
	ck_assert_uint_eq(server->report.address_changes, 2);
}
END_TEST

START_TEST(any_response_is_life)
{
	target.how.path = "/nothing/here";
	server_start();
	probe_start();
	const struct seen *one = probe_run(1);
	ck_assert(one->ok);
	ck_assert_str_eq(one->reason, "4.04 Not Found");
	ck_assert_int_eq(one->findings.rebinding, FINDING_GOOD);
	ck_assert(!one->has_words);
}
END_TEST

START_TEST(separate_response)
{
	target.how.path = "/slow";
	target.how.timeout_ms = 5000;
	server_start();
	probe_start();
	expect_good(probe_run(2));
	ck_assert_str_eq(seen[1].words, "slow");
	ck_assert_uint_eq(server->report.requests, 2); /* acknowledged: the second was not told to wait */
}
END_TEST

START_TEST(words_steer)
{
	server_start();
	probe_start();
	probe_run(1);
	ck_assert(seen[0].has_words);
	ck_assert_ptr_nonnull(strstr(seen[0].words, "id:2"));
}
END_TEST

START_TEST(its_report_may_take_it_away)
{
	server_start();
	probe_start();
	remove_first = true;
	expect_good(probe_run(1));
	ck_assert(seen[0].has_words);
}
END_TEST

START_TEST(the_session_is_closed_in_the_end)
{
	struct timeval limit = { .tv_sec = LIMIT_S };

	server_start();
	probe_start();
	expect_good(probe_run(2));
	ck_assert_uint_eq(server->report.sessions, 1);
	ck_assert_int_eq(health_set_targets(health, NULL, 0), 0);
	event_base_loopexit(base, &limit);
	while (server->report.sessions > 0 && !event_base_got_exit(base))
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_eq(server->report.sessions, 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, rebinding_is_proven_all_the_time);
	tcase_add_test(tests, ipv6_and_a_port_of_its_own);
	tcase_add_test(tests, without_cid);
	tcase_add_test(tests, another_length);
	tcase_add_test(tests, another_id);
	tcase_add_test(tests, wrong_key);
	tcase_add_test(tests, wrong_identity);
	tcase_add_test(tests, nobody_there_then_somebody);
	tcase_add_test(tests, restart_heals);
	tcase_add_test(tests, any_response_is_life);
	tcase_add_test(tests, separate_response);
	tcase_add_test(tests, words_steer);
	tcase_add_test(tests, its_report_may_take_it_away);
	tcase_add_test(tests, the_session_is_closed_in_the_end);
}

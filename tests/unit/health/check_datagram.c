/* The probes `dtls` and `coap`: their questions, and what is life. */
#include "common/dtls.h"
#include "health/probe_hello.h"
#include "tests/fixtures/health_fixture.h"
#include "tests/unit/suite.h"

START_TEST(test_verify_request_is_life)
{
	probe_answered_by(verify_request, sizeof verify_request);
	ck_assert(reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "HelloVerifyRequest or HelloRetryRequest");
	ck_assert_uint_eq(got[0].len, PROBE_HELLO_OCTETS);
}
END_TEST

START_TEST(test_alert_is_life)
{
	probe_answered_by(alert, sizeof alert);
	ck_assert(reports[0].ok);
}
END_TEST

START_TEST(test_server_hello_is_life_and_aborted)
{
	static const uint8_t abort_record[] = { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40 };

	target.how.interval_ms = 10000;
	probe_answered_by(server_hello, sizeof server_hello);
	ck_assert(reports[0].ok);
	manner = SILENT;
	run_until_got(2);
	ck_assert_uint_eq(got[1].len, sizeof abort_record);
	ck_assert_mem_eq(got[1].data, abort_record, sizeof abort_record);
	ck_assert_uint_eq(got[1].port, got[0].port);
}
END_TEST

/* pion answers one ClientHello without a cookie per address and port. */
START_TEST(test_each_hello_from_another_port)
{
	enum { HELLOS = 20 };
	size_t same = 0;

	target.how.interval_ms = 1;
	probe_answered_by(verify_request, sizeof verify_request);
	run(HELLOS, 20000);
	ck_assert_uint_eq(got_count, HELLOS);
	for (size_t i = 0; i < HELLOS; i++) {
		ck_assert_mem_eq(got[i].data, "\26\xfe\xfd\0\0\0\0\0\0\0\0", 11);
		for (size_t j = 0; j < i; j++)
			same += got[j].port == got[i].port;
	}
	/* Of some 28,000 ports two may be the same now and then. */
	ck_assert_uint_le(same, 2);
}
END_TEST

/* A CoAP server may keep something for each address. */
START_TEST(test_each_ping_from_the_same_port)
{
	target.how.probe = PROBE_COAP;
	manner = COAP_RESET;
	probe_once();
	run(3, 20000);
	ck_assert_uint_eq(got_count, 3);
	ck_assert_uint_eq(got[0].port, got[1].port);
	ck_assert_uint_eq(got[0].port, got[2].port);
}
END_TEST

/* Its session is ended, though the probe has been given up. */
START_TEST(test_late_server_hello_is_aborted)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	target.how.interval_ms = 10000;
	probe_in_vain();
	to.sin_port = htons(got[0].port);
	ck_assert_int_gt(sendto(server, server_hello, sizeof server_hello, 0, (struct sockaddr *)&to, sizeof to), 0);
	run_until_got(2);
	ck_assert_uint_eq(got[1].data[0], 21);
	ck_assert_uint_eq(got[1].port, got[0].port);
}
END_TEST

START_TEST(test_silence)
{
	probe_in_vain();
	ck_assert_str_eq(reports[0].reason, "no answer for 1000 ms");
}
END_TEST

START_TEST(test_noise)
{
	manner = ANSWER;
	say = (const uint8_t *)"hello";
	say_len = 5;
	probe_in_vain();
	ck_assert_str_eq(reports[0].reason, "no DTLS answer for 1000 ms, but 5 octets of something else");
}
END_TEST

START_TEST(test_an_echo_is_not_life)
{
	manner = ECHO;
	probe_in_vain();
}
END_TEST

START_TEST(test_coap_reset)
{
	target.how.probe = PROBE_COAP;
	manner = COAP_RESET;
	probe_once();
	ck_assert(reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "RST");
	ck_assert_uint_eq(got[0].len, 4);
	ck_assert_mem_eq(got[0].data, "\x40\x00", 2);
}
END_TEST

START_TEST(test_coap_reset_of_another_message)
{
	target.how.probe = PROBE_COAP;
	manner = COAP_WRONG_ID;
	probe_in_vain();
	ck_assert_str_eq(reports[0].reason, "no CoAP answer for 1000 ms, but 4 octets of something else");
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_each_hello_from_another_port);
	tcase_add_test(tests, test_each_ping_from_the_same_port);
	tcase_add_test(tests, test_late_server_hello_is_aborted);
	tcase_add_test(tests, test_verify_request_is_life);
	tcase_add_test(tests, test_alert_is_life);
	tcase_add_test(tests, test_server_hello_is_life_and_aborted);
	tcase_add_test(tests, test_silence);
	tcase_add_test(tests, test_noise);
	tcase_add_test(tests, test_an_echo_is_not_life);
	tcase_add_test(tests, test_coap_reset);
	tcase_add_test(tests, test_coap_reset_of_another_message);
}

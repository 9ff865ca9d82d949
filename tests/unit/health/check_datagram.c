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
	run(2, 50);
	ck_assert_uint_eq(got_count, 2);
	ck_assert_uint_eq(got[1].len, sizeof abort_record);
	ck_assert_mem_eq(got[1].data, abort_record, sizeof abort_record);
	ck_assert_uint_eq(got[1].port, got[0].port);
}
END_TEST

/* Or a server that keeps a session per address takes the second question for a replay of the first. */
START_TEST(test_record_numbers_rise)
{
	probe_answered_by(verify_request, sizeof verify_request);
	run(3, 3000);
	ck_assert_uint_eq(got_count, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_mem_eq(got[i].data, "\26\xfe\xfd\0\0\0\0\0\0\0", 10);
		ck_assert_uint_eq(got[i].data[10], i);
	}
}
END_TEST

START_TEST(test_silence)
{
	probe_once();
	ck_assert(!reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "no answer for 50 ms");
}
END_TEST

START_TEST(test_noise)
{
	probe_answered_by("hello", 5);
	ck_assert(!reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "no DTLS answer for 50 ms, but 5 octets of something else");
}
END_TEST

START_TEST(test_an_echo_is_not_life)
{
	manner = ECHO;
	probe_once();
	ck_assert(!reports[0].ok);
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
	probe_once();
	ck_assert(!reports[0].ok);
	ck_assert_str_eq(reports[0].reason, "no CoAP answer for 50 ms, but 4 octets of something else");
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_record_numbers_rise);
	tcase_add_test(tests, test_verify_request_is_life);
	tcase_add_test(tests, test_alert_is_life);
	tcase_add_test(tests, test_server_hello_is_life_and_aborted);
	tcase_add_test(tests, test_silence);
	tcase_add_test(tests, test_noise);
	tcase_add_test(tests, test_an_echo_is_not_life);
	tcase_add_test(tests, test_coap_reset);
	tcase_add_test(tests, test_coap_reset_of_another_message);
}

/* The ClientHello of probes, and what answers it. */
#include <string.h>

#include "common/bytes.h"
#include "common/dtls.h"
#include "health/probe_hello.h"
#include "tests/fixtures/dtls_answers.h"
#include "tests/unit/suite.h"

START_TEST(test_hello_is_well_formed)
{
	uint8_t hello[PROBE_HELLO_OCTETS], random[PROBE_HELLO_RANDOM_OCTETS];
	struct dtls_view view;

	memset(random, 0xaa, sizeof random);
	probe_hello_write(hello, random);
	dtls_walk(&view, hello, sizeof hello);
	ck_assert_int_eq(view.kind, DTLS_HELLO);
	ck_assert_uint_eq(bytes_u16(hello + 11), sizeof hello - 13); /* the record is the datagram */
	ck_assert_uint_eq(bytes_u16(hello + 15), sizeof hello - 25); /* the message is the record */
	ck_assert_mem_eq(hello + 19, "\0\0\0", 3);                   /* in one fragment */
	ck_assert_mem_eq(hello + 22, hello + 14, 3);
	ck_assert_mem_eq(hello + 27, random, sizeof random);
	ck_assert_uint_eq(hello[59], 0); /* session id */
	ck_assert_uint_eq(hello[60], 0); /* cookie */
	size_t suites = bytes_u16(hello + 61);
	ck_assert_uint_eq(suites, 24);
	ck_assert_mem_eq(
		hello + 63,
		"\xc0\xa8\xc0\xa4\x00\xa8\x00\xae\xc0\x37\xc0\xae\xc0\x2b\xc0\x2f\xc0\x27\x13\x01\x13\x04\x00\xff", 24);
	ck_assert_mem_eq(hello + 87, "\1\0", 2);
	ck_assert_uint_eq(bytes_u16(hello + 89), sizeof hello - 91);
	static const uint16_t types[] = { 10, 11, 13, 23, 43, 51, 45 };
	size_t at = 91, n = 0;
	for (; at + 4 <= sizeof hello; n++) {
		ck_assert_uint_lt(n, 7);
		ck_assert_uint_eq(bytes_u16(hello + at), types[n]); /* none is 54, connection_id */
		at += 4U + bytes_u16(hello + at + 2);
	}
	ck_assert_uint_eq(n, 7);
	ck_assert_uint_eq(at, sizeof hello);
}
END_TEST

START_TEST(test_hello_answers)
{
	uint8_t retry[sizeof server_hello], cut[sizeof alert], hello[PROBE_HELLO_OCTETS], random[32] = { 0 };

	ck_assert_int_eq(probe_hello_read(verify_request, sizeof verify_request), PROBE_ANSWER_RETRY);
	ck_assert_int_eq(probe_hello_read(server_hello, sizeof server_hello), PROBE_ANSWER_SERVER_HELLO);
	ck_assert_int_eq(probe_hello_read(alert, sizeof alert), PROBE_ANSWER_ALERT);
	memcpy(retry, server_hello, sizeof retry);
	memcpy(retry + 27,
	       "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07"
	       "\x9e\x09\xe2\xc8\xa8"
	       "\x33\x9c",
	       32);
	ck_assert_int_eq(probe_hello_read(retry, sizeof retry), PROBE_ANSWER_RETRY);
	memcpy(cut, alert, sizeof cut);
	cut[2] = 0xff; /* OpenSSL's version */
	ck_assert_int_eq(probe_hello_read(cut, sizeof cut), PROBE_ANSWER_ALERT);
	cut[1] = 0x03; /* of TLS */
	ck_assert_int_eq(probe_hello_read(cut, sizeof cut), PROBE_ANSWER_NONE);
	ck_assert_int_eq(probe_hello_read(alert, sizeof alert - 1), PROBE_ANSWER_NONE);
	ck_assert_int_eq(probe_hello_read(alert, 0), PROBE_ANSWER_NONE);
	ck_assert_int_eq(probe_hello_read((const uint8_t *)"hello, world: no DTLS", 21), PROBE_ANSWER_NONE);
	probe_hello_write(hello, random);
	ck_assert_int_eq(probe_hello_read(hello, sizeof hello), PROBE_ANSWER_NONE);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_hello_is_well_formed);
	tcase_add_test(tests, test_hello_answers);
}

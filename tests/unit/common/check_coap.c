#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/coap.h"
#include "tests/unit/suite.h"

/* CON POST, message id 0x1234, token abcd; Observe 0 (delta 6, no octets), Uri-Path "a" (delta 5), Uri-Path "bc" (delta
 * 0), Content-Format 50 (delta 1, one octet), payload "hi". */
static const uint8_t full[] = {
	0x42, 0x02, 0x12, 0x34, 0xab, 0xcd, 0x60, 0x51, 'a', 0x02, 'b', 'c', 0x11, 50, 0xff, 'h', 'i',
};

START_TEST(decodes_every_field)
{
	struct coap_message message;

	ck_assert_int_eq(coap_decode(&message, full, sizeof full), 0);
	ck_assert_int_eq(message.type, COAP_CON);
	ck_assert_int_eq(message.code, COAP_POST);
	ck_assert_int_eq(message.id, 0x1234);
	ck_assert_int_eq(message.token_len, 2);
	ck_assert_mem_eq(message.token, "\xab\xcd", 2);
	ck_assert(message.has_observe);
	ck_assert_uint_eq(message.observe, 0);
	ck_assert_str_eq(message.path, "/a/bc");
	ck_assert(message.has_format);
	ck_assert_uint_eq(message.format, COAP_FORMAT_JSON);
	ck_assert_uint_eq(message.bad_option, 0);
	ck_assert_uint_eq(message.payload_len, 2);
	ck_assert_ptr_eq(message.payload, full + sizeof full - 2);
}
END_TEST

START_TEST(encodes_what_it_decodes)
{
	struct coap_message message;
	uint8_t out[sizeof full];
	size_t len;

	ck_assert_int_eq(coap_decode(&message, full, sizeof full), 0);
	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &len), 0);
	ck_assert_uint_eq(len, sizeof full);
	ck_assert_mem_eq(out, full, len);
	for (size_t size = 0; size < sizeof full; size++)
		ck_assert_int_eq(coap_encode(&message, out, size, &len), -ENOSPC);
}
END_TEST

/* Every prefix, in memory that ends with it. Those that end between options are messages of their own. */
START_TEST(decodes_or_refuses_every_truncation)
{
	static const size_t whole[] = { 6, 7, 9, 12, 14, 16 };
	struct coap_message message;
	size_t next = 0;

	for (size_t len = 0; len < sizeof full; len++) {
		uint8_t *prefix = malloc(len);
		if (len)
			memcpy(prefix, full, len);
		bool is_whole = next < sizeof whole / sizeof *whole && len == whole[next];
		ck_assert_int_eq(coap_decode(&message, prefix, len), is_whole ? 0 : -EBADMSG);
		next += is_whole;
		ck_assert_uint_eq(message.id, len < COAP_HEADER_OCTETS ? 0 : 0x1234);
		free(prefix);
	}
	ck_assert_uint_eq(next, sizeof whole / sizeof *whole);
}
END_TEST

static const struct {
	int err;
	uint16_t bad_option;
	size_t len;
	uint8_t octets[16];
} edges[] = {
	/* Empty: nothing but a header; RFC 7252, section 4.1 */
	{ 0, 0, 4, { 0x40, 0x00, 0x12, 0x34 } },
	{ -EBADMSG, 0, 5, { 0x41, 0x00, 0x12, 0x34, 0x01 } },
	{ -EBADMSG, 0, 5, { 0x40, 0x00, 0x12, 0x34, 0x01 } },
	{ -EBADMSG, 0, 6, { 0x40, 0x00, 0x12, 0x34, 0xff, 0x01 } },
	/* version 0, 2, 3 */
	{ -EBADMSG, 0, 4, { 0x00, 0x01, 0x12, 0x34 } },
	{ -EBADMSG, 0, 4, { 0x80, 0x01, 0x12, 0x34 } },
	{ -EBADMSG, 0, 4, { 0xc0, 0x01, 0x12, 0x34 } },
	/* token of 8; of 9, which is reserved */
	{ 0, 0, 12, { 0x48, 0x01, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8 } },
	{ -EBADMSG, 0, 13, { 0x49, 0x01, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8, 9 } },
	/* a marker without payload */
	{ -EBADMSG, 0, 5, { 0x40, 0x01, 0x12, 0x34, 0xff } },
	/* delta 15, length 15 */
	{ -EBADMSG, 0, 5, { 0x40, 0x01, 0x12, 0x34, 0xf0 } },
	{ -EBADMSG, 0, 6, { 0x40, 0x01, 0x12, 0x34, 0xbf, 0x00 } },
	/* delta 13 + 1 = 14 (Max-Age, elective), without its octet; delta 269 + 0, which is odd and so critical */
	{ 0, 0, 6, { 0x40, 0x01, 0x12, 0x34, 0xd0, 0x01 } },
	{ -EBADMSG, 0, 5, { 0x40, 0x01, 0x12, 0x34, 0xd0 } },
	{ 0, 269, 7, { 0x40, 0x01, 0x12, 0x34, 0xe0, 0x00, 0x00 } },
	{ -EBADMSG, 0, 6, { 0x40, 0x01, 0x12, 0x34, 0xe0, 0x00 } },
	/* option 65535, the last; 65536 */
	{ 0, 65535, 7, { 0x40, 0x01, 0x12, 0x34, 0xe0, 0xfe, 0xf2 } },
	{ -EBADMSG, 0, 7, { 0x40, 0x01, 0x12, 0x34, 0xe0, 0xfe, 0xf3 } },
	{ -EBADMSG, 65535, 8, { 0x40, 0x01, 0x12, 0x34, 0xe0, 0xfe, 0xf2, 0x10 } },
	/* Observe of 3 octets and of 4; Content-Format of 2 and of 3 */
	{ 0, 0, 8, { 0x40, 0x01, 0x12, 0x34, 0x63, 0xff, 0xff, 0xff } },
	{ -EBADMSG, 0, 9, { 0x40, 0x01, 0x12, 0x34, 0x64, 0, 0, 0, 1 } },
	{ 0, 0, 7, { 0x40, 0x01, 0x12, 0x34, 0xc2, 0xff, 0xff } },
	{ -EBADMSG, 0, 8, { 0x40, 0x01, 0x12, 0x34, 0xc3, 0, 0, 0 } },
	/* an option's value is cut short: 12 of 13 octets */
	{ -EBADMSG, 0, 6, { 0x40, 0x01, 0x12, 0x34, 0xbd, 0x00 } },
	/* segments "/" and NUL, which a path as text cannot hold; and malformed behind that */
	{ -ENOTSUP, 0, 6, { 0x40, 0x01, 0x12, 0x34, 0xb1, '/' } },
	{ -ENOTSUP, 0, 6, { 0x40, 0x01, 0x12, 0x34, 0xb1, 0 } },
	{ -EBADMSG, 0, 7, { 0x40, 0x01, 0x12, 0x34, 0xb1, '/', 0xff } },
	/* If-Match (1, critical), Uri-Host (3), ETag (4, elective), Uri-Port (7), Uri-Query (15), Accept (17); then
	 * 19 */
	{ 0, 1, 5, { 0x40, 0x01, 0x12, 0x34, 0x10 } },
	{ 0, 0, 9, { 0x40, 0x01, 0x12, 0x34, 0x30, 0x10, 0x30, 0x80, 0x20 } },
	{ 0, 19, 10, { 0x40, 0x01, 0x12, 0x34, 0x30, 0x10, 0x30, 0x80, 0x20, 0x20 } },
};

START_TEST(decodes_at_the_edges)
{
	struct coap_message message;
	uint8_t *octets = malloc(edges[_i].len);

	memcpy(octets, edges[_i].octets, edges[_i].len);
	ck_assert_int_eq(coap_decode(&message, octets, edges[_i].len), edges[_i].err);
	ck_assert_uint_eq(message.bad_option, edges[_i].bad_option);
	free(octets);
}
END_TEST

static size_t path_of(uint8_t *out, size_t segment)
{
	static const uint8_t header[] = { 0x40, 0x01, 0x12, 0x34, 0xbd };

	memcpy(out, header, sizeof header);
	out[5] = (uint8_t)(segment - 13);
	memset(out + 6, 'x', segment);
	return 6 + segment;
}

START_TEST(longest_path)
{
	struct coap_message message;
	uint8_t octets[300], out[300];
	size_t len = path_of(octets, COAP_PATH_MAX - 2), out_len;

	ck_assert_int_eq(coap_decode(&message, octets, len), 0);
	ck_assert_uint_eq(strlen(message.path), COAP_PATH_MAX - 1);
	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &out_len), 0);
	ck_assert_uint_eq(out_len, len);
	ck_assert_mem_eq(out, octets, len);
	len = path_of(octets, COAP_PATH_MAX - 1);
	ck_assert_int_eq(coap_decode(&message, octets, len), -ENOTSUP);
	ck_assert_int_eq(message.type, COAP_CON);
	/* 256 octets: more than a Uri-Path may have, as two octets of length: 269 is the least they can say */
	static const uint8_t head[] = { 0x40, 0x01, 0x12, 0x34, 0xbe, 0, 0 };
	memset(octets, 'x', sizeof octets);
	memcpy(octets, head, sizeof head);
	ck_assert_int_eq(coap_decode(&message, octets, sizeof head + 269), -EBADMSG);
}
END_TEST

START_TEST(notification_and_empty_message)
{
	static const uint8_t notification[] = { 0x51, 0x45, 0x00, 0x01, 0x07, 0x63, 0xff, 0xff, 0xff, 0x60, 0xff, '9' };
	static const uint8_t reset[] = { 0x70, 0x00, 0xff, 0xff };
	struct coap_message message = { .type = COAP_NON,
					.code = COAP_CONTENT,
					.id = 1,
					.token_len = 1,
					.token = { 7 },
					.has_observe = true,
					.observe = COAP_OBSERVE_MAX,
					.has_format = true,
					.format = COAP_FORMAT_TEXT,
					.payload = (const uint8_t *)"9",
					.payload_len = 1 };
	uint8_t out[32];
	size_t len;

	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &len), 0);
	ck_assert_uint_eq(len, sizeof notification);
	ck_assert_mem_eq(out, notification, len);
	message = (struct coap_message){ .type = COAP_RST, .id = 0xffff };
	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &len), 0);
	ck_assert_uint_eq(len, sizeof reset);
	ck_assert_mem_eq(out, reset, len);
}
END_TEST

START_TEST(encoder_refuses_what_cannot_be_said)
{
	struct coap_message message = { .code = COAP_GET, .token_len = 9 };
	uint8_t out[64];
	size_t len;

	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &len), -EINVAL);
	message = (struct coap_message){ .code = COAP_GET, .has_observe = true, .observe = COAP_OBSERVE_MAX + 1 };
	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &len), -EINVAL);
	message = (struct coap_message){ .code = COAP_GET, .path = "time" };
	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &len), -EINVAL);
	message = (struct coap_message){ .code = COAP_EMPTY, .token_len = 1 };
	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &len), -EINVAL);
	message = (struct coap_message){ .code = COAP_EMPTY, .path = "/time" };
	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &len), -EINVAL);
	message = (struct coap_message){ .code = COAP_GET, .path = "/" };
	ck_assert_int_eq(coap_encode(&message, out, sizeof out, &len), 0);
	ck_assert_uint_eq(len, COAP_HEADER_OCTETS);
}
END_TEST

START_TEST(codes_have_classes)
{
	ck_assert(!coap_is_request(COAP_EMPTY) && coap_is_request(COAP_GET) && coap_is_request(31) &&
		  !coap_is_request(32));
	ck_assert(!coap_is_response(63) && coap_is_response(64) && coap_is_response(COAP_CONTENT) &&
		  coap_is_response(191) && !coap_is_response(192));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, decodes_every_field);
	tcase_add_test(tests, encodes_what_it_decodes);
	tcase_add_test(tests, decodes_or_refuses_every_truncation);
	tcase_add_loop_test(tests, decodes_at_the_edges, 0, sizeof edges / sizeof *edges);
	tcase_add_test(tests, longest_path);
	tcase_add_test(tests, notification_and_empty_message);
	tcase_add_test(tests, encoder_refuses_what_cannot_be_said);
	tcase_add_test(tests, codes_have_classes);
}

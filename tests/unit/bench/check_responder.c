/* What the reference server answers, at once and later. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixtures/responder_bed.h"
#include "tests/unit/suite.h"

START_TEST(echo_is_piggybacked)
{
	INPUT(0x41, 0x02, 0x12, 0x34, 0x07, 0xb4, 'e', 'c', 'h', 'o', 0xff, 'h', 'i');
	ASSERT_SENT(0, 0x61, 0x44, 0x12, 0x34, 0x07, 0xff, 'h', 'i');
	INPUT(0x50, 0x01, 0x12, 0x35, 0xb4, 'e', 'c', 'h', 'o');
	ck_assert_uint_eq(sent[1][0], 0x50);
	ck_assert_uint_eq(sent[1][1], COAP_CONTENT);
	ck_assert_uint_eq(report.requests, 2);
}
END_TEST

START_TEST(repeated_request_gets_the_same_answer_once_counted)
{
	INPUT(0x41, 0x02, 0x12, 0x34, 0x07, 0xb4, 'e', 'c', 'h', 'o', 0xff, 'h', 'i');
	INPUT(0x41, 0x02, 0x12, 0x34, 0x07, 0xb4, 'e', 'c', 'h', 'o', 0xff, 'h', 'i');
	ASSERT_SENT(1, 0x61, 0x44, 0x12, 0x34, 0x07, 0xff, 'h', 'i');
	ck_assert_uint_eq(report.requests, 1);
	INPUT(0x50, 0x01, 0x12, 0x35, 0xb4, 'e', 'c', 'h', 'o');
	INPUT(0x50, 0x01, 0x12, 0x35, 0xb4, 'e', 'c', 'h', 'o');
	ck_assert_uint_eq(sent_count, 3);
	ck_assert_uint_eq(report.requests, 2);
}
END_TEST

START_TEST(errors)
{
	INPUT(0x40, 0x01, 0x12, 0x34, 0xb1, 'x');
	ASSERT_SENT(0, 0x60, COAP_NOT_FOUND, 0x12, 0x34);
	INPUT(0x40, 0x04, 0x12, 0x35, 0xb4, 'e', 'c', 'h', 'o');
	ASSERT_SENT(1, 0x60, COAP_METHOD_NOT_ALLOWED, 0x12, 0x35);
	INPUT(0x40, 0x01, 0x12, 0x36, 0x10, 0xa4, 'e', 'c', 'h', 'o');
	ASSERT_SENT(2, 0x60, COAP_BAD_OPTION, 0x12, 0x36);
	/* ping; a response nobody waits for; a message cut short; the last as NON; no CoAP */
	INPUT(0x40, 0x00, 0x12, 0x37);
	ASSERT_SENT(3, 0x70, 0x00, 0x12, 0x37);
	INPUT(0x40, 0x45, 0x12, 0x38);
	ASSERT_SENT(4, 0x70, 0x00, 0x12, 0x38);
	INPUT(0x40, 0x01, 0x12, 0x39, 0xb4, 'e');
	ASSERT_SENT(5, 0x70, 0x00, 0x12, 0x39);
	INPUT(0x50, 0x01, 0x12, 0x3a, 0xb4, 'e');
	INPUT(0x40, 0x01, 0x12);
	INPUT(0x00, 0x01, 0x12, 0x3b);
	ck_assert_uint_eq(sent_count, 6);
	ck_assert(responder_deadline(&responder) == RESPONDER_NEVER);
}
END_TEST

/* GET /.well-known/cidlb as `id`, answered with text/plain. */
static void assert_described(uint8_t id, const char *text)
{
	const uint8_t request[] = { 0x40, 0x01, 0x12, id,  0xbb, '.',  'w', 'e', 'l', 'l', '-',
				    'k',  'n',  'o',  'w', 'n',  0x05, 'c', 'i', 'd', 'l', 'b' };
	const uint8_t head[] = { 0x60, 0x45, 0x12, id, 0xc0, 0xff };
	size_t i = sent_count;

	responder_input(&responder, request, sizeof request, now_ms);
	ck_assert_uint_eq(sent_count, i + 1);
	ck_assert_uint_eq(sent_len[i], sizeof head + strlen(text));
	ck_assert_mem_eq(sent[i], head, sizeof head);
	ck_assert_mem_eq(sent[i] + sizeof head, text, strlen(text));
}

#define COUNTS "\n{\"id\":3,\"handshakes\":0,\"sessions\":0,\"address_changes\":0}"

START_TEST(description_claims_the_ids_served)
{
	assert_described(1, "up id:3" COUNTS);
	static const uint32_t served[] = { 255, 0, 3, UINT32_MAX, 255, 0, UINT32_MAX };
	for (int i = 0; i < COUNT_OF(served); i++)
		service_add_id(&service, served[i]);
	assert_described(2, "up id:3 id:0 id:255 id:4294967295" COUNTS);
}
END_TEST

/* More than a steering line may have: its own id is among the 32. The answer is too long to be kept, and made again. */
START_TEST(description_of_every_id)
{
	char text[SERVICE_TEXT_OCTETS] = "up id:3";

	for (uint32_t id = 255; id-- > 0;) /* the lowest that is not known yet, each time; then one that is too high */
		service_add_id(&service, id);
	service_add_id(&service, 256);
	for (int id = 0, ids = 1; ids < 32; id++)
		if (id != 3)
			ids++, sprintf(text + strlen(text), " id:%d", id);
	strcat(text, COUNTS);
	assert_described(1, text);
	assert_described(1, text);
}
END_TEST

/* What an operator has written, and what follows `up id:3` then. */
static const struct {
	const char *written, *words;
} lines[] = {
	{ "drain", " drain" },
	{ "75%\nmaint\n", " 75%" },
	{ "drain\r\n", " drain" },
	{ "ready\t50%\n", " ready\t50%" },
	{ "", "" },
	{ "\ndrain\n", "" },
	{ "drain\x01maint", " drain" },
	{ "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
	  "89012345678901234567"
	  "89",
	  " 01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456"
	  "78901234567890123456"
	  "7" },
};

START_TEST(description_has_the_words_of_the_operator)
{
	char file[] = "/tmp/cidlb-steer-XXXXXX", text[SERVICE_TEXT_OCTETS];
	int fd = mkstemp(file);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, lines[_i].written, strlen(lines[_i].written)), (ssize_t)strlen(lines[_i].written));
	service.steer = file;
	snprintf(text, sizeof text, "up id:3%s" COUNTS, lines[_i].words);
	assert_described(1, text);
	unlink(file);
	assert_described(2, "up id:3" COUNTS); /* read at each request */
	close(fd);
}
END_TEST

START_TEST(slow_response_comes_apart_until_acknowledged)
{
	INPUT(0x41, 0x01, 0x12, 0x34, 0x07, 0xb4, 's', 'l', 'o', 'w');
	ASSERT_SENT(0, 0x60, 0x00, 0x12, 0x34);
	INPUT(0x41, 0x01, 0x12, 0x34, 0x07, 0xb4, 's', 'l', 'o', 'w');
	ASSERT_SENT(1, 0x60, 0x00, 0x12, 0x34);
	INPUT(0x41, 0x01, 0x12, 0x35, 0x07, 0xb4, 's', 'l', 'o', 'w');
	ck_assert_uint_eq(sent[2][1], COAP_CODE(5, 3));
	ck_assert_uint_eq(wait_deadline(), 300);
	ck_assert_uint_eq(sent_count, 4);
	ck_assert_uint_eq(sent[3][0], 0x41);
	ck_assert_uint_eq(sent[3][1], COAP_CONTENT);
	ck_assert_uint_eq(sent[3][4], 0x07);
	uint64_t waited = wait_deadline();
	ck_assert(waited >= ACK_MIN_MS && waited <= ACK_MAX_MS);
	ck_assert_uint_eq(sent_count, 5);
	ck_assert_mem_eq(sent[4], sent[3], sent_len[3]);
	acknowledge(4, 0x60);
	ck_assert(responder_deadline(&responder) == RESPONDER_NEVER);
}
END_TEST

START_TEST(observation_notifies_each_period)
{
	observe();
	ck_assert_mem_eq(sent[0], "\x61\x45\x12\x34\x07\x61\x01\x60\xff", 9);
	for (size_t i = 1; i <= 3; i++) {
		ck_assert_uint_eq(wait_deadline(), NOTIFY_MS);
		ck_assert_uint_eq(sent_count, i + 1);
		ck_assert_uint_eq(sent[i][0], 0x41);
		ck_assert_uint_eq(sent[i][4], 0x07);
		ck_assert_uint_eq(sent[i][6], i + 1);
		acknowledge(i, 0x60);
	}
	ck_assert_uint_eq(report.notifications, 3);
	/* GET, Observe 1: no more */
	INPUT(0x41, 0x01, 0x12, 0x35, 0x07, 0x61, 0x01, 0x54, 't', 'i', 'm', 'e');
	ck_assert_mem_eq(sent[4], "\x61\x45\x12\x35\x07\xc0\xff", 7);
	ck_assert(responder_deadline(&responder) == RESPONDER_NEVER);
}
END_TEST

START_TEST(reset_ends_the_observation)
{
	observe();
	wait_deadline();
	acknowledge(1, 0x70);
	ck_assert(responder_deadline(&responder) == RESPONDER_NEVER);
}
END_TEST

/* RFC 7252, section 4.2: the time doubles; after four retransmissions nobody is there. */
START_TEST(silence_ends_the_observation)
{
	uint64_t first_ms, gap_ms, last_ms;

	observe();
	wait_deadline();
	first_ms = last_ms = now_ms;
	gap_ms = 0;
	while (responder_deadline(&responder) != RESPONDER_NEVER) {
		size_t before = sent_count;
		wait_deadline();
		if (sent_count == before)
			continue;
		ck_assert_uint_eq(sent_count, before + 1);
		ck_assert_mem_eq(sent[before], sent[1], sent_len[1]);
		ck_assert(!gap_ms || now_ms - last_ms == 2 * gap_ms);
		gap_ms = now_ms - last_ms;
		last_ms = now_ms;
	}
	ck_assert_uint_eq(sent_count, 1 + 5);
	ck_assert_uint_eq(report.notifications, 1);
	ck_assert_uint_eq(now_ms - last_ms, 2 * gap_ms);
	ck_assert(now_ms - first_ms >= 31 * ACK_MIN_MS && now_ms - first_ms <= 31 * ACK_MAX_MS);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, echo_is_piggybacked);
	tcase_add_test(tests, repeated_request_gets_the_same_answer_once_counted);
	tcase_add_test(tests, errors);
	tcase_add_test(tests, description_claims_the_ids_served);
	tcase_add_test(tests, description_of_every_id);
	tcase_add_loop_test(tests, description_has_the_words_of_the_operator, 0, COUNT_OF(lines));
	tcase_add_test(tests, slow_response_comes_apart_until_acknowledged);
	tcase_add_test(tests, observation_notifies_each_period);
	tcase_add_test(tests, reset_ends_the_observation);
	tcase_add_test(tests, silence_ends_the_observation);
}

/* The reference server's CoAP goes on in another process. */
#include <string.h>

#include "tests/fixtures/responder_bed.h"
#include "tests/unit/suite.h"

/* A responder goes on as another one under another clock: `hand_over` in the middle of whatever it is doing. */
static void hand_over(void)
{
	uint8_t octets[2048];
	struct pack out = { .out = octets, .size = sizeof octets };

	responder_save(&responder, &out, now_ms);
	ck_assert(!out.full);
	now_ms += 1000000000;
	struct unpack in = { .in = { octets, out.len } };
	responder_init(&responder, &service, 99, on_write, &sent_count);
	responder_load(&responder, &in, now_ms);
	ck_assert(!in.bad);
	ck_assert_uint_eq(in.in.left, 0);
}

START_TEST(observation_goes_on_after_a_hand_over)
{
	observe();
	now_ms += 400;
	hand_over();
	ck_assert_uint_eq(wait_deadline(), NOTIFY_MS - 400);
	ck_assert_mem_eq(sent[1] + 4, "\x07\x61\x02\x60\xff", 5);
	uint16_t id = (uint16_t)(sent[1][2] << 8 | sent[1][3]);
	now_ms += 100;
	hand_over();
	/* The first notification waits for its ACK, and is repeated as it was. */
	while (sent_count < 3)
		responder_expire(&responder, now_ms = responder_deadline(&responder));
	ck_assert_uint_eq(sent_len[2], sent_len[1]);
	ck_assert_mem_eq(sent[2], sent[1], sent_len[1]);
	hand_over();
	acknowledge(2, 0x60);
	while (sent_count < 4)
		responder_expire(&responder, now_ms = responder_deadline(&responder));
	ck_assert_uint_eq(sent[3][6], 3);
	ck_assert_uint_eq((uint16_t)(sent[3][2] << 8 | sent[3][3]), (uint16_t)(id + 1));
	hand_over();
	/* Its token ends it. */
	INPUT(0x41, 0x01, 0x12, 0x35, 0x07, 0x61, 0x01, 0x54, 't', 'i', 'm', 'e');
	ck_assert(responder_deadline(&responder) == RESPONDER_NEVER);
}
END_TEST

START_TEST(given_up_after_as_many_tries_as_without_a_hand_over)
{
	observe();
	wait_deadline();
	while (responder_deadline(&responder) != RESPONDER_NEVER) {
		hand_over();
		responder_expire(&responder, now_ms = responder_deadline(&responder));
	}
	ck_assert_uint_eq(sent_count, 1 + 5);
}
END_TEST

/* Four answers are kept, the oldest makes room: before and after alike. */
START_TEST(repeated_request_is_known_after_a_hand_over)
{
	static const uint8_t echo[] = { 0x40, 0x02, 0x12, 0, 0xb4, 'e', 'c', 'h', 'o', 0xff, 'h' };
	uint8_t request[sizeof echo];

	memcpy(request, echo, sizeof echo);
	for (uint8_t id = 0; id < 6; id++) {
		request[3] = id;
		responder_input(&responder, request, sizeof request, now_ms);
	}
	hand_over();
	for (uint8_t id = 2; id < 6; id++) {
		request[3] = id;
		responder_input(&responder, request, sizeof request, now_ms);
		ck_assert_mem_eq(sent[sent_count - 1], sent[id], sent_len[id]);
	}
	ck_assert_uint_eq(report.requests, 6);
	request[3] = 6; /* takes the place of 2 */
	responder_input(&responder, request, sizeof request, now_ms);
	request[3] = 3;
	responder_input(&responder, request, sizeof request, now_ms);
	ck_assert_uint_eq(report.requests, 7);
	request[3] = 2;
	responder_input(&responder, request, sizeof request, now_ms);
	ck_assert_uint_eq(report.requests, 8);
}
END_TEST

START_TEST(slow_response_comes_after_a_hand_over)
{
	INPUT(0x41, 0x01, 0x12, 0x34, 0x07, 0xb4, 's', 'l', 'o', 'w');
	now_ms += 100;
	hand_over();
	ck_assert_uint_eq(wait_deadline(), 200);
	ck_assert_uint_eq(sent[1][4], 0x07);
	hand_over();
	acknowledge(1, 0x60);
	ck_assert(responder_deadline(&responder) == RESPONDER_NEVER);
}
END_TEST

/* Every state cut short, and one with an octet too large, is known for none. */
START_TEST(damaged_state_is_refused)
{
	uint8_t state[2048];
	struct pack out = { .out = state, .size = sizeof state };

	observe();
	wait_deadline();
	INPUT(0x41, 0x01, 0x12, 0x36, 0x07, 0xb4, 's', 'l', 'o', 'w');
	responder_save(&responder, &out, now_ms);
	for (size_t len = 0; len < out.len; len++) {
		struct unpack in = { .in = { state, len } };
		struct responder other;
		responder_init(&other, &service, 1, on_write, NULL);
		responder_load(&other, &in, now_ms);
		ck_assert_msg(in.bad, "%zu octets", len);
	}
	state[2] = 2; /* whether there is a first answer */
	struct unpack in = { .in = { state, out.len } };
	responder_load(&responder, &in, now_ms);
	ck_assert(in.bad);
	struct pack small = { .out = state, .size = out.len - 1 };
	set_up();
	observe();
	wait_deadline();
	INPUT(0x41, 0x01, 0x12, 0x36, 0x07, 0xb4, 's', 'l', 'o', 'w');
	responder_save(&responder, &small, now_ms);
	ck_assert(small.full);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, observation_goes_on_after_a_hand_over);
	tcase_add_test(tests, given_up_after_as_many_tries_as_without_a_hand_over);
	tcase_add_test(tests, repeated_request_is_known_after_a_hand_over);
	tcase_add_test(tests, slow_response_comes_after_a_hand_over);
	tcase_add_test(tests, damaged_state_is_refused);
}

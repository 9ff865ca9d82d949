#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/programs/fleet/exchange.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

static struct exchange exchange;
static struct observation observation;
static uint8_t reply[EXCHANGE_REPLY_OCTETS];
static size_t reply_len;

static void setup(void)
{
	memset(&exchange, 0, sizeof exchange);
	exchange_reset(&exchange);
	observation = (struct observation){ .token_len = 2, .token = { 0xee, 0xee } };
}

/* POST /echo "x", message id 0x1234, token a1b2. */
static void begin_post(uint64_t now_ms)
{
	struct coap_message m = { .type = COAP_CON,
				  .code = COAP_POST,
				  .id = 0x1234,
				  .token_len = 2,
				  .token = { 0xa1, 0xb2 },
				  .path = "/echo",
				  .payload = (const uint8_t *)"x",
				  .payload_len = 1 };
	ck_assert_int_eq(exchange_begin(&exchange, &m, 1000, now_ms), 0);
}

/* GET /time with Observe 0, message id 0x2000, the observation's token. */
static void begin_register(uint64_t now_ms)
{
	struct coap_message m = { .type = COAP_CON,
				  .code = COAP_GET,
				  .id = 0x2000,
				  .token_len = 2,
				  .token = { 0xee, 0xee },
				  .has_observe = true,
				  .observe = COAP_OBSERVE_REGISTER,
				  .path = "/time" };
	ck_assert_int_eq(exchange_begin(&exchange, &m, 1000, now_ms), 0);
}

static enum exchange_event take(const char *hex, uint64_t now_ms)
{
	struct octets in = octets_of(hex);
	struct exchange_input input = { .data = in.at, .len = in.len };
	enum exchange_event event = exchange_take(&exchange, &observation, &input, now_ms);
	memcpy(reply, input.reply, sizeof reply);
	reply_len = input.reply_len;
	free(in.at);
	return event;
}

static void assert_reply(const char *hex)
{
	struct octets want = octets_of(hex);
	ck_assert_uint_eq(reply_len, want.len);
	ck_assert_mem_eq(reply, want.at, want.len);
	free(want.at);
}

/* Type and token length, code, message id, token, Uri-Path "echo" (11, 4), marker, payload. */
START_TEST(request_octets)
{
	struct octets want = octets_of("42 02 1234 a1b2 b4 6563686f ff 78");
	begin_post(0);
	ck_assert_uint_eq(exchange.request_len, want.len);
	ck_assert_mem_eq(exchange.request, want.at, want.len);
	free(want.at);
}
END_TEST

START_TEST(five_tries_then_given_up)
{
	/* The span doubles: tries at 0, 1, 3, 7 and 15 s, the end at 31 s. */
	static const uint64_t due_ms[] = { 1000, 3000, 7000, 15000 };
	begin_post(0);
	for (size_t i = 0; i < sizeof due_ms / sizeof *due_ms; i++) {
		ck_assert_uint_eq(exchange.deadline_ms, due_ms[i]);
		ck_assert_int_eq(exchange_expire(&exchange, due_ms[i] - 1), EXCHANGE_WAIT);
		ck_assert_int_eq(exchange_expire(&exchange, due_ms[i]), EXCHANGE_RESEND);
		ck_assert_uint_eq(exchange.tries, i + 2);
	}
	ck_assert_int_eq(exchange_expire(&exchange, 30999), EXCHANGE_WAIT);
	ck_assert_int_eq(exchange_expire(&exchange, 31000), EXCHANGE_GIVEN_UP);
	ck_assert_int_eq(exchange.state, EXCHANGE_IDLE);
	ck_assert(exchange.deadline_ms == EXCHANGE_NEVER);
	ck_assert_int_eq(exchange_expire(&exchange, 40000), EXCHANGE_WAIT);
}
END_TEST

START_TEST(one_at_a_time)
{
	struct coap_message m = { .type = COAP_CON, .code = COAP_GET, .path = "/time" };
	begin_post(0);
	ck_assert_int_eq(exchange_begin(&exchange, &m, 1000, 0), -EBUSY);
	ck_assert_uint_eq(exchange.id, 0x1234);
}
END_TEST

/* One message each while the POST waits; then what it made of it and what went back. */
static const struct {
	const char *what, *message;
	enum exchange_event event;
	bool over;
	const char *reply;
} waiting[] = {
	{ "2.04 on the ACK", "62 44 1234 a1b2", EXCHANGE_ANSWERED, true, "" },
	{ "2.05 on the ACK, with a payload", "62 45 1234 a1b2 ff 78", EXCHANGE_ANSWERED, true, "" },
	{ "4.04 on the ACK", "62 84 1234 a1b2", EXCHANGE_REFUSED, true, "" },
	{ "RST", "70 00 1234", EXCHANGE_REFUSED, true, "" },
	{ "RST of another message", "70 00 1235", EXCHANGE_NOTHING, false, "" },
	{ "ACK of another message", "62 44 1235 a1b2", EXCHANGE_NOTHING, false, "" },
	{ "ACK with another token", "62 44 1234 a1b3", EXCHANGE_NOTHING, false, "" },
	{ "ACK with a prefix of the token", "61 44 1234 a1", EXCHANGE_NOTHING, false, "" },
	{ "separate response before its ACK", "42 44 7777 a1b2", EXCHANGE_ANSWERED, true, "60 00 7777" },
	{ "non-confirmable response", "52 44 7777 a1b2", EXCHANGE_ANSWERED, true, "" },
	{ "separate 5.00", "42 a0 7777 a1b2", EXCHANGE_REFUSED, true, "60 00 7777" },
	{ "CON response with an unknown token", "42 45 7777 0000", EXCHANGE_NOTHING, false, "70 00 7777" },
	{ "NON notification of no observation", "52 45 7777 eeee 61 05", EXCHANGE_NOTHING, false, "70 00 7777" },
	{ "ping", "40 00 7777", EXCHANGE_NOTHING, false, "70 00 7777" },
	{ "malformed: token length 9", "69 44 1234 a1b2a1b2a1b2a1b2a1", EXCHANGE_NOTHING, false, "" },
	{ "malformed: version 2", "82 44 1234 a1b2", EXCHANGE_NOTHING, false, "" },
	{ "malformed: cut", "62 44 12", EXCHANGE_NOTHING, false, "" },
	{ "nothing at all", "", EXCHANGE_NOTHING, false, "" },
};

START_TEST(message_while_waiting)
{
	begin_post(0);
	ck_assert_msg(take(waiting[_i].message, 500) == waiting[_i].event, "%s", waiting[_i].what);
	ck_assert_msg((exchange.state == EXCHANGE_IDLE) == waiting[_i].over, "%s", waiting[_i].what);
	ck_assert_msg((exchange.deadline_ms == EXCHANGE_NEVER) == waiting[_i].over, "%s", waiting[_i].what);
	assert_reply(waiting[_i].reply);
}
END_TEST

START_TEST(separate_response)
{
	begin_post(0);
	ck_assert_int_eq(take("60 00 1234", 500), EXCHANGE_NOTHING);
	ck_assert_int_eq(exchange.state, EXCHANGE_ACKED);
	/* No more tries: one wait, as long as they would have taken. */
	ck_assert_int_eq(exchange_expire(&exchange, 1000), EXCHANGE_WAIT);
	ck_assert_uint_eq(exchange.deadline_ms, 31500);
	ck_assert_int_eq(take("42 44 7777 a1b2", 3000), EXCHANGE_ANSWERED);
	assert_reply("60 00 7777");
	/* Our ACK was lost: it is due again, and the answer does not count again. */
	ck_assert_int_eq(take("42 44 7777 a1b2", 5000), EXCHANGE_NOTHING);
	assert_reply("60 00 7777");
}
END_TEST

START_TEST(acked_and_never_answered)
{
	begin_post(0);
	ck_assert_int_eq(exchange_expire(&exchange, 1000), EXCHANGE_RESEND);
	ck_assert_int_eq(take("60 00 1234", 1200), EXCHANGE_NOTHING);
	/* 2 + 4 + 8 + 16 s of the tries that are left. */
	ck_assert_uint_eq(exchange.deadline_ms, 31200);
	ck_assert_int_eq(exchange_expire(&exchange, 31200), EXCHANGE_GIVEN_UP);
}
END_TEST

START_TEST(duplicate_answer)
{
	begin_post(0);
	ck_assert_int_eq(take("62 44 1234 a1b2", 10), EXCHANGE_ANSWERED);
	ck_assert_int_eq(take("62 44 1234 a1b2", 11), EXCHANGE_NOTHING);
	ck_assert_uint_eq(reply_len, 0);
}
END_TEST

START_TEST(notifications)
{
	begin_register(0);
	ck_assert_int_eq(take("62 45 2000 eeee 61 05", 10), EXCHANGE_ANSWERED);
	ck_assert(observation.on);
	ck_assert_int_eq(take("42 45 7777 eeee 61 06", 1000), EXCHANGE_NOTIFIED);
	assert_reply("60 00 7777");
	ck_assert_int_eq(take("42 45 7777 eeee 61 06", 3000), EXCHANGE_NOTHING); /* repeated: our ACK was lost */
	assert_reply("60 00 7777");
	ck_assert_int_eq(take("52 45 7778 eeee 61 08", 3100), EXCHANGE_NOTIFIED);
	ck_assert_uint_eq(reply_len, 0);
	ck_assert_int_eq(take("52 45 7779 eeee 61 07", 3200), EXCHANGE_NOTHING); /* overtaken */
	ck_assert_uint_eq(observation.heard_ms, 3100);
	ck_assert_int_eq(take("52 45 777a eeee 61 07", 131101), EXCHANGE_NOTIFIED); /* anything is newer after 128 s */
}
END_TEST

START_TEST(notification_numbers_wrap)
{
	begin_register(0);
	ck_assert_int_eq(take("62 45 2000 eeee 63 fffffe", 10), EXCHANGE_ANSWERED);
	ck_assert_int_eq(take("52 45 7777 eeee 60", 1000), EXCHANGE_NOTIFIED);
	ck_assert_int_eq(take("52 45 7778 eeee 63 ffffff", 1000), EXCHANGE_NOTHING);
}
END_TEST

START_TEST(notification_answers_registration)
{
	begin_register(0);
	ck_assert_int_eq(take("42 45 7777 eeee 61 06", 10), EXCHANGE_ANSWERED); /* the ACK with number 5 was lost */
	assert_reply("60 00 7777");
	ck_assert(observation.on);
	ck_assert_int_eq(take("62 45 2000 eeee 61 05", 20), EXCHANGE_NOTHING);
	ck_assert_int_eq(take("42 45 7778 eeee 61 07", 30), EXCHANGE_NOTIFIED);
}
END_TEST

START_TEST(notification_during_exchange)
{
	begin_register(0);
	take("62 45 2000 eeee 61 05", 10);
	begin_post(100);
	ck_assert_int_eq(take("42 45 7777 eeee 61 06", 200), EXCHANGE_NOTIFIED);
	ck_assert_int_eq(exchange.state, EXCHANGE_SENT);
	ck_assert_int_eq(take("62 44 1234 a1b2", 300), EXCHANGE_ANSWERED);
	ck_assert(observation.on);
}
END_TEST

START_TEST(registration_not_granted)
{
	begin_register(0);
	ck_assert_int_eq(take("62 45 2000 eeee ff 78", 10), EXCHANGE_ANSWERED);
	ck_assert(!observation.on);
	begin_register(20);
	ck_assert_int_eq(take("62 84 2000 eeee", 30), EXCHANGE_REFUSED);
	ck_assert(!observation.on);
}
END_TEST

START_TEST(server_ends_observation)
{
	begin_register(0);
	take("62 45 2000 eeee 61 05", 10);
	ck_assert_int_eq(take("42 84 7777 eeee", 20), EXCHANGE_UNOBSERVED);
	assert_reply("60 00 7777");
	ck_assert(!observation.on);
	begin_post(30);
	ck_assert_int_eq(take("42 45 7778 eeee 61 06", 40), EXCHANGE_NOTHING);
	assert_reply("70 00 7778");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, request_octets);
	tcase_add_test(tests, five_tries_then_given_up);
	tcase_add_test(tests, one_at_a_time);
	tcase_add_loop_test(tests, message_while_waiting, 0, sizeof waiting / sizeof *waiting);
	tcase_add_test(tests, separate_response);
	tcase_add_test(tests, acked_and_never_answered);
	tcase_add_test(tests, duplicate_answer);
	tcase_add_test(tests, notifications);
	tcase_add_test(tests, notification_numbers_wrap);
	tcase_add_test(tests, notification_answers_registration);
	tcase_add_test(tests, notification_during_exchange);
	tcase_add_test(tests, registration_not_granted);
	tcase_add_test(tests, server_ends_observation);
}

/* A handshake as it passes, of datagrams seen on the wire: when it is over, whose CID it has, and what a source gets
 * that has shown nothing. */
#include <string.h>

#include "common/dtls.h"
#include "common/handshake.h"
#include "tests/fixtures/handshakes_seen.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

enum { SEEN = sizeof handshakes_seen / sizeof *handshakes_seen };
enum { CALIFORNIUM, CALIFORNIUM_RESUMED, MBEDTLS = 3, OPENSSL = 5, PION_13 = 7 };

/* What follows a ServerHello. */
#define KEY_EXCHANGE "16fefd0000000000000002000c 100000000000000000000000"
#define CHANGE       "14fefd0000000000000003000101"
#define FINISHED     "16fefd0001000000000000000400112233" /* the server's, of epoch 1 */
#define DATA         "17fefd0001000000000001000400112233"
#define ALERT        "15fefd000000000000000100020228"
#define UNIFIED_2    "2e00010010000102030405060708090a0b0c0d0e0f" /* epoch bits 2: handshake keys */
#define UNIFIED_3    "2f00010010000102030405060708090a0b0c0d0e0f"

static const struct ownership_pair source = { .device = { .port = 4000 }, .service = 1 };
static struct hello_key key;
static struct handshake handshake;
static uint32_t now_s;
static uint64_t purse_left, paid;

static bool pay(void *ctx, const struct ownership_pair *to, uint32_t octets)
{
	(void)ctx;
	if (!ownership_pair_equal(to, &source))
		ck_abort_msg("somebody else pays");
	if (octets > purse_left)
		return false;
	purse_left -= octets;
	paid += octets;
	return true;
}

static void set_up(void)
{
	key = hello_key_make((const uint8_t[16]){ 1, 2, 3 });
	handshake = (struct handshake){ .begun = false };
	now_s = 1000;
	purse_left = UINT64_MAX;
	paid = 0;
}

static size_t up(const char *hex)
{
	const struct octets in = octets_of(hex);
	const struct handshake_datagram datagram = { in.at, in.len, now_s };
	struct dtls_view view;

	dtls_walk(&view, in.at, in.len);
	if (view.kind == DTLS_HELLO)
		handshake_hello(&handshake, &key, &datagram);
	else
		handshake_follow(&handshake, &datagram);
	free(in.at);
	return in.len;
}

static struct handshake_news down_octets(const uint8_t *data, size_t len)
{
	const struct handshake_datagram datagram = { data, len, now_s };
	const struct ownership_purse purse = { .pay = pay };

	return handshake_reply(&handshake, &key, &datagram, &source, &purse);
}

static struct handshake_news down(const char *hex)
{
	const struct octets in = octets_of(hex);
	const struct handshake_news news = down_octets(in.at, in.len);

	free(in.at);
	return news;
}

static bool has(const char *cid, bool flight, bool guess)
{
	const struct octets octets = octets_of(cid);
	const bool belongs = handshake_has(&handshake, octets.at, (uint8_t)octets.len, flight, guess);

	free(octets.at);
	return belongs;
}

/* A datagram with this CID, of 60 octets. */
static void show(const char *cid)
{
	const struct octets octets = octets_of(cid);
	const struct handshake_datagram datagram = { octets.at, 60, now_s };

	handshake_show(&handshake, octets.at, (uint8_t)octets.len, &datagram);
	free(octets.at);
}

/* All of it, up to the ServerHello. */
static struct handshake_news pass(int which)
{
	const struct handshake_seen *seen = &handshakes_seen[which];
	struct handshake_news news = { HANDSHAKE_SENT, false, false, false };

	for (int i = 0; seen->datagrams[i]; i++)
		if (seen->datagrams[i][0] == '>')
			up(seen->datagrams[i] + 1);
		else
			news = down(seen->datagrams[i] + 1);
	return news;
}

START_TEST(seen_on_the_wire)
{
	const struct handshake_seen *seen = &handshakes_seen[_i];
	const struct handshake_news news = pass(_i);
	const bool gives = *seen->cid;

	ck_assert(handshake.begun && handshake.served);
	ck_assert_int_eq(handshake.given, gives);
	ck_assert_int_eq(handshake.refused, !gives);
	ck_assert_int_eq(hello_rrc(&handshake.hello), seen->rrc);
	ck_assert_int_eq(handshake.confirmed, hello_asked(&handshake.hello));
	ck_assert(!news.over && !handshake.over);
	ck_assert_int_eq(has(gives ? seen->cid : "01", false, true), gives);
	ck_assert_int_eq(has(gives ? seen->cid : "01", true, true), gives);
	ck_assert(!has("0102030405060708", true, true));
	if (gives)
		show(seen->cid);
	else
		up(KEY_EXCHANGE CHANGE);
	ck_assert(!down(UNIFIED_2).over && !down(ALERT).over);
	ck_assert(down(CHANGE FINISHED).over);
	ck_assert(handshake.over);
	ck_assert_uint_eq(handshake.cid.len, strlen(seen->cid) / 2);
	/* Once only. */
	ck_assert(!down(DATA).over);
}
END_TEST

START_TEST(application_keys_of_1_3)
{
	pass(PION_13);
	ck_assert(!down(UNIFIED_3).over);
	show(handshakes_seen[PION_13].cid);
	ck_assert(!down(UNIFIED_2).over);
	ck_assert(down(UNIFIED_3).over);
}
END_TEST

/* The server's Finished comes right behind its ServerHello, to whoever replayed a ClientHello. Each ServerHello waits
 * anew. */
START_TEST(resumption_is_not_over_before_an_uplink)
{
	const char *const *datagrams = handshakes_seen[CALIFORNIUM_RESUMED].datagrams;
	int last = 0;

	pass(CALIFORNIUM_RESUMED);
	while (datagrams[last + 1])
		last++;
	for (int i = 0; i < 3; i++)
		ck_assert(!down(datagrams[last] + 1).over);
	show(handshakes_seen[CALIFORNIUM_RESUMED].cid);
	ck_assert(!down(datagrams[last] + 1).over);
	ck_assert(!handshake.followed);
	show(handshakes_seen[CALIFORNIUM_RESUMED].cid);
	ck_assert(down(DATA).over);
	/* The ServerHello once more: it may be a repetition. */
	ck_assert(!down(datagrams[last] + 1).over);
	ck_assert(handshake.over);
}
END_TEST

/* The uplink must bear the CID if one was given out. */
START_TEST(uplink_without_the_cid)
{
	pass(MBEDTLS);
	up(KEY_EXCHANGE CHANGE);
	up(ALERT);
	ck_assert(!down(FINISHED).over);
	show(handshakes_seen[MBEDTLS].cid);
	ck_assert(down(FINISHED).over);
}
END_TEST

/* Anybody can send a ClientHello in the name of a device whose session was there before us. */
START_TEST(session_beside_a_forged_hello)
{
	up(handshakes_seen[MBEDTLS].datagrams[0] + 1);
	ck_assert(!down(handshakes_seen[MBEDTLS].datagrams[1] + 1).served);
	ck_assert(!down(DATA).over);
	up(DATA);
	ck_assert(down(DATA).over);
}
END_TEST

/* A session that was there before us: no ClientHello was seen. */
START_TEST(session_without_a_handshake)
{
	up(DATA);
	ck_assert_int_eq(down(DATA).over, 1);
	ck_assert(!handshake.given);
}
END_TEST

/* It is repeated until the last answer arrives. Other datagrams with the CID are the session's. */
START_TEST(flight_after_the_end)
{
	const char *const cid = handshakes_seen[MBEDTLS].cid;

	pass(MBEDTLS);
	show(cid);
	down(FINISHED);
	ck_assert(has(cid, true, false));
	ck_assert(!has(cid, false, false));
	ck_assert(!has("0102030405060708", true, true));
	ck_assert(!has("095b5eb399c079", true, true));
}
END_TEST

/* No ServerHello is known, as after a restart: one CID may be shown by flights. */
START_TEST(guess)
{
	ck_assert(!has("0102", true, false));
	ck_assert(!has("0102", false, true));
	ck_assert(has("0102", true, true));
	show("0102");
	ck_assert(has("0102", true, true));
	ck_assert(!has("0103", true, true));
	ck_assert(!has("010203", true, true));
	ck_assert(!handshake.given);
	/* A guess proves nothing. */
	down(FINISHED);
	ck_assert(!handshake.given);
	pass(MBEDTLS);
	ck_assert(handshake.given);
	ck_assert(!has("0102", true, true));
	ck_assert(has(handshakes_seen[MBEDTLS].cid, true, true));
}
END_TEST

START_TEST(no_guess_beside_a_server_hello_without_a_cid)
{
	pass(OPENSSL);
	ck_assert(!has("0102", true, true));
}
END_TEST

/* Anybody can send a ClientHello in the name of the source. What the last ServerHello gave out stays until another one
 * comes. */
START_TEST(next_handshake)
{
	const struct handshake_seen *next = &handshakes_seen[CALIFORNIUM];
	const char *const cid = handshakes_seen[MBEDTLS].cid;

	pass(MBEDTLS);
	show(cid);
	down(FINISHED);
	up(next->datagrams[0] + 1);
	ck_assert(handshake.given && handshake.over && handshake.confirmed);
	ck_assert(has(cid, true, false));
	down(next->datagrams[1] + 1);
	up(next->datagrams[2] + 1);
	ck_assert(handshake.over && has(cid, true, false));
	ck_assert(down(next->datagrams[3] + 1).served);
	ck_assert(!handshake.over && !has(cid, true, true));
	ck_assert(has(next->cid, false, false));
	show(next->cid);
	ck_assert(down(FINISHED).over);
}
END_TEST

/* The server wants no CID any more. */
START_TEST(next_handshake_without_a_cid)
{
	pass(MBEDTLS);
	show(handshakes_seen[MBEDTLS].cid);
	down(FINISHED);
	pass(OPENSSL);
	ck_assert(!handshake.over && !handshake.given);
	ck_assert_uint_eq(handshake.cid.len, 0);
	up(KEY_EXCHANGE CHANGE);
	ck_assert(down(FINISHED).over);
}
END_TEST

static uint8_t zeros[70000];

/* A source that has shown nothing gets three times what it sent, and the allowance. */
START_TEST(three_times_and_an_allowance)
{
	const size_t sent = up(handshakes_seen[MBEDTLS].datagrams[0] + 1);

	purse_left = 0;
	ck_assert_int_eq(down_octets(zeros, 3 * sent).pass, HANDSHAKE_SENT);
	ck_assert_int_eq(down_octets(zeros, 1).pass, HANDSHAKE_WITHHELD);
	purse_left = UINT64_MAX;
	ck_assert_int_eq(down_octets(zeros, OWNERSHIP_ALLOWANCE).pass, HANDSHAKE_SENT);
	ck_assert_uint_eq(paid, OWNERSHIP_ALLOWANCE);
	ck_assert_int_eq(down_octets(zeros, 1).pass, HANDSHAKE_WITHHELD);
	/* Whatever it sends. */
	ck_assert_uint_eq(up(KEY_EXCHANGE), 25);
	ck_assert_int_eq(down_octets(zeros, 75 + OWNERSHIP_ALLOWANCE + 1).pass, HANDSHAKE_WITHHELD);
	ck_assert_int_eq(down_octets(zeros, 75 + OWNERSHIP_ALLOWANCE).pass, HANDSHAKE_SENT);
	show("0102");
	ck_assert_int_eq(down_octets(zeros, 180 + OWNERSHIP_ALLOWANCE).pass, HANDSHAKE_SENT);
	ck_assert_int_eq(down_octets(zeros, 1).pass, HANDSHAKE_WITHHELD);
}
END_TEST

START_TEST(no_limit_once_the_cookie_came_back)
{
	const char *const *datagrams = handshakes_seen[MBEDTLS].datagrams;

	up(datagrams[0] + 1);
	down(datagrams[1] + 1);
	ck_assert_int_eq(down_octets(zeros, 60000).pass, HANDSHAKE_WITHHELD);
	up(datagrams[2] + 1);
	purse_left = 0;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(down_octets(zeros, 60000).pass, HANDSHAKE_SENT);
	/* Nor for a ClientHello that others send in its name. */
	up(handshakes_seen[CALIFORNIUM].datagrams[0] + 1);
	ck_assert_int_eq(down_octets(zeros, 60000).pass, HANDSHAKE_SENT);
}
END_TEST

/* A second ClientHello with another cookie shows nothing: it is that of another handshake. */
START_TEST(another_cookie)
{
	up(handshakes_seen[MBEDTLS].datagrams[0] + 1);
	down(handshakes_seen[CALIFORNIUM].datagrams[1] + 1);
	up(handshakes_seen[MBEDTLS].datagrams[2] + 1);
	ck_assert(!handshake.confirmed);
	ck_assert_int_eq(down_octets(zeros, 60000).pass, HANDSHAKE_WITHHELD);
}
END_TEST

/* A server without cookies reflects what it would reflect without us. It is counted. */
START_TEST(server_without_cookies)
{
	const char *const *datagrams = handshakes_seen[MBEDTLS].datagrams;

	up(datagrams[0] + 1);
	ck_assert_int_eq(down(datagrams[3] + 1).pass, HANDSHAKE_SENT);
	ck_assert_int_eq(down_octets(zeros, 60000).pass, HANDSHAKE_REFLECTED);
	purse_left = 0;
	ck_assert_int_eq(down_octets(zeros, 3000).pass, HANDSHAKE_REFLECTED);
	show(handshakes_seen[MBEDTLS].cid);
	ck_assert_int_eq(down(FINISHED).over, 1);
	ck_assert_int_eq(down_octets(zeros, 60000).pass, HANDSHAKE_SENT);
}
END_TEST

START_TEST(source_without_a_handshake)
{
	up(DATA);
	purse_left = 0;
	ck_assert_int_eq(down_octets(zeros, 60000).pass, HANDSHAKE_SENT);
}
END_TEST

static uint32_t below(uint32_t limit)
{
	return (uint32_t)rand() % limit;
}

/* As long as the source has shown nothing, and no ServerHello came without a cookie: never more than three times and
 * the allowances, whatever passes. */
START_TEST(any_sequence)
{
	const char *const *datagrams = handshakes_seen[MBEDTLS].datagrams;
	uint64_t sent = 0, got = 0, uplinks = 0;

	srand((unsigned)_i + 1);
	for (int step = 0; step < 3000; step++) {
		const uint32_t octets = below(4000);

		if (below(10) == 0)
			purse_left = below(30000);
		switch (below(5)) {
		case 0:
			sent += up(datagrams[0] + 1);
			uplinks++;
			break;
		case 1:
			sent += up(KEY_EXCHANGE);
			uplinks += 1;
			break;
		case 2:
			if (down(datagrams[1] + 1).pass == HANDSHAKE_SENT && handshake.begun)
				got += 60;
			break;
		default:
			if (down_octets(zeros, octets).pass == HANDSHAKE_SENT && handshake.begun)
				got += octets;
		}
		now_s += below(30) == 0;
		if (got > 3 * sent + paid || paid > uplinks * OWNERSHIP_ALLOWANCE)
			ck_abort_msg("got %ju of %ju, and %ju", (uintmax_t)got, (uintmax_t)sent, (uintmax_t)paid);
	}
	ck_assert_uint_gt(got, sent);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_loop_test(tests, seen_on_the_wire, 0, SEEN);
	tcase_add_test(tests, application_keys_of_1_3);
	tcase_add_test(tests, resumption_is_not_over_before_an_uplink);
	tcase_add_test(tests, uplink_without_the_cid);
	tcase_add_test(tests, session_beside_a_forged_hello);
	tcase_add_test(tests, session_without_a_handshake);
	tcase_add_test(tests, flight_after_the_end);
	tcase_add_test(tests, guess);
	tcase_add_test(tests, no_guess_beside_a_server_hello_without_a_cid);
	tcase_add_test(tests, next_handshake);
	tcase_add_test(tests, next_handshake_without_a_cid);
	tcase_add_test(tests, three_times_and_an_allowance);
	tcase_add_test(tests, no_limit_once_the_cookie_came_back);
	tcase_add_test(tests, another_cookie);
	tcase_add_test(tests, server_without_cookies);
	tcase_add_test(tests, source_without_a_handshake);
	tcase_add_loop_test(tests, any_sequence, 0, 3);
}

#include <stdlib.h>

#include "common/hello.h"
#include "tests/fixtures/seen_messages.h"
#include "tests/unit/suite.h"

/* The first ClientHello begins, what follows goes on, and the cookie comes back. The second time round all of it is a
 * repetition, and the answers are the same. */
START_TEST(seen)
{
	const struct handshake_seen *handshake = &handshakes_seen[_i];
	struct hello_bed bed = hello_bed();

	for (int round = 0; round < 2; round++) {
		enum hello_said last = HELLO_SAID_NOTHING;

		for (int i = 0; handshake->datagrams[i]; i++) {
			const struct octets in = seen_datagram(handshake, i);

			if (is_uplink(handshake, i)) {
				ck_assert_int_eq(hello_bed_take(&bed, in.at, in.len),
						 i == 0 && round == 0 ? HELLO_BEGINS : HELLO_GOES_ON);
			} else {
				last = hello_reply(&bed.hello, &bed.key, in.at, in.len, &bed.cid);
				ck_assert_int_eq(last == HELLO_SAID_RETRY, i == 1);
				ck_assert(hello_asked(&bed.hello));
				ck_assert(round == 1 || hello_confirmed(&bed.hello) == (i > 1));
			}
			free(in.at);
		}
		/* Of wolfSSL's the ServerHello is whole in one datagram, of pion's 1.3 in two. */
		ck_assert_int_eq(last, said_at_end(handshake));
		ck_cid(&bed, handshake->cid);
		ck_assert(hello_rrc(&bed.hello) == handshake->rrc);
	}
}
END_TEST

/* The retry and the second ClientHello likewise: the cookie is recognised, and no other one. */
START_TEST(cookie_cut)
{
	const struct handshake_seen *handshake = &handshakes_seen[_i];
	const struct hello_text first = seen_message(handshake, CLIENT, 0), second = seen_message(handshake, CLIENT, 1);
	struct hello_text retry = seen_message(handshake, VERIFY, 0);

	if (!retry.body.at)
		retry = seen_message(handshake, SERVER, 0); /* DTLS 1.3 */
	for (size_t a = 1; a <= retry.body.len; a++) {
		struct hello_bed bed = hello_bed();

		ck_assert_int_eq(hello_bed_up(&bed, &first, 0, first.body.len), HELLO_BEGINS);
		ck_assert_int_eq(down_in_three(&bed, &retry, a, a), HELLO_SAID_RETRY);
		ck_assert(hello_asked(&bed.hello) && !hello_confirmed(&bed.hello));
		for (size_t b = 34; b <= second.body.len; b += step_of(second.body.len) > 1 ? 7 : 1) {
			struct hello_bed again = bed;

			ck_assert_int_eq(hello_bed_up(&again, &second, 0, b), HELLO_GOES_ON);
			ck_assert_int_eq(hello_bed_up(&again, &second, b, second.body.len), HELLO_GOES_ON);
			ck_assert(hello_confirmed(&again.hello));
		}
	}
	free(first.body.at);
	free(second.body.at);
	free(retry.body.at);
}
END_TEST

/* One octet of it is another. */
START_TEST(cookie_wrong)
{
	const struct hello_text first = seen_message(&handshakes_seen[0], CLIENT, 0),
				second = seen_message(&handshakes_seen[0], CLIENT, 1),
				retry = seen_message(&handshakes_seen[0], VERIFY, 0);

	for (size_t at = 36; at < 36 + 32; at++) {
		struct hello_bed bed = hello_bed();

		hello_bed_up(&bed, &first, 0, first.body.len);
		hello_bed_down(&bed, &retry, 0, retry.body.len);
		second.body.at[at] ^= 1;
		ck_assert_int_eq(hello_bed_up(&bed, &second, 0, second.body.len), HELLO_GOES_ON); /* by its random */
		ck_assert(!hello_confirmed(&bed.hello));
		second.body.at[at] ^= 1;
		hello_bed_up(&bed, &second, 0, second.body.len);
		ck_assert(hello_confirmed(&bed.hello));
	}
	free(first.body.at);
	free(second.body.at);
	free(retry.body.at);
}
END_TEST

/* Four repetitions of the same size are free, then one is paid. */
START_TEST(repetitions)
{
	const struct octets in = octets_of(plain_hello);
	struct hello_bed bed = hello_bed();

	for (int paid = 0; paid < 3; paid++) {
		ck_assert_int_eq(hello_bed_take(&bed, in.at, in.len), HELLO_BEGINS);
		for (int i = 0; i < HELLO_FREE_TIMES; i++)
			ck_assert_int_eq(hello_bed_take(&bed, in.at, in.len), HELLO_GOES_ON);
	}
	free(in.at);
}
END_TEST

START_TEST(life)
{
	const struct hello_text text = hello_text_of(plain_hello);
	struct hello_bed bed = hello_bed();

	for (bed.now_s = 0xffff - 30; bed.now_s < 0x20000; bed.now_s += HELLO_LIFE_S + 1) {
		ck_assert_int_eq(hello_bed_up(&bed, &text, 0, 40), HELLO_BEGINS);
		bed.now_s += HELLO_LIFE_S;
		ck_assert_int_eq(hello_bed_up(&bed, &text, 0, 40), HELLO_GOES_ON);
		ck_assert_int_eq(hello_bed_up(&bed, &text, 40, 58), HELLO_GOES_ON);
		bed.now_s++;
		ck_assert_int_eq(hello_bed_up(&bed, &text, 40, 58), HELLO_LONE);
		bed.now_s += 4000;
	}
	free(text.body.at);
}
END_TEST

/* Later fragments come alone, or once too often. */
START_TEST(fragments)
{
	const struct hello_text text = hello_text_of(plain_hello);
	struct hello_bed bed = hello_bed();
	int i = 0;

	ck_assert_int_eq(hello_bed_up(&bed, &text, 40, 58), HELLO_LONE);
	ck_assert_int_eq(hello_bed_up(&bed, &text, 0, 40), HELLO_BEGINS);
	while (hello_bed_up(&bed, &text, 40, 58) == HELLO_GOES_ON)
		i++;
	ck_assert_int_eq(i, HELLO_FREE_TIMES * 3 / 2); /* in 32 octets, each rounded up */
	ck_assert_int_eq(hello_bed_up(&bed, &text, 40, 58), HELLO_LONE);
	ck_assert_int_eq(hello_bed_up(&bed, &text, 0, 40), HELLO_BEGINS);
	ck_assert_int_eq(hello_bed_up(&bed, &text, 40, 58), HELLO_GOES_ON);
	free(text.body.at);
}
END_TEST

/* A message that says it is huge gets no more than HELLO_COUNTED_MAX allows. */
START_TEST(announced_too_much)
{
	const struct octets in = octets_of("16 fefd 0000 000000000000 002e 01 ffffff 0000 000000 000022 fefd"
					   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	struct hello_bed bed = hello_bed();
	int free_ones = 0;

	ck_assert_int_eq(hello_bed_take(&bed, in.at, in.len), HELLO_BEGINS);
	while (hello_bed_take(&bed, in.at, in.len) == HELLO_GOES_ON)
		free_ones++;
	ck_assert_int_eq(free_ones, HELLO_FREE_TIMES * HELLO_COUNTED_MAX / 64);
	free(in.at);
}
END_TEST

/* Another random is another handshake. Once a cookie was sent, whoever repeats it needs no known random, but only
 * once. */
START_TEST(other_random)
{
	const struct hello_text first = seen_message(&handshakes_seen[0], CLIENT, 0),
				second = seen_message(&handshakes_seen[0], CLIENT, 1),
				retry = seen_message(&handshakes_seen[0], VERIFY, 0),
				spoofed = hello_text_of(plain_hello);
	struct hello_bed bed = hello_bed();

	ck_assert_int_eq(hello_bed_up(&bed, &first, 0, first.body.len), HELLO_BEGINS);
	hello_bed_down(&bed, &retry, 0, retry.body.len);
	ck_assert_int_eq(hello_bed_up(&bed, &spoofed, 0, spoofed.body.len), HELLO_BEGINS);
	ck_assert(!hello_asked(&bed.hello));
	bed.now_s += HELLO_LIFE_S;
	ck_assert_int_eq(hello_bed_up(&bed, &second, 0, second.body.len), HELLO_GOES_ON);
	ck_assert(hello_confirmed(&bed.hello));
	/* The cookie has renewed the time, and what passes free. */
	bed.now_s += HELLO_LIFE_S;
	for (int i = 0; i < HELLO_FREE_TIMES; i++)
		ck_assert_int_eq(hello_bed_up(&bed, &second, 0, second.body.len), HELLO_GOES_ON);
	ck_assert_int_eq(hello_bed_up(&bed, &second, 0, second.body.len), HELLO_BEGINS);
	ck_assert(hello_confirmed(&bed.hello));

	/* A cookie of a handshake that is too old is none. */
	bed.now_s += HELLO_LIFE_S + 1;
	ck_assert_int_eq(hello_bed_up(&bed, &spoofed, 0, spoofed.body.len), HELLO_BEGINS);
	ck_assert(!hello_confirmed(&bed.hello));
	ck_assert_int_eq(hello_bed_up(&bed, &second, 0, second.body.len), HELLO_BEGINS);
	ck_assert(!hello_confirmed(&bed.hello));
	free(first.body.at);
	free(second.body.at);
	free(retry.body.at);
	free(spoofed.body.at);
}
END_TEST

#define RECORD(length) "16 fefd 0000 000000000000" length
#define HELLO_40(seq)                                                                                                  \
	"01 000028" seq "000000 000028 fefd 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"          \
	"00 00 0002 c0a8"
#define FRAGMENT_34 "01 000028 0000 000000 000022 fefd 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define FRAGMENT_6  "01 000028 0000 000022 000006 00 00 0002 c0a8"

#define FRAGMENT_6_OF_ANOTHER "01 000028 0001 000022 000006 00 00 0002 c0a8"

static const struct {
	const char *name, *hex;
	enum hello_step step; /* of a source of which nothing is known */
} steps[] = {
	/* clang-format off */
	{ "nothing", "", HELLO_NONE },
	{ "whole", RECORD("0034") HELLO_40("0000"), HELLO_BEGINS },
	{ "whole, a second one whose first is not known", RECORD("0034") HELLO_40("0001"), HELLO_BEGINS },
	{ "version of the record feff", "16 feff 0000 000000000000 0034" HELLO_40("0000"), HELLO_BEGINS },
	{ "fragments in two records", RECORD("002e") FRAGMENT_34 RECORD("0012") FRAGMENT_6, HELLO_BEGINS },
	{ "fragments in one record", RECORD("0040") FRAGMENT_34 FRAGMENT_6, HELLO_BEGINS },
	{ "later fragment", RECORD("0012") FRAGMENT_6, HELLO_LONE },
	{ "later fragment first", RECORD("0012") FRAGMENT_6 RECORD("002e") FRAGMENT_34, HELLO_LONE },
	{ "two ClientHellos in two records", RECORD("0034") HELLO_40("0000") RECORD("0034") HELLO_40("0000"), HELLO_LONE },
	{ "two ClientHellos in one record", RECORD("0068") HELLO_40("0000") HELLO_40("0001"), HELLO_LONE },
	{ "a fragment of another message behind it", RECORD("002e") FRAGMENT_34 RECORD("0012") FRAGMENT_6_OF_ANOTHER, HELLO_LONE },
	{ "behind an empty message", RECORD("0040") "00 000000 0000 000000 000000" HELLO_40("0000"), HELLO_BEGINS },
	{ "behind an alert", "15 fefd 0000 000000000000 0002 0100" RECORD("0034") HELLO_40("0000"), HELLO_BEGINS },
	{ "behind a record of epoch 1", "16 fefd 0001 000000000000 0001 aa" RECORD("0034") HELLO_40("0000"), HELLO_BEGINS },
	{ "before early data", RECORD("0034") HELLO_40("0000") "2f 0000 0010 00112233445566778899aabbccddeeff", HELLO_BEGINS },
	{ "no octets of it", RECORD("000c") "01 000028 0000 000000 000000", HELLO_BEGINS },
	{ "epoch 1", "16 fefd 0001 000000000000 0034" HELLO_40("0000"), HELLO_NONE },
	{ "a ServerHello", RECORD("000c") "02 000028 0000 000000 000000", HELLO_NONE },
	{ "the record is cut short", RECORD("0035") HELLO_40("0000"), HELLO_NONE },
	{ "the fragment is longer than the record", RECORD("000d") "01 000028 0000 000000 000028 aa", HELLO_NONE },
	{ "the fragment ends behind the message", RECORD("0012") "01 000028 0000 000023 000006 aabbccddeeff", HELLO_NONE },
	{ "not DTLS", "16 0303 0000 000000000000 0034" HELLO_40("0000"), HELLO_NONE },
	{ "behind a CID", "19 fefd 0001 000000000000 aabb 0001 cc" RECORD("0034") HELLO_40("0000"), HELLO_NONE },
	/* clang-format on */
};

START_TEST(step)
{
	const struct octets in = octets_of(steps[_i].hex);
	struct hello_bed bed = hello_bed();
	const enum hello_step got = hello_bed_take(&bed, in.at, in.len);

	ck_assert_msg(got == steps[_i].step, "%s: %d", steps[_i].name, got);
	ck_assert(bed.hello.known == (got == HELLO_BEGINS));
	free(in.at);
}
END_TEST

/* Every prefix of what was seen, exactly sized, so that AddressSanitizer sees a read behind it. */
START_TEST(truncated)
{
	const struct handshake_seen *handshake = &handshakes_seen[_i];
	struct hello_bed bed = hello_bed();

	for (int i = 0; handshake->datagrams[i]; i++) {
		const struct octets whole = seen_datagram(handshake, i);

		for (size_t len = 0; len < whole.len; len++) {
			const struct octets in = octets_copy(whole.at, len);
			struct hello_bed other = bed;

			hello_bed_take(&other, in.at, in.len);
			hello_reply(&other.hello, &other.key, in.at, in.len, &other.cid);
			ck_assert_uint_le(other.cid.len, HELLO_CID_MAX);
			free(in.at);
		}
		if (is_uplink(handshake, i))
			hello_bed_take(&bed, whole.at, whole.len);
		else
			hello_reply(&bed.hello, &bed.key, whole.at, whole.len, &bed.cid);
		free(whole.at);
	}
}
END_TEST

/* Whatever a struct hello holds, it is a value: nothing is read or written outside, and nothing hangs. */
START_TEST(any_state)
{
	const struct octets hello = seen_datagram(&handshakes_seen[7], 3),
			    reply = seen_datagram(&handshakes_seen[7], 5);

	srandom(1);
	for (int i = 0; i < 20000; i++) {
		struct hello_bed bed = hello_bed();
		uint8_t *at = (uint8_t *)&bed.hello;

		for (size_t n = 0; n < sizeof bed.hello; n++)
			at[n] = (uint8_t)(random() >> 7);
		bed.cid.len = (uint8_t)(random() >> 7);
		if (i % 2)
			hello_bed_take(&bed, hello.at, hello.len);
		else
			hello_reply(&bed.hello, &bed.key, reply.at, reply.len, &bed.cid);
	}
	free(hello.at);
	free(reply.at);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, seen, 0, COUNT_OF(handshakes_seen));
	tcase_add_loop_test(tests, cookie_cut, 0, COUNT_OF(handshakes_seen));
	tcase_add_test(tests, cookie_wrong);
	tcase_add_test(tests, repetitions);
	tcase_add_test(tests, life);
	tcase_add_test(tests, fragments);
	tcase_add_test(tests, announced_too_much);
	tcase_add_test(tests, other_random);
	tcase_add_loop_test(tests, step, 0, COUNT_OF(steps));
	tcase_add_loop_test(tests, truncated, 0, COUNT_OF(handshakes_seen));
	tcase_add_test(tests, any_state);
}

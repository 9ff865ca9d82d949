/* What a server answers: its HelloVerifyRequest or retry, and the CID in its ServerHello. */
#include <stdlib.h>

#include "common/hello.h"
#include "tests/fixtures/seen_messages.h"
#include "tests/unit/suite.h"

/* However a ServerHello is cut into two or three fragments, the answer is the same. */
START_TEST(server_hello_cut)
{
	const struct handshake_seen *handshake = &handshakes_seen[_i];
	const struct hello_text text = seen_message(handshake, SERVER, 1);

	for (size_t a = 1; a <= text.body.len; a++)
		for (size_t b = a; b <= text.body.len; b += step_of(text.body.len)) {
			struct hello_bed bed = hello_bed();

			ck_assert_int_eq(down_in_three(&bed, &text, a, b), said_at_end(handshake));
			ck_cid(&bed, handshake->cid);
			ck_assert(hello_rrc(&bed.hello) == handshake->rrc);
		}
	free(text.body.at);
}
END_TEST

/* A ServerHello in fragments goes on under whatever comes up meanwhile, but for a new handshake that is taken. */
START_TEST(crossing)
{
	const struct handshake_seen *pion = &handshakes_seen[7];
	const struct hello_text second = seen_message(pion, CLIENT, 1), server = seen_message(pion, SERVER, 1),
				other = hello_text_of(plain_hello);
	struct hello_bed bed = hello_bed();
	struct hello_bed forgotten;

	for (int i = 0; i < 4; i++) {
		const struct octets in = seen_datagram(pion, i);
		if (is_uplink(pion, i))
			hello_bed_take(&bed, in.at, in.len);
		else
			hello_reply(&bed.hello, &bed.key, in.at, in.len, &bed.cid);
		free(in.at);
	}
	ck_assert_int_eq(hello_bed_down(&bed, &server, 0, 1175), HELLO_SAID_BEGUN);
	forgotten = bed;
	ck_assert_int_eq(hello_bed_up(&bed, &second, 0, 600), HELLO_GOES_ON);
	ck_assert_int_eq(hello_bed_up(&bed, &second, 600, second.body.len), HELLO_GOES_ON);
	ck_assert_int_eq(hello_bed_down(&bed, &server, 1175, server.body.len), HELLO_SAID_CID);
	ck_cid(&bed, pion->cid);

	ck_assert_int_eq(hello_bed_up(&forgotten, &other, 0, other.body.len), HELLO_BEGINS);
	/* Anybody can have sent it. */
	ck_assert_int_eq(hello_bed_down(&forgotten, &server, 1175, server.body.len), HELLO_SAID_CID);
	ck_cid(&forgotten, pion->cid);
	ck_assert_int_eq(hello_bed_down(&forgotten, &server, 0, 1175), HELLO_SAID_BEGUN);
	ck_assert_int_eq(hello_bed_down(&forgotten, &server, 1175, server.body.len), HELLO_SAID_CID);
	free(second.body.at);
	free(server.body.at);
	free(other.body.at);
}
END_TEST

/* Out of order: what comes first is repeated, then it is read. Overlaps and repetitions do no harm. */
START_TEST(disorder)
{
	const struct hello_text server = seen_message(&handshakes_seen[3], SERVER, 1);
	const size_t len = server.body.len;
	struct hello_bed bed = hello_bed();

	ck_assert_int_eq(hello_bed_down(&bed, &server, 50, len), HELLO_SAID_NOTHING);
	ck_assert_int_eq(hello_bed_down(&bed, &server, 0, 50), HELLO_SAID_BEGUN);
	ck_assert_int_eq(hello_bed_down(&bed, &server, 51, len), HELLO_SAID_NOTHING);
	ck_assert_int_eq(hello_bed_down(&bed, &server, 10, 50), HELLO_SAID_NOTHING);
	ck_assert_int_eq(hello_bed_down(&bed, &server, 50, 50), HELLO_SAID_NOTHING);
	ck_assert_int_eq(hello_bed_down(&bed, &server, 40, 60), HELLO_SAID_NOTHING);
	ck_assert_int_eq(hello_bed_down(&bed, &server, 60, len), HELLO_SAID_CID);
	ck_cid(&bed, handshakes_seen[3].cid);
	free(server.body.at);
}
END_TEST

/* A fragment of the HelloRetryRequest, which has another message_seq, is none of the ServerHello. */
START_TEST(fragment_of_another)
{
	struct hello_text server = seen_message(&handshakes_seen[7], SERVER, 1);
	struct hello_bed bed = hello_bed();

	ck_assert_int_eq(hello_bed_down(&bed, &server, 0, 50), HELLO_SAID_BEGUN);
	server.seq = 0;
	ck_assert_int_eq(hello_bed_down(&bed, &server, 50, server.body.len), HELLO_SAID_NOTHING);
	server.seq = 1;
	ck_assert_int_eq(hello_bed_down(&bed, &server, 50, server.body.len), HELLO_SAID_CID);
	free(server.body.at);
}
END_TEST

/* Each octet of its random makes a ServerHello a retry. */
START_TEST(almost_a_retry)
{
	const struct hello_text retry = seen_message(&handshakes_seen[7], SERVER, 0);

	for (size_t at = 2; at < 2 + 32; at++) {
		struct hello_bed bed = hello_bed();

		retry.body.at[at] ^= 1;
		ck_assert_int_eq(hello_bed_down(&bed, &retry, 0, retry.body.len), HELLO_SAID_NO_CID);
		ck_assert(!hello_asked(&bed.hello));
		retry.body.at[at] ^= 1;
		ck_assert_int_eq(hello_bed_down(&bed, &retry, 0, retry.body.len), HELLO_SAID_RETRY);
		ck_assert(hello_asked(&bed.hello));
	}
	free(retry.body.at);
}
END_TEST

/* A ServerHello whose extensions are these. */
static struct hello_text server_hello(const char *extensions)
{
	const struct octets head = octets_of("fefd 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
					     "00 c0a8 00 0000"),
			    tail = octets_of(extensions);
	struct hello_text text = { .type = SERVER, .seq = 1 };

	text.body = (struct octets){ malloc(head.len + tail.len), head.len + tail.len };
	ck_assert(text.body.at);
	memcpy(text.body.at, head.at, head.len);
	memcpy(text.body.at + head.len, tail.at, tail.len);
	text.body.at[head.len - 1] = (uint8_t)tail.len;
	free(head.at);
	free(tail.at);
	return text;
}

static const struct {
	const char *name, *extensions;
	enum hello_said said;
	const char *cid;
	bool rrc;
} extensions[] = {
	/* clang-format off */
	{ "none", "", HELLO_SAID_NO_CID, "", false },
	{ "the server wants no CIDs", "0036 0001 00", HELLO_SAID_NO_CID, "", false },
	{ "one octet", "0036 0002 01 a1", HELLO_SAID_CID, "a1", false },
	{ "20 octets", "0036 0015 14 000102030405060708090a0b0c0d0e0f10111213", HELLO_SAID_CID, "000102030405060708090a0b0c0d0e0f10111213", false },
	{ "21 octets", "0036 0016 15 000102030405060708090a0b0c0d0e0f1011121314", HELLO_SAID_NO_CID, "", false },
	{ "first, then others", "0036 0002 01 a1 0017 0000 ff01 0001 00", HELLO_SAID_CID, "a1", false },
	{ "RRC before", "003d 0000 0036 0002 01 a1", HELLO_SAID_CID, "a1", true },
	{ "RRC behind", "0036 0002 01 a1 003d 0000", HELLO_SAID_CID, "a1", true },
	{ "two: the first counts", "0036 0002 01 a1 0036 0002 01 a2", HELLO_SAID_CID, "a1", false },
	{ "the extension is longer than the CID", "0036 0003 01 a1 a2", HELLO_SAID_NO_CID, "", false },
	{ "the CID is longer than the extension", "0036 0002 02 a1", HELLO_SAID_NO_CID, "", false },
	{ "the extension has no octets", "0036 0000", HELLO_SAID_NO_CID, "", false },
	{ "the extension is longer than the message", "0036 0009 08 a1", HELLO_SAID_NO_CID, "", false },
	{ "the message ends in a length", "0036 00", HELLO_SAID_NO_CID, "", false },
	{ "an earlier draft's number", "0035 0002 01 a1", HELLO_SAID_NO_CID, "", false },
	{ "54 in the body of another", "0017 0006 0036 0002 01 a1", HELLO_SAID_NO_CID, "", false },
	{ "a length beyond all", "0017 ffff 0036 0002 01 a1", HELLO_SAID_NO_CID, "", false },
	/* clang-format on */
};

START_TEST(extension)
{
	const struct hello_text text = server_hello(extensions[_i].extensions);

	for (size_t a = 1; a <= text.body.len; a++) {
		struct hello_bed bed = hello_bed();

		ck_assert_msg(down_in_three(&bed, &text, a, a) == extensions[_i].said, "%s: cut at %zu",
			      extensions[_i].name, a);
		ck_cid(&bed, extensions[_i].cid);
		ck_assert(hello_rrc(&bed.hello) == extensions[_i].rrc);
	}
	free(text.body.at);
}
END_TEST

/* Another ServerHello has the say, also within one datagram. */
START_TEST(next_server_hello)
{
	const struct hello_text with = server_hello("003d 0000 0036 0002 01 a1"), without = server_hello("");
	const struct octets a = hello_fragment(&with, 0, with.body.len),
			    b = hello_fragment(&without, 0, without.body.len);
	struct octets both = { malloc(a.len + b.len), a.len + b.len };
	struct hello_bed bed = hello_bed();

	ck_assert(both.at);
	memcpy(both.at, a.at, a.len);
	memcpy(both.at + a.len, b.at, b.len);
	ck_assert_int_eq(hello_reply(&bed.hello, &bed.key, both.at, both.len, &bed.cid), HELLO_SAID_NO_CID);
	ck_assert(bed.cid.len == 0 && !hello_rrc(&bed.hello));
	memcpy(both.at, b.at, b.len);
	memcpy(both.at + b.len, a.at, a.len);
	ck_assert_int_eq(hello_reply(&bed.hello, &bed.key, both.at, both.len, &bed.cid), HELLO_SAID_CID);
	ck_assert(bed.cid.len == 1 && hello_rrc(&bed.hello));
	free(a.at);
	free(b.at);
	free(both.at);
	free(with.body.at);
	free(without.body.at);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, server_hello_cut, 0, COUNT_OF(handshakes_seen));
	tcase_add_test(tests, crossing);
	tcase_add_test(tests, disorder);
	tcase_add_test(tests, fragment_of_another);
	tcase_add_test(tests, almost_a_retry);
	tcase_add_loop_test(tests, extension, 0, COUNT_OF(extensions));
	tcase_add_test(tests, next_server_hello);
}

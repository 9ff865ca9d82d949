/* What a ClientHello offers to resume, and when what a server gave out counts. */
#include "common/resume.h"

#include <string.h>

#include "tests/fixtures/handshakes_seen.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/resume_texts.h"
#include "tests/unit/suite.h"

#define ID     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER  "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define COOKIE "a0a1a2a3a4a5a6a7"
/* 80 octets; the first 64 are read. */
#define HALF   "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
#define TICKET HALF HALF "e0e1e2e3e4e5e6e7e8e9eaebecedeeef"

static const struct siphash_key key = { 1, 2 };
static const struct resume_names nothing;

static struct resume_names offered(const char *hex)
{
	const struct octets in = octets_of(hex);
	struct resume_names out;
	const bool any = resume_read_offer(&out, &key, in.at, in.len);

	ck_assert(any == (out.session_id || out.ticket));
	free(in.at);
	return out;
}

static struct resume_names offer(const char *id, const char *cookie, const char *ticket)
{
	return offered(client_hello_text(&(struct offer_text){ 0, 3, id, cookie, ticket }));
}

/* True: the datagram shows that the device has the keys. */
static bool down(struct resume *resume, const char *hex, struct resume_names *out)
{
	const struct octets in = octets_of(hex);
	const bool shown = resume_reply(resume, &key, in.at, in.len, out);

	if (shown)
		ck_assert(!resume->served && !resume->full && resume->given.session_id == 0 &&
			  resume->given.ticket == 0);
	free(in.at);
	return shown;
}

START_TEST(offers)
{
	const struct resume_names id = offer(ID, "", ""), ticket = offer("", "", TICKET),
				  both = offer(ID, COOKIE, TICKET), none = offer("", COOKIE, "");

	ck_assert(id.session_id && !id.ticket);
	ck_assert(ticket.ticket && !ticket.session_id);
	ck_assert_uint_eq(both.session_id, id.session_id);
	ck_assert_uint_eq(both.ticket, ticket.ticket);
	ck_assert(!none.session_id && !none.ticket);
	ck_assert_uint_ne(offer(OTHER, "", "").session_id, id.session_id);
	ck_assert_uint_ne(offer("00", "", "").session_id, offer("0000", "", "").session_id);
	ck_assert_uint_ne(offer(ID, "", "").session_id, offer("", "", ID).ticket);
	ck_assert_uint_ne(offer("", "", HALF HALF).ticket, offer("", "", TICKET).ticket);
	/* An empty ticket asks for one. */
	ck_assert(!offered(record_text(message_text(1, 0,
						    "fefd"
						    "0000000000000000000000000000000000000000000000000000000000000003"
						    "00000002"
						    "00a801000004"
						    "00230000")))
			   .ticket);
}
END_TEST

/* The session id of Californium's ServerHello is what its device offers in the next handshake. */
START_TEST(seen)
{
	const struct handshake_seen *first = &handshakes_seen[0], *again = &handshakes_seen[1];
	struct resume resume = { 0 };
	struct resume_names given;

	ck_assert(!down(&resume, first->datagrams[1] + 1, &given));
	ck_assert(!down(&resume, first->datagrams[3] + 1, &given));
	ck_assert(resume.full);
	ck_assert(down(&resume, server_end_text(""), &given));
	ck_assert_uint_eq(given.session_id, offered(again->datagrams[0] + 1).session_id);
	ck_assert_uint_eq(given.session_id, offered(again->datagrams[2] + 1).session_id);
	ck_assert(!offered(first->datagrams[0] + 1).session_id);
	ck_assert(!down(&resume, again->datagrams[3] + 1, &given));
	ck_assert(resume.served && !resume.full);
}
END_TEST

/* What stands before it in the record or in the datagram does not matter; what is no first fragment says nothing. */
START_TEST(beside)
{
	const struct offer_text of = { 1, 3, ID, COOKIE, TICKET };
	const char *body = client_body(&of), *hello = message_text(1, 1, body);
	const struct resume_names both = offer(ID, COOKIE, TICKET);
	const char *const around[] = {
		record_text(hello),
		record_text(join_text(message_text(16, 2, "00"), hello)),
		join_text(record_text(message_text(16, 2, "00")), record_text(hello)),
		join_text(other_text(20, 0, 1), record_text(hello)),
	};
	struct resume_names got;

	for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
		got = offered(around[i]);
		ck_assert_uint_eq(got.session_id, both.session_id);
		ck_assert_uint_eq(got.ticket, both.ticket);
	}
	got = offered(record_text("01000090000100001000000400112233"));
	ck_assert(!got.session_id && !got.ticket);
}
END_TEST

/* However the ClientHello is cut: the first fragment gives the session id once it is whole, and the ticket once 64 of
 * its octets are there. The same octets cut off, so that the record is not whole, give nothing. */
START_TEST(cut)
{
	const struct offer_text of = { 1, 3, ID, COOKIE, TICKET };
	char body[RESUME_TEXT];

	strcpy(body, client_body(&of));
	const size_t len = strlen(body) / 2, id_ends = 34 + 1 + 32, ticket_begins = len - strlen(TICKET) / 2;
	const struct resume_names both = offer(ID, COOKIE, TICKET);

	for (size_t octets = 1; octets <= len; octets++) {
		const struct octets whole = octets_of(record_text(message_text(1, 1, body)));
		const struct octets short_of = octets_copy(whole.at, 25 + octets - 1);
		struct resume_names got = offered(record_text(fragment_text(1, 1, body, octets)));

		ck_assert_uint_eq(got.session_id, octets >= id_ends ? both.session_id : 0);
		ck_assert_uint_eq(got.ticket, octets >= ticket_begins + RESUME_TICKET_OCTETS ? both.ticket : 0);
		ck_assert(!resume_read_offer(&got, &key, short_of.at, short_of.len));
		free(whole.at);
		free(short_of.at);
	}
}
END_TEST

/* From the beginning the server's Finished shows it; the session id counts, and so does the ticket in its last flight.
 */
START_TEST(full)
{
	struct resume resume = { 0 };
	struct resume_names given = { 0 };

	ck_assert(!down(&resume, server_end_text(TICKET), &given)); /* no ServerHello */
	ck_assert(!down(&resume, full_hello_text(ID), &given));
	ck_assert(!down(&resume, full_hello_text(ID), &given)); /* repeated */
	ck_assert(!down(&resume, other_text(21, 0, 4), &given));
	ck_assert(!down(&resume, other_text(21, 1, 0), &given)); /* an alert */
	ck_assert(down(&resume, server_end_text(TICKET), &given));
	ck_assert_uint_eq(given.session_id, offer(ID, "", "").session_id);
	ck_assert_uint_eq(given.ticket, offer("", "", TICKET).ticket);
	ck_assert(!down(&resume, server_end_text(TICKET), &given));
	ck_assert(!down(&resume, other_text(23, 1, 1), &given));
}
END_TEST

/* The flight in datagrams of their own, and a server that gives out nothing. */
START_TEST(alone)
{
	struct resume resume = { 0 };
	struct resume_names given = { 0 };

	ck_assert(!down(&resume, record_text(message_text(2, 1, server_body(""))), &given));
	ck_assert(!down(&resume, record_text(message_text(11, 2, "000000")), &given));
	ck_assert(!down(&resume, record_text(message_text(14, 3, "")), &given));
	ck_assert(!down(&resume, record_text(message_text(4, 4, ticket_body(TICKET))), &given));
	ck_assert(!down(&resume, other_text(20, 0, 5), &given));
	ck_assert(down(&resume, other_text(22, 1, 0), &given));
	ck_assert_uint_eq(given.session_id, 0);
	ck_assert_uint_eq(given.ticket, offer("", "", TICKET).ticket);
	ck_assert(!down(&resume, full_hello_text(""), &given));
	ck_assert(down(&resume, server_end_text(""), &given));
	ck_assert(!given.session_id && !given.ticket);
	/* The device has a CID of its own, and the server none. */
	ck_assert(!down(&resume, full_hello_text(ID), &given));
	ck_assert(down(&resume, other_text(25, 1, 0), &given));
	ck_assert_uint_eq(given.session_id, offer(ID, "", "").session_id);
}
END_TEST

/* A server that resumes says Finished to whoever replayed a ClientHello. Its data shows it; the session id is the one
 * that it was offered, and does not count. Only first records do: others may be of a session before. */
START_TEST(resumed)
{
	struct resume resume = { 0 };
	struct resume_names given = { 0 };

	ck_assert(!down(&resume, resumed_hello_text(ID), &given));
	ck_assert(!down(&resume, record_text(message_text(4, 3, ticket_body(TICKET))), &given));
	ck_assert(!down(&resume, other_text(22, 1, 1), &given));
	ck_assert(!down(&resume, other_text(21, 1, 1), &given));
	ck_assert(!down(&resume, other_text(25, 1, 1), &given));
	ck_assert(!down(&resume, other_text(23, 1, RESUME_FRESH), &given));
	ck_assert(!down(&resume, other_text(23, 2, 1), &given));
	ck_assert(!down(&resume, other_text(23, 0, 1), &given));
	ck_assert(down(&resume, other_text(23, 1, RESUME_FRESH - 1), &given));
	ck_assert_uint_eq(given.session_id, 0);
	ck_assert_uint_eq(given.ticket, offer("", "", TICKET).ticket);
	/* What was full before the next ServerHello is so no more. */
	ck_assert(!down(&resume, full_hello_text(ID), &given));
	ck_assert(!down(&resume, resumed_hello_text(ID), &given));
	ck_assert(down(&resume, other_text(23, 1, 1), &given));
	ck_assert(!given.session_id && !given.ticket);
}
END_TEST

/* DTLS 1.3 has neither: RFC 9147, section 5.3. */
START_TEST(dtls13)
{
	struct resume resume = { 0 };
	struct resume_names given = nothing;

	ck_assert(!down(&resume, record_text(message_text(2, 1, server_body(""))), &given));
	ck_assert(!down(&resume, "2e0000001000112233445566778899aabbccddeeff", &given));
	ck_assert(!down(&resume, "2f0000001000112233445566778899aabbccddeeff", &given));
}
END_TEST

START_TEST(settled)
{
	static const struct {
		unsigned type, epoch, number;
		bool settled;
	} of[] = {
		{ 23, 1, 0, false },           { 23, 1, RESUME_FRESH - 1, false },
		{ 23, 1, RESUME_FRESH, true }, { 23, 2, 0, true },
		{ 22, 0, 99, false },          { 20, 0, 99, false },
		{ 21, 1, 100, true },          { 25, 1, 100, true },
		{ 63, 1, 100, false },
	};

	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		const struct octets in = octets_of(other_text(of[i].type, of[i].epoch, of[i].number));

		ck_assert_msg(resume_is_settled(in.at, in.len) == of[i].settled, "%zu", i);
		ck_assert(!resume_is_settled(in.at, 12));
		ck_assert(!resume_is_settled(in.at, 0));
		free(in.at);
	}
}
END_TEST

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Any octets, and good ones with some changed, in memory that ends where they do. */
START_TEST(any_octets)
{
	const struct octets good[] = {
		octets_of(client_hello_text(&(struct offer_text){ 1, 3, ID, COOKIE, TICKET })),
		octets_of(full_hello_text(ID)),
		octets_of(resumed_hello_text(ID)),
		octets_of(server_end_text(TICKET)),
	};
	struct resume resume = { 0 };
	struct resume_names out;
	uint32_t state = (uint32_t)_i + 1;

	for (int round = 0; round < 1000; round++) {
		const struct octets from = good[random_next(&state) % 4];
		const size_t len = random_next(&state) % (from.len + 1);
		const struct octets in = octets_copy(from.at, len);

		for (size_t i = 0; len > 0 && i < random_next(&state) % 4; i++)
			in.at[random_next(&state) % len] = (uint8_t)random_next(&state);
		for (size_t i = 0; round % 5 == 0 && i < len; i++)
			in.at[i] = (uint8_t)random_next(&state);
		ck_assert(resume_read_offer(&out, &key, in.at, in.len) == (out.session_id || out.ticket));
		(void)resume_reply(&resume, &key, in.at, in.len, &out);
		ck_assert(resume.served || (!resume.full && !resume.given.session_id && !resume.given.ticket));
		free(in.at);
	}
	for (size_t i = 0; i < 4; i++)
		free(good[i].at);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, offers);
	tcase_add_test(tests, seen);
	tcase_add_test(tests, beside);
	tcase_add_test(tests, cut);
	tcase_add_test(tests, full);
	tcase_add_test(tests, alone);
	tcase_add_test(tests, resumed);
	tcase_add_test(tests, dtls13);
	tcase_add_test(tests, settled);
	tcase_add_loop_test(tests, any_octets, 0, 4);
}

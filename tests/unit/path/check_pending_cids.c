/* CIDs on their way to a device, in the modes that keep no flows: handshakes of many kinds, as they were seen. */
#include "path/pending_cids.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/dtls.h"
#include "tests/fixtures/handshakes_seen.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/resume_texts.h"
#include "tests/unit/suite.h"

enum { MBEDTLS = 3, KINDS = sizeof handshakes_seen / sizeof *handshakes_seen, A = 11, B = 12, X = 1000, Y = 2000 };

static const char finished[] = "14fefd0000000000000003000101"
			       "16fefd0001000000000000"
			       "0010 00010000000000010011223344556677";

static struct pending_cids *pending;
static struct hello_key key;
static uint32_t now_s;

static void set_up(void)
{
	key = hello_key_make((const uint8_t[16]){ 5 });
	pending = pending_cids_new();
	now_s = 100;
	ck_assert_ptr_nonnull(pending);
}

static void tear_down(void)
{
	pending_cids_free(pending);
}

/* The server answers. Whatever is said of a CID is said of this one. */
static enum pending_step answer(uint64_t source, uint16_t backend, const char *hex, const char *cid)
{
	const struct octets octets = octets_of(hex), wanted = octets_of(cid);
	const struct pending_reply reply = { source, backend, octets.at, octets.len, now_s, true, NULL };
	struct pending_said got = { 0 };
	const enum pending_step step = pending_cids_reply(pending, &key, &reply, &got);

	if (step != PENDING_NOTHING) {
		ck_assert_uint_eq(got.cid.len, wanted.len);
		ck_assert_mem_eq(got.cid.octets, wanted.at, wanted.len);
	}
	free(octets.at);
	free(wanted.at);
	return step;
}

/* True: the handshake is over, and its CID is this. */
static bool down(uint64_t source, uint16_t backend, const char *hex, const char *cid)
{
	return answer(source, backend, hex, cid) == PENDING_OVER;
}

/* All that the server says up to its ServerHello, which gives out the CID, if there is one. */
static void offer(uint64_t source, uint16_t backend, const struct handshake_seen *of)
{
	bool given = false;

	for (int i = 0; of->datagrams[i]; i++) {
		if (of->datagrams[i][0] != '<')
			continue;
		switch (answer(source, backend, of->datagrams[i] + 1, of->cid)) {
		case PENDING_NOTHING:
			break;
		case PENDING_GIVEN:
			given = true;
			break;
		case PENDING_OVER:
		case PENDING_OVER_WITHOUT_CID:
			ck_abort();
		}
	}
	ck_assert_int_eq(given, *of->cid != '\0');
}

/* Which server a record of epoch 1 with this CID leads to, alone. 0: to none. */
static uint16_t leads(uint64_t source, const char *cid)
{
	char hex[256];
	struct octets octets;
	struct route_in in = { 0 };
	uint16_t backend = 0;
	uint8_t len = 0;

	snprintf(hex, sizeof hex, "19fefd0001000000000000%s001000010000000000010011223344556677", cid);
	octets = octets_of(hex);
	in.data = octets.at;
	in.len = octets.len;
	dtls_walk(&in.view, in.data, in.len);
	ck_assert_int_eq(in.view.kind, DTLS_CID);
	if (pending_cids_find(pending, source, &in, &backend, &len))
		ck_assert_uint_eq(len, strlen(cid) / 2);
	else
		backend = 0;
	free(octets.at);
	return backend;
}

START_TEST(every_kind)
{
	const struct handshake_seen *of = &handshakes_seen[_i];

	offer(X, A, of);
	if (!*of->cid) {
		ck_assert(!down(X, A, finished, of->cid));
		return;
	}
	ck_assert_uint_eq(leads(Y, of->cid), 0);
	ck_assert_uint_eq(leads(X, "0102030405"), 0);
	ck_assert_uint_eq(leads(X, of->cid), A);
	ck_assert(down(X, A, finished, of->cid));
	ck_assert_uint_eq(leads(X, of->cid), 0);
	ck_assert(!down(X, A, finished, of->cid));
}
END_TEST

/* What the server says under keys proves nothing before the device has shown the CID, and after each ServerHello anew:
 * one that resumes a session says so at once. */
START_TEST(not_before_the_device)
{
	const struct handshake_seen *of = &handshakes_seen[MBEDTLS];

	offer(X, A, of);
	ck_assert(!down(X, A, finished, of->cid));
	ck_assert_uint_eq(leads(X, of->cid), A);
	offer(X, A, of);
	ck_assert(!down(X, A, finished, of->cid));
	ck_assert_uint_eq(leads(X, of->cid), A);
	ck_assert(!down(Y, A, finished, of->cid));
	ck_assert(!down(X, B, finished, of->cid));
	ck_assert(down(X, A, finished, of->cid));
}
END_TEST

/* The device begins anew with another server. */
START_TEST(other_server)
{
	const struct handshake_seen *of = &handshakes_seen[MBEDTLS];

	offer(X, A, of);
	ck_assert_uint_eq(leads(X, of->cid), A);
	offer(X, B, of);
	ck_assert(!down(X, A, finished, of->cid));
	ck_assert(!down(X, B, finished, of->cid));
	ck_assert_uint_eq(leads(X, of->cid), B);
	ck_assert(down(X, B, finished, of->cid));
}
END_TEST

START_TEST(contested)
{
	ck_assert(!pending_cids_contested(pending, 0));
	ck_assert(!pending_cids_contested(pending, now_s));
	pending_cids_contest(pending, now_s);
	ck_assert(pending_cids_contested(pending, now_s));
	ck_assert(pending_cids_contested(pending, now_s + PENDING_CONTEST_S - 1));
	ck_assert(!pending_cids_contested(pending, now_s + PENDING_CONTEST_S));
}
END_TEST

/* Of a set that is full the oldest goes. */
START_TEST(full)
{
	const struct handshake_seen *of = &handshakes_seen[MBEDTLS];

	for (uint64_t i = 0; i < 3; i++, now_s++)
		offer(X + i * PENDING_CIDS, (uint16_t)(A + i), of);
	ck_assert_uint_eq(leads(X, of->cid), 0);
	ck_assert_uint_eq(leads(X + PENDING_CIDS, of->cid), A + 1);
	ck_assert_uint_eq(leads(X + 2 * PENDING_CIDS, of->cid), A + 2);
}
END_TEST

static enum pending_step said(uint16_t backend, const char *hex, struct pending_said *got)
{
	static const struct siphash_key names = { 3, 4 };
	const struct octets octets = octets_of(hex);
	const struct pending_reply reply = { X, backend, octets.at, octets.len, now_s, false, &names };
	const enum pending_step step = pending_cids_reply(pending, &key, &reply, got);

	free(octets.at);
	return step;
}

/* A session without a CID: what its server gives out to be resumed counts once, when it has shown the keys. In a pool
 * that does not learn CIDs a handshake that gives one out is not followed. */
START_TEST(without_cid)
{
	static const char id[] = "000102030405060708090a0b0c0d0e0f";
	struct pending_said got = { 0 };

	ck_assert_int_eq(said(A, server_end_text(""), &got), PENDING_NOTHING);
	ck_assert_int_eq(said(A, full_hello_text(id), &got), PENDING_NOTHING);
	ck_assert_int_eq(said(B, server_end_text(""), &got), PENDING_NOTHING);
	ck_assert_int_eq(said(A, server_end_text(""), &got), PENDING_OVER_WITHOUT_CID);
	ck_assert(got.given.session_id && !got.given.ticket && got.cid.len == 0);
	ck_assert_int_eq(said(A, server_end_text(""), &got), PENDING_NOTHING);
	ck_assert_int_eq(said(A, handshakes_seen[MBEDTLS].datagrams[3] + 1, &got), PENDING_GIVEN);
	ck_assert_int_eq(said(A, server_end_text(id), &got), PENDING_NOTHING);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, without_cid);
	tcase_add_loop_test(tests, every_kind, 0, KINDS);
	tcase_add_test(tests, not_before_the_device);
	tcase_add_test(tests, other_server);
	tcase_add_test(tests, contested);
	tcase_add_test(tests, full);
}

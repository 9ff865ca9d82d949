/* The record walk on any datagram, uplink and downlink. What it says of an uplink is held against a slow parser of the
 * rules (RFC 6347, 9146 and 9147), which is written for itself and uses nothing of common/dtls.c. */
#include <stdlib.h>
#include <string.h>

#include "common/dtls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What one record is to the rules. */
enum word {
	WORD_CUT = 'x',    /* cut short, or of another version */
	WORD_TYPE = '?',   /* no type of DTLS */
	WORD_BARE = '0',   /* data or a CID without keys */
	WORD_HELLO = 'h',  /* an epoch-0 handshake record with a ClientHello */
	WORD_FLIGHT = 'f', /* another one, or a CCS of epoch 0; upper case if it may follow a ClientHello */
	WORD_FOLLOW = 'F',
	WORD_CID_12 = 'c',
	WORD_CID_13 = 'C',
	WORD_NO_CID_13 = 'u',
	WORD_PLAIN = 'p', /* anything else that is well-formed */
};

struct parsed {
	char words[70000];
	size_t at[70000]; /* where each record begins */
	size_t count;
};

static struct parsed parsed;

static unsigned number(const uint8_t *at, size_t octets)
{
	unsigned n = 0;

	for (size_t i = 0; i < octets; i++)
		n = n * 256 + at[i];
	return n;
}

/* Where in a handshake record its first ClientHello begins; `len`: nowhere. */
static size_t hello_in(const uint8_t *body, size_t len)
{
	for (size_t at = 0; at + 12 <= len; at += 12 + number(body + at + 9, 3))
		if (body[at] == 1)
			return at;
	return len;
}

/* Reads one record with CIDs of `cid` octets. 0: where a CID comes first and `cid` is 0, the end is not known. */
static enum word read_one(const uint8_t *data, size_t left, size_t cid, size_t *octets)
{
	const unsigned first = data[0];
	size_t head, body;

	*octets = 0;
	if (first < 20 || (first > 27 && first < 32) || first > 63)
		return WORD_TYPE;
	if (first >= 32) {
		const bool has_cid = first % 32 >= 16, two = first % 16 >= 8, has_length = first % 8 >= 4;

		if (has_cid && cid == 0)
			return left >= 1 + 1 + 1 + 16 ? WORD_CID_13 : WORD_CUT;
		head = 1 + (has_cid ? cid : 0) + (two ? 2 : 1) + (has_length ? 2 : 0);
		if (left < head)
			return WORD_CUT;
		body = has_length ? number(data + head - 2, 2) : left - head;
		if (body < 16 || head + body > left)
			return WORD_CUT;
		*octets = head + body;
		return has_cid ? WORD_CID_13 : WORD_NO_CID_13;
	}
	if (left < (first == 25 ? 14 : 13))
		return WORD_CUT;
	if (data[1] != 0xfe || (first > 24 && data[2] != 0xfd))
		return WORD_CUT;
	const bool bare = number(data + 3, 2) == 0;
	if (first == 25 && bare)
		return WORD_BARE;
	if (first == 25 && cid == 0)
		return WORD_CID_12;
	head = 13 + (first == 25 ? cid : 0);
	if (left < head)
		return WORD_CUT;
	body = number(data + head - 2, 2);
	if (body == 0 || head + body > left)
		return WORD_CUT;
	*octets = head + body;
	if (first == 25)
		return WORD_CID_12;
	if (bare && first == 23)
		return WORD_BARE;
	if (bare && first == 20)
		return WORD_FLIGHT;
	if (!bare || first != 22)
		return WORD_PLAIN;
	if (body < 12)
		return WORD_CUT;
	return hello_in(data + head, body) < body ? WORD_HELLO : WORD_FOLLOW;
}

/* The words of a datagram, up to the first record whose end is not known. */
static void parse(const uint8_t *data, size_t len, size_t cid)
{
	size_t at = 0, octets = 1;

	for (parsed.count = 0; at < len && octets > 0; at += octets) {
		parsed.at[parsed.count] = at;
		parsed.words[parsed.count++] = (char)read_one(data + at, len - at, cid, &octets);
	}
	parsed.words[parsed.count] = '\0';
}

static bool only(const char *words, const char *accepted, size_t count)
{
	return strspn(words, accepted) >= count;
}

static enum dtls_kind kind_expected(size_t len)
{
	const char *w = parsed.words;
	/* The first record that is no plain one. */
	const size_t decides = strspn(w, "fFpu");

	if (len == 0 || len > 65535)
		return DTLS_MALFORMED;
	if (decides >= 16)
		return parsed.count > 16 ? DTLS_MIXED : DTLS_OTHER;
	switch (w[decides]) {
	case '\0':
		return DTLS_OTHER;
	case WORD_CUT:
		return DTLS_MALFORMED;
	case WORD_TYPE:
		return DTLS_BAD_TYPE;
	case WORD_BARE:
		return DTLS_EPOCH0_DATA;
	case WORD_HELLO:
		return only(w + decides, "hFu", parsed.count - decides) && parsed.count <= 16 ? DTLS_HELLO : DTLS_MIXED;
	default:
		return only(w, "fF", decides) ? DTLS_CID : DTLS_MIXED;
	}
}

/* Whether a datagram with a CID of `cid` octets may pass, as a whole. */
static bool may_pass(const struct dtls_view *view, const uint8_t *data, size_t len, size_t cid)
{
	const char *w = parsed.words;
	size_t before;

	parse(data, len, cid);
	before = strspn(w, "fF");
	if (parsed.count > 16 || w[before] != (view->unified ? WORD_CID_13 : WORD_CID_12) ||
	    !only(w + before, view->unified ? "Cu" : "c", parsed.count - before))
		return false;
	for (size_t i = before; i < parsed.count; i++)
		if (w[i] != WORD_NO_CID_13 &&
		    memcmp(data + parsed.at[i] + (view->unified ? 1 : 11), data + view->cid_at, cid) != 0)
			return false;
	return true;
}

static bool passes(const struct dtls_view *view, const uint8_t *data, size_t len, size_t cid)
{
	const size_t octets = dtls_cid_octets(view, data, len, cid);

	return octets != 0 && dtls_tail_fits(view, data, len, cid, view->record_at + octets);
}

static void check_cid_record(const struct dtls_view *view, const uint8_t *data, size_t len)
{
	const uint64_t lengths = dtls_cid_lengths(view, data, len);

	require(view->cid_at < len);
	require(view->cid_at == view->record_at + (view->unified ? DTLS_UNIFIED_CID_AT : DTLS_CID_AT));
	require(view->unified ? data[view->record_at] >> 4 == 3 : data[view->record_at] == DTLS_TLS12_CID);
	require(view->flight == (view->record_at > 0));
	require(view->records == parsed.count && view->record_at == parsed.at[parsed.count - 1]);
	require(!dtls_cid_fits(view, data, len, 0) && !dtls_cid_fits(view, data, len, DTLS_CID_MAX + 1));
	require((lengths & 1) == 0);
	for (size_t n = 1; n <= DTLS_CID_MAX; n++) {
		const bool expected = may_pass(view, data, len, n);

		require(passes(view, data, len, n) == expected);
		require(n == DTLS_CID_MAX || (lengths >> n & 1) == expected);
		require(!expected || !dtls_misfit_is_mixed(view, data, len, n));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const enum dtls_reply reply = dtls_read_reply(data, len);
	struct dtls_view view;

	if (len > 65536)
		return 0;
	dtls_walk(&view, data, len);
	parse(data, len, 0);
	require(view.kind == kind_expected(len));
	require(reply <= DTLS_REPLY_PROTECTED);
	require(len > 0 || reply == DTLS_REPLY_NONE);
	if (view.kind > DTLS_MIXED)
		require(reply != DTLS_REPLY_NONE);
	if (view.kind == DTLS_HELLO) {
		const uint8_t *record = data + parsed.at[strspn(parsed.words, "fFpu")];
		const uint8_t *hello = record + 13 + hello_in(record + 13, number(record + 11, 2));

		require(view.hello_first == (number(hello + 4, 2) == 0 && number(hello + 6, 3) == 0));
	}
	if (view.kind == DTLS_CID)
		check_cid_record(&view, data, len);
	return 0;
}

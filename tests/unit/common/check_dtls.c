#include <stdlib.h>

#include "common/dtls.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/records.h"
#include "tests/unit/suite.h"

/* Building stones. Sequence number 7, ciphertexts of aa. */
#define CIPHER15     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CIPHER16     CIPHER15 "aa"
#define FRAGMENT     "01 000051 0000 000010 000001 ee" /* octet 16 of a ClientHello, alone: 13 octets */
#define KEY_EXCHANGE "16 fefd 0000 000000000007 000d 10 000001 0002 000000 000001 ee"
#define CCS          "14 fefd 0000 000000000007 0001 01"
#define ALERT        "15 fefd 0000 000000000007 0002 0228"
#define CID_RECORD   "19 fefd 0001 000000000007 c1d2c3d4c5d6 0010" CIPHER16
#define HELLO        "16 fefd 0000 000000000007 000d" FRAGMENT
#define EARLY_DATA   "2d 0007 0010" CIPHER16

struct walk_case {
	const char *name, *hex;
	struct dtls_view is; /* meaningful members: kind; for DTLS_HELLO hello_first; for DTLS_CID all others */
};

#define KIND(k)                                                                                                        \
	{                                                                                                              \
		.kind = (k)                                                                                            \
	}
#define FIRST_HELLO                                                                                                    \
	{                                                                                                              \
		.kind = DTLS_HELLO, .hello_first = true                                                                \
	}
#define CID12(record, flight_)                                                                                         \
	{                                                                                                              \
		.kind = DTLS_CID, .flight = (flight_), .record_at = (record), .cid_at = (record) + 11                  \
	}
#define CID13(record, flight_)                                                                                         \
	{                                                                                                              \
		.kind = DTLS_CID, .unified = true, .flight = (flight_), .record_at = (record), .cid_at = (record) + 1  \
	}

static const struct walk_case walks[] = {
	/* clang-format off */
	{ "ClientHello of Mbed TLS", MBEDTLS_CLIENT_HELLO, FIRST_HELLO },
	{ "ClientHello of OpenSSL, version feff", OPENSSL_CLIENT_HELLO, FIRST_HELLO },
	{ "HelloVerifyRequest", MBEDTLS_HELLO_VERIFY_REQUEST, KIND(DTLS_OTHER) },
	{ "flight 4 of OpenSSL", OPENSSL_FLIGHT4, KIND(DTLS_OTHER) },
	{ "flight 5 of Mbed TLS", MBEDTLS_FLIGHT5, CID12(46, true) },
	{ "application data of Mbed TLS", MBEDTLS_APPLICATION_DATA, CID12(0, false) },

	{ "empty", "", KIND(DTLS_MALFORMED) },

	/* Handshake records of epoch 0 */
	{ "ClientHello, a later fragment", "16 fefd 0000 000000000007 000d" FRAGMENT, KIND(DTLS_HELLO) },
	{ "handshake header alone", "16 fefd 0000 000000000007 000c 0e 000000 0002 000000 000000", KIND(DTLS_OTHER) },
	{ "handshake header short of an octet", "16 fefd 0000 000000000007 000b 0e 000000 0002 000000 0000", KIND(DTLS_MALFORMED) },
	{ "ClientHello short of an octet", "16 fefd 0000 000000000007 000b 01 000000 0002 000000 0000", KIND(DTLS_MALFORMED) },
	{ "01 in a handshake record of epoch 1", "16 fefd 0001 000000000007 000d" FRAGMENT, KIND(DTLS_OTHER) },
	{ "01 in a short handshake record of epoch 1", "16 fefd 0001 000000000007 0001 01", KIND(DTLS_OTHER) },
	{ "epoch 256 is not 0", "16 fefd 0100 000000000007 000d" FRAGMENT, KIND(DTLS_OTHER) },
	{ "01 in a CCS", CCS, KIND(DTLS_OTHER) },

	/* Which ClientHello begins a handshake: message_seq 0, and not a later fragment */
	{ "ClientHello, first", "16 fefd 0000 000000000007 000d 01 000051 0000 000000 000001 ee", FIRST_HELLO },
	{ "ClientHello, message_seq 1", "16 fefd 0000 000000000007 000d 01 000051 0001 000000 000001 ee", KIND(DTLS_HELLO) },
	{ "ClientHello, message_seq 256", "16 fefd 0000 000000000007 000d 01 000051 0100 000000 000001 ee", KIND(DTLS_HELLO) },
	{ "ClientHello, fragment at 1", "16 fefd 0000 000000000007 000d 01 000051 0000 000001 000001 ee", KIND(DTLS_HELLO) },
	{ "ClientHello, fragment at 65536", "16 fefd 0000 000000000007 000d 01 000051 0000 010000 000001 ee", KIND(DTLS_HELLO) },
	{ "two messages, the second a ClientHello", "16 fefd 0000 000000000007 001a 10 000001 0002 000000 000001 ee 01 000051 0000 000000 000001 ee", FIRST_HELLO },
	{ "two messages, the second a ClientHello cut short", "16 fefd 0000 000000000007 0018 10 000001 0002 000000 000001 ee 01 000051 0000 000000 0000", KIND(DTLS_OTHER) },
	{ "a fragment that is longer than its record", "16 fefd 0000 000000000007 001a 10 000001 0002 000000 00000f ee 01 000051 0000 000000 000001 ee", KIND(DTLS_OTHER) },

	/* Behind a ClientHello: handshake records of epoch 0 and early data */
	{ "ClientHello in two records", HELLO HELLO, KIND(DTLS_HELLO) },
	{ "the first ClientHello says whether it is the first", "16 fefd 0000 000000000007 000d 01 000051 0000 000000 000001 ee" HELLO, FIRST_HELLO },
	{ "ClientHello, then a handshake record", HELLO KEY_EXCHANGE, KIND(DTLS_HELLO) },
	{ "ClientHello, then early data", HELLO EARLY_DATA EARLY_DATA, KIND(DTLS_HELLO) },
	{ "ClientHello, then early data to the end", HELLO "21 07" CIPHER16, KIND(DTLS_HELLO) },
	{ "ClientHello, then a CCS", HELLO CCS, KIND(DTLS_MIXED) },
	{ "ClientHello, then an alert", HELLO ALERT, KIND(DTLS_MIXED) },
	{ "ClientHello, then a handshake record of epoch 1", HELLO "16 fefd 0001 000000000007 0001 aa", KIND(DTLS_MIXED) },
	{ "ClientHello, then application data", HELLO "17 fefd 0001 000000000007 0001 aa", KIND(DTLS_MIXED) },
	{ "ClientHello, then application data of epoch 0", HELLO "17 fefd 0000 000000000007 0001 aa", KIND(DTLS_MIXED) },
	{ "ClientHello, then a CID", HELLO CID_RECORD, KIND(DTLS_MIXED) },
	{ "ClientHello, then a 1.3 CID", HELLO "32 c1d2 07" CIPHER16, KIND(DTLS_MIXED) },
	{ "ClientHello, then no DTLS", HELLO "ff", KIND(DTLS_MIXED) },
	{ "ClientHello, then a cut record", HELLO "16 fefd 0000 000000000007 000d", KIND(DTLS_MIXED) },
	{ "ClientHello, early data, then a CID", HELLO EARLY_DATA CID_RECORD, KIND(DTLS_MIXED) },
	{ "alert, then a ClientHello", ALERT HELLO, KIND(DTLS_HELLO) },
	{ "alert, ClientHello, alert", ALERT HELLO ALERT, KIND(DTLS_MIXED) },

	/* What is behind a CID is read once its length is known */
	{ "CID, then a ClientHello", CID_RECORD HELLO, CID12(0, false) },
	{ "CID, then no DTLS", CID_RECORD "ff", CID12(0, false) },

	/* Without a CID every record counts */
	{ "alert, then no DTLS", ALERT "ff", KIND(DTLS_BAD_TYPE) },
	{ "alert, then a cut record", ALERT "16 fefd 0000 000000000007 000d", KIND(DTLS_MALFORMED) },
	{ "alert, then application data of epoch 0", ALERT "17 fefd 0000 000000000007 0001 aa", KIND(DTLS_EPOCH0_DATA) },
	{ "alert, then a CID of epoch 0", ALERT "19 fefd 0000 000000000007 c1d2c3d4c5d6 0010" CIPHER16, KIND(DTLS_EPOCH0_DATA) },

	/* Before a CID: the last flight of a handshake, and nothing else */
	{ "handshake, then a CID", KEY_EXCHANGE CID_RECORD, CID12(26, true) },
	{ "CCS, then a CID", CCS CID_RECORD, CID12(14, true) },
	{ "alert, then a CID", ALERT CID_RECORD, KIND(DTLS_MIXED) },
	{ "CCS, alert, then a CID", CCS ALERT CID_RECORD, KIND(DTLS_MIXED) },
	{ "alert, CCS, then a CID", ALERT CCS CID_RECORD, KIND(DTLS_MIXED) },
	{ "alert, then a CID cut short", ALERT "19 fefd 0001 000000000007 c1 00", KIND(DTLS_MALFORMED) },
	{ "handshake of epoch 1, then a CID", "16 fefd 0001 000000000007 0001 aa" CID_RECORD, KIND(DTLS_MIXED) },
	{ "CCS of epoch 1, then a CID", "14 fefd 0001 000000000007 0001 aa" CID_RECORD, KIND(DTLS_MIXED) },
	{ "a ClientHello as second message, then a CID", "16 fefd 0000 000000000007 001a 10 000001 0002 000000 000001 ee" FRAGMENT CID_RECORD, KIND(DTLS_MIXED) },
	{ "1.3 handshake, then a 1.3 CID", KEY_EXCHANGE "32 c1d2 07" CIPHER16, CID13(26, true) },
	{ "1.3 without CID, then a 1.3 CID", "2e 0007 0010" CIPHER16 "3e c1d2 0007 0010" CIPHER16, KIND(DTLS_MIXED) },

	/* Application data and CID records have keys */
	{ "application data, epoch 1", "17 fefd 0001 000000000007 0001 aa", KIND(DTLS_OTHER) },
	{ "application data, epoch 0", "17 fefd 0000 000000000007 0001 aa", KIND(DTLS_EPOCH0_DATA) },
	{ "application data, epoch 0, cut short", "17 fefd 0000 000000000007 0002 aa", KIND(DTLS_MALFORMED) },
	{ "application data, epoch 1, empty", "17 fefd 0001 000000000007 0000", KIND(DTLS_MALFORMED) },
	{ "application data, epoch 0, empty", "17 fefd 0000 000000000007 0000", KIND(DTLS_MALFORMED) },
	{ "CID, epoch 0", "19 fefd 0000 000000000007 c1d2c3d4c5d6 0010" CIPHER16, KIND(DTLS_EPOCH0_DATA) },
	{ "CID, epoch 65535", "19 fefd ffff 000000000007 c1d2c3d4c5d6 0010" CIPHER16, CID12(0, false) },

	/* Lengths of the 13-octet header */
	{ "alert, one octet", "15 fefd 0000 000000000007 0001 02", KIND(DTLS_OTHER) },
	{ "alert, empty", "15 fefd 0000 000000000007 0000", KIND(DTLS_MALFORMED) },
	{ "alert, empty, then a CID", "15 fefd 0000 000000000007 0000" CID_RECORD, KIND(DTLS_MALFORMED) },
	{ "alert, one octet short", "15 fefd 0000 000000000007 0003 0228", KIND(DTLS_MALFORMED) },
	{ "alert, length 65535", "15 fefd 0000 000000000007 ffff 0228", KIND(DTLS_MALFORMED) },
	{ "header short of an octet", "15 fefd 0000 000000000007 00", KIND(DTLS_MALFORMED) },
	{ "handshake of epoch 1, empty", "16 fefd 0001 000000000007 0000", KIND(DTLS_MALFORMED) },

	/* CID records: the length field is behind a CID of unknown length, so not judged */
	{ "CID, least", "19 fefd 0001 000000000007 c1 0000", CID12(0, false) },
	{ "CID, least but one", "19 fefd 0001 000000000007 c1 00", KIND(DTLS_MALFORMED) },

	/* 1.3 without CID: 001CSLEE */
	{ "1.3, seq 1, rest, 16", "22 07" CIPHER16, KIND(DTLS_OTHER) },
	{ "1.3, seq 1, rest, 15", "22 07" CIPHER15, KIND(DTLS_MALFORMED) },
	{ "1.3, seq 2, rest, 16", "2a 0007" CIPHER16, KIND(DTLS_OTHER) },
	{ "1.3, seq 2, rest, 15", "2a 0007" CIPHER15, KIND(DTLS_MALFORMED) },
	{ "1.3, seq 1, length 16", "26 07 0010" CIPHER16, KIND(DTLS_OTHER) },
	{ "1.3, seq 1, length 15", "26 07 000f" CIPHER16, KIND(DTLS_MALFORMED) },
	{ "1.3, seq 1, length 17 of 16", "26 07 0011" CIPHER16, KIND(DTLS_MALFORMED) },
	{ "1.3, seq 2, length 16", "2e 0007 0010" CIPHER16, KIND(DTLS_OTHER) },
	{ "1.3, seq 2, length 15", "2e 0007 000f" CIPHER16, KIND(DTLS_MALFORMED) },
	{ "1.3, seq 2, length 17 of 16", "2e 0007 0011" CIPHER16, KIND(DTLS_MALFORMED) },
	{ "1.3, length 16, then no DTLS", "2e 0007 0010" CIPHER16 "ff", KIND(DTLS_BAD_TYPE) },
	{ "1.3, rest, whatever is in it", "22 07" CIPHER16 "ff", KIND(DTLS_OTHER) },
	{ "1.3, first octet alone", "22", KIND(DTLS_MALFORMED) },
	{ "1.3 with length, cut in the header", "2e 0007 00", KIND(DTLS_MALFORMED) },
	{ "ServerHello and 1.3 in one datagram", KEY_EXCHANGE "2e 0007 0010" CIPHER16, KIND(DTLS_OTHER) },

	/* 1.3 with CID: one octet of it, one of sequence number and a ciphertext at least */
	{ "1.3 CID, least", "32 c1 07" CIPHER16, CID13(0, false) },
	{ "1.3 CID, least but one", "32 c1 07" CIPHER15, KIND(DTLS_MALFORMED) },
	{ "1.3 CID, seq 2, length", "3f c1d2c3d4 0007 0010" CIPHER16, CID13(0, false) },
	{ "1.3 CID, first octet alone", "3f", KIND(DTLS_MALFORMED) },
	{ "alert, then a 1.3 CID", ALERT "30 c1d2 07" CIPHER16, KIND(DTLS_MIXED) },
	/* clang-format on */
};

static void assert_view(const struct dtls_view *got, const struct walk_case *expected)
{
	ck_assert_msg(got->kind == expected->is.kind, "%s: kind %d", expected->name, got->kind);
	if (got->kind == DTLS_HELLO)
		ck_assert_msg(got->hello_first == expected->is.hello_first, "%s: hello_first", expected->name);
	if (got->kind != DTLS_CID)
		return;
	ck_assert_msg(got->unified == expected->is.unified, "%s: unified", expected->name);
	ck_assert_msg(got->flight == expected->is.flight, "%s: flight", expected->name);
	ck_assert_msg(got->record_at == expected->is.record_at, "%s: record_at %d", expected->name, got->record_at);
	ck_assert_msg(got->cid_at == expected->is.cid_at, "%s: cid_at %d", expected->name, got->cid_at);
}

START_TEST(walk)
{
	const struct octets in = octets_of(walks[_i].hex);
	struct dtls_view view;

	memset(&view, 0xee, sizeof view);
	dtls_walk(&view, in.at, in.len);
	assert_view(&view, &walks[_i]);
	free(in.at);
}
END_TEST

/* Every prefix of every datagram above, exactly sized, through every function: nothing is read behind it
 * (AddressSanitizer), and what was found decides no other way when more of the same datagram is there. */
START_TEST(truncated)
{
	const struct octets whole = octets_of(walks[_i].hex);
	enum dtls_kind decided = DTLS_MALFORMED;

	for (size_t len = 0; len <= whole.len; len++) {
		const struct octets in = octets_copy(whole.at, len);
		struct dtls_view view;

		dtls_walk(&view, in.at, in.len);
		dtls_read_reply(in.at, in.len);
		if (decided == DTLS_CID || decided == DTLS_BAD_TYPE)
			ck_assert_int_eq(view.kind, decided);
		decided = view.kind;
		if (view.kind == DTLS_CID) {
			ck_assert_uint_lt(view.cid_at, in.len);
			for (size_t n = 0; n <= DTLS_CID_MAX + 1; n++) {
				if (dtls_cid_fits(&view, in.at, in.len, n))
					dtls_tail_fits(&view, in.at, in.len, n,
						       dtls_cid_octets(&view, in.at, in.len, n));
				dtls_misfit_is_mixed(&view, in.at, in.len, n);
			}
			dtls_cid_lengths(&view, in.at, in.len);
		}
		free(in.at);
	}
	free(whole.at);
}
END_TEST

/* Where the prefixes of the last flight change their meaning: at the ends of its records, and where one octet of a CID
 * and a length could be in the third. */
START_TEST(truncated_flight)
{
	const struct octets whole = octets_of(MBEDTLS_FLIGHT5);

	for (size_t len = 0; len <= whole.len; len++) {
		enum dtls_kind expected = DTLS_MALFORMED;
		struct dtls_view view;

		if (len == 32 || len == 46)
			expected = DTLS_OTHER;
		else if (len >= 60)
			expected = DTLS_CID;
		dtls_walk(&view, whole.at, len);
		ck_assert_msg(view.kind == expected, "%zu octets: kind %d", len, view.kind);
		if (view.kind == DTLS_CID)
			ck_assert_msg(dtls_cid_fits(&view, whole.at, len, 8) == (len == whole.len), "%zu octets", len);
	}
	free(whole.at);
}
END_TEST

/* One octet decides of what shape a record is. Behind it: what suits both. */
START_TEST(first_octet)
{
	uint8_t data[13 + 16] = { (uint8_t)_i, 0xfe, 0xfd, 0x00, 0x01, 0, 0, 0, 0, 0, 7, 0, 16 };
	enum dtls_kind expected = DTLS_BAD_TYPE;
	struct dtls_view view;

	if (_i == 25 || (_i >= 48 && _i <= 63)) {
		expected = DTLS_CID;
	} else if (_i >= 20 && _i <= 27) {
		expected = DTLS_OTHER;
	} else if (_i >= 32 && _i <= 47) {
		/* Length at 2 or 3: 16 of what follows. */
		data[2 + (_i & 8 ? 1 : 0)] = 0;
		data[3 + (_i & 8 ? 1 : 0)] = (uint8_t)(sizeof data - 4 - (_i & 8 ? 1 : 0));
		expected = DTLS_OTHER;
	}
	dtls_walk(&view, data, sizeof data);
	ck_assert_int_eq(view.kind, expected);
	ck_assert(view.kind != DTLS_CID || view.unified == (_i >= 32));
}
END_TEST

/* Types 20 to 24 with any fe00..feff, later ones with fefd alone. */
START_TEST(versions)
{
	for (unsigned version = 0; version <= UINT16_MAX; version += version >= 0xfd00 && version < 0xff10 ? 1 : 0x7f) {
		for (uint8_t type = DTLS_CHANGE_CIPHER_SPEC; type <= DTLS_RRC; type++) {
			const uint8_t data[13 + 13] = {
				type, (uint8_t)(version >> 8), (uint8_t)version, 0, 1, 0, 0, 0, 0, 0, 7, 0, 13
			};
			const bool good =
				version == 0xfefd || (version >= 0xfe00 && version <= 0xfeff && type <= DTLS_HEARTBEAT);
			struct dtls_view view;

			dtls_walk(&view, data, sizeof data);
			ck_assert_msg((view.kind != DTLS_MALFORMED) == good, "type %d, version %04x: kind %d", type,
				      version, view.kind);
		}
	}
}
END_TEST

/* ACK and return routability check travel in epoch 0 too, for all that the rules say. */
START_TEST(other_types_of_epoch_0)
{
	static const uint8_t types[] = { 20, 21, 24, 26, 27 };
	const uint8_t data[13 + 1] = { types[_i], 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1 };
	struct dtls_view view;

	dtls_walk(&view, data, sizeof data);
	ck_assert_int_eq(view.kind, DTLS_OTHER);
}
END_TEST

/* The longest datagram. Offsets beyond a signed 16-bit number: a flight of 60,000 octets. */
START_TEST(long_datagrams)
{
	const struct octets cid = octets_of(CID_RECORD);
	const size_t cid_at = 60000, fragment = cid_at - 13;
	uint8_t *data = calloc(1, UINT16_MAX + 1);
	struct dtls_view view;

	memcpy(data, (uint8_t[]){ 0x16, 0xfe, 0xfd }, 3);
	data[11] = (uint8_t)(fragment >> 8);
	data[12] = (uint8_t)fragment;
	data[13] = 0x0b; /* Certificate */
	memcpy(data + cid_at, cid.at, cid.len);
	dtls_walk(&view, data, cid_at + cid.len);
	ck_assert_int_eq(view.kind, DTLS_CID);
	ck_assert_uint_eq(view.record_at, 60000);
	ck_assert_uint_eq(view.cid_at, 60011);
	ck_assert(dtls_cid_fits(&view, data, cid_at + cid.len, 6));

	data[0] = 0x22; /* 1.3, to the end of the datagram */
	dtls_walk(&view, data, UINT16_MAX);
	ck_assert_int_eq(view.kind, DTLS_OTHER);
	dtls_walk(&view, data, UINT16_MAX + 1);
	ck_assert_int_eq(view.kind, DTLS_MALFORMED);
	free(data);
	free(cid.at);
}
END_TEST

/* What fits a CID of `n` octets. The record ends where the datagram does, unless the name says more. */
static const struct {
	const char *name, *hex;
	size_t n;
	bool fits;
} fits[] = {
	/* clang-format off */
	{ "least record", "19 fefd 0001 000000000007 c1 0001 aa", 1, true },
	{ "no ciphertext", "19 fefd 0001 000000000007 c1 0000 aa", 1, false },
	{ "one octet short", "19 fefd 0001 000000000007 c1 0002 aa", 1, false },
	{ "length 65535", "19 fefd 0001 000000000007 c1 ffff aa", 1, false },
	{ "behind the length: nothing", "19 fefd 0001 000000000007 c1 0001", 1, false },
	{ "length cut", "19 fefd 0001 000000000007 c1d2 00", 2, false },
	{ "length behind the datagram", "19 fefd 0001 000000000007 c1d2 00", 3, false },
	{ "record, then more", "19 fefd 0001 000000000007 c1 0001 aaff", 1, true },
	{ "six octets", CID_RECORD, 6, true },
	{ "six octets read as five", CID_RECORD, 5, false },
	{ "no CID", "19 fefd 0001 000000000007 0001 aa", 0, false },
	{ "behind a flight", MBEDTLS_FLIGHT5, 8, true },
	{ "application data", MBEDTLS_APPLICATION_DATA, 8, true },
	{ "application data read as 7", MBEDTLS_APPLICATION_DATA, 7, false },
	{ "application data read as 9", MBEDTLS_APPLICATION_DATA, 9, false },
	{ "64 octets", "19 fefd 0001 000000000007" CIPHER16 CIPHER16 CIPHER16 CIPHER16 "0001 aa", 64, true },
	{ "65 octets", "19 fefd 0001 000000000007" CIPHER16 CIPHER16 CIPHER16 CIPHER16 "aa 0001 aa", 65, false },

	{ "1.3, rest", "32 c1d2 07" CIPHER16, 2, true },
	{ "1.3, rest, 15", "32 c1d2 07" CIPHER16, 3, false },
	{ "1.3, rest, 17", "32 c1d2 07" CIPHER16, 1, true },
	{ "1.3, rest, CID longer than the datagram", "32 c1d2 07" CIPHER16, 64, false },
	{ "1.3, seq 2, rest", "3a c1d2 0007" CIPHER16, 2, true },
	{ "1.3, seq 2, rest, 15", "3a c1 0007" CIPHER15, 1, false },
	{ "1.3, length 16", "36 c1d2 07 0010" CIPHER16, 2, true },
	{ "1.3, length 15", "36 c1d2 07 000f" CIPHER16, 2, false },
	{ "1.3, length 17 of 16", "36 c1d2 07 0011" CIPHER16, 2, false },
	{ "1.3, length 16, then more", "36 c1d2 07 0010" CIPHER16 "ff", 2, true },
	{ "1.3, seq 2, length 16", "3e c1d2 0007 0010" CIPHER16, 2, true },
	{ "1.3, seq 2, length 17 of 16", "3e c1d2 0007 0011" CIPHER16, 2, false },
	{ "1.3, no CID", "32 07" CIPHER16 "aa", 0, false },
	/* clang-format on */
};

START_TEST(cid_fits)
{
	const struct octets in = octets_of(fits[_i].hex);
	struct dtls_view view;

	dtls_walk(&view, in.at, in.len);
	ck_assert_msg(view.kind == DTLS_CID, "%s: kind %d", fits[_i].name, view.kind);
	ck_assert_msg(dtls_cid_fits(&view, in.at, in.len, fits[_i].n) == fits[_i].fits, "%s", fits[_i].name);
	free(in.at);
}
END_TEST

#define BIT(n) (UINT64_C(1) << (n))

static const struct {
	const char *name, *hex;
	uint64_t lengths;
} cid_lengths[] = {
	/* clang-format off */
	{ "application data", MBEDTLS_APPLICATION_DATA, BIT(8) },
	{ "flight 5", MBEDTLS_FLIGHT5, BIT(8) },
	/* A CID long enough to swallow the first record reads the second one's length (at 35+17, or 35+11): that fits as well. */
	{ "two records of one length", CID_RECORD CID_RECORD, BIT(6) | BIT(41) },
	{ "two records of two lengths", CID_RECORD "19 fefd 0001 000000000008 c1d2c3d4c5 0010" CIPHER16, BIT(40) },
	{ "a record, then an alert of epoch 1", CID_RECORD "15 fefd 0001 000000000008 0001 aa", BIT(35) },
	{ "a record, then application data of epoch 0", CID_RECORD "17 fefd 0000 000000000008 0001 aa", BIT(35) },
	{ "a record, then a handshake", CID_RECORD KEY_EXCHANGE "ff", 0 },
	{ "two records of two CIDs", CID_RECORD "19 fefd 0001 000000000008 c1d2c3d4c5d7 0010" CIPHER16, BIT(41) },
	{ "a record, then no DTLS", CID_RECORD "ff", 0 },
	{ "a record, then a cut one", CID_RECORD "15 fefd 0001 000000000008 0002 aa", 0 },
	{ "cut", "19 fefd 0001 000000000007 c1d2c3d4c5d6 0011" CIPHER16, 0 },
	/* 0004 behind one octet and 0002 behind three: both end where the datagram does. */
	{ "ambiguous", "19 fefd 0001 000000000007 00 0004 0002 aaaa", BIT(1) | BIT(3) },
	{ "63 octets", "19 fefd 0001 000000000007" CIPHER16 CIPHER16 CIPHER16 CIPHER15 "0001 aa", BIT(63) },
	{ "64 octets", "19 fefd 0001 000000000007" CIPHER16 CIPHER16 CIPHER16 CIPHER16 "0001 aa", 0 },
	{ "1.3 with length", "3e c1d2c3 0007 0010" CIPHER16, BIT(3) },
	{ "1.3, rest: whatever leaves a ciphertext", "3a c1d2c3 0007" CIPHER16, BIT(1) | BIT(2) | BIT(3) },
	/* clang-format on */
};

START_TEST(lengths_that_would_fit)
{
	const struct octets in = octets_of(cid_lengths[_i].hex);
	struct dtls_view view;
	uint64_t got;

	dtls_walk(&view, in.at, in.len);
	ck_assert_int_eq(view.kind, DTLS_CID);
	got = dtls_cid_lengths(&view, in.at, in.len);
	ck_assert_msg(got == cid_lengths[_i].lengths, "%s: %016jx", cid_lengths[_i].name, (uintmax_t)got);
	free(in.at);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, walk, 0, COUNT_OF(walks));
	tcase_add_loop_test(tests, truncated, 0, COUNT_OF(walks));
	tcase_add_test(tests, truncated_flight);
	tcase_add_loop_test(tests, first_octet, 0, 256);
	tcase_add_test(tests, versions);
	tcase_add_loop_test(tests, other_types_of_epoch_0, 0, 5);
	tcase_add_test(tests, long_datagrams);
	tcase_add_loop_test(tests, cid_fits, 0, COUNT_OF(fits));
	tcase_add_loop_test(tests, lengths_that_would_fit, 0, COUNT_OF(cid_lengths));
}

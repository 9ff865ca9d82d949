#include "dtls.h"

#include <string.h>

#include "bytes.h"

enum {
	VERSION_AT = 1,
	EPOCH_AT = 3,
	LENGTH_AT = 11, /* of a record without CID */
	DTLS_1_2 = 0xfefd,
	DTLS_1_0 = 0xfeff, /* OpenSSL writes it into its first records: RFC 6347, section 4.2.1 */
};

/* First octet of the unified header: 001CSLEE (RFC 9147, section 4). */
enum {
	UNIFIED_CID = 0x10,
	UNIFIED_SEQ_2 = 0x08,
	UNIFIED_LENGTH = 0x04,
	UNIFIED_EPOCH = 0x03,
	UNIFIED_EPOCH_HANDSHAKE = 2,
};

/* msg_type of a handshake message (RFC 6347, section 4.3.2). */
enum { CLIENT_HELLO = 1, SERVER_HELLO = 2, HELLO_VERIFY_REQUEST = 3 };

static bool is_unified(uint8_t first)
{
	return first >> 5 == 1;
}

/* Without the CID. */
static size_t unified_header_octets(uint8_t first)
{
	return 1U + (first & UNIFIED_SEQ_2 ? 2 : 1) + (first & UNIFIED_LENGTH ? 2 : 0);
}

static bool version_is_dtls(const uint8_t *record)
{
	const uint16_t version = bytes_u16(record + VERSION_AT);
	return version == DTLS_1_2 || (version == DTLS_1_0 && record[0] <= DTLS_HEARTBEAT);
}

/* Types 20..24, 26, 27: the header of RFC 6347, section 4.1. */
static inline enum dtls_kind read_plain(struct bytes *in)
{
	const uint8_t *record = bytes_take(in, DTLS_HEADER_OCTETS);
	const uint8_t *fragment;
	uint16_t length;

	if (!record || !version_is_dtls(record))
		return DTLS_MALFORMED;
	length = bytes_u16(record + LENGTH_AT);
	fragment = bytes_take(in, length);
	if (!fragment || length == 0)
		return DTLS_MALFORMED;
	if (bytes_u16(record + EPOCH_AT) != 0)
		return DTLS_OTHER;
	if (record[0] == DTLS_APPLICATION_DATA)
		return DTLS_EPOCH0_DATA;
	if (record[0] != DTLS_HANDSHAKE)
		return DTLS_OTHER;
	if (length < DTLS_HELLO_OCTETS)
		return DTLS_MALFORMED;
	return fragment[0] == CLIENT_HELLO ? DTLS_HELLO : DTLS_OTHER;
}

/* Type 25 (RFC 9146, section 4). Its end is not judged, because the length field is found only with the length of the
 * CID. */
static inline enum dtls_kind read_tls12_cid(struct bytes *in)
{
	const uint8_t *record = bytes_take(in, DTLS_CID_AT + 1 + 2);

	if (!record || !version_is_dtls(record))
		return DTLS_MALFORMED;
	return bytes_u16(record + EPOCH_AT) != 0 ? DTLS_CID : DTLS_EPOCH0_DATA;
}

/* First octets 32..63 (RFC 9147, section 4). With a CID the end is not judged here either. */
static inline enum dtls_kind read_unified(struct bytes *in)
{
	const uint8_t first = *in->at;
	const size_t header_octets = unified_header_octets(first);
	const uint8_t *record;
	size_t ciphertext;

	if (first & UNIFIED_CID)
		return bytes_take(in, DTLS_UNIFIED_CID_AT + 1 + 1 + DTLS_UNIFIED_CIPHERTEXT) ? DTLS_CID
											     : DTLS_MALFORMED;
	record = bytes_take(in, header_octets);
	if (!record)
		return DTLS_MALFORMED;
	ciphertext = first & UNIFIED_LENGTH ? bytes_u16(record + header_octets - 2) : in->left;
	return ciphertext >= DTLS_UNIFIED_CIPHERTEXT && bytes_take(in, ciphertext) ? DTLS_OTHER : DTLS_MALFORMED;
}

/* Reads one record; at least one octet must be left. After DTLS_OTHER and DTLS_HELLO the reader stands behind the
 * record. */
static inline enum dtls_kind read_record(struct bytes *in)
{
	const uint8_t first = *in->at;

	if (first == DTLS_TLS12_CID)
		return read_tls12_cid(in);
	if (is_unified(first))
		return read_unified(in);
	if (first >= DTLS_CHANGE_CIPHER_SPEC && first <= DTLS_RRC)
		return read_plain(in);
	return DTLS_BAD_TYPE;
}

static bool is_epoch0(const uint8_t *record)
{
	return !is_unified(record[0]) && bytes_u16(record + EPOCH_AT) == 0;
}

static bool is_flight(const uint8_t *record)
{
	return (record[0] == DTLS_HANDSHAKE || record[0] == DTLS_CHANGE_CIPHER_SPEC) && is_epoch0(record);
}

void dtls_walk(struct dtls_view *view, const uint8_t *data, size_t len)
{
	struct bytes in = { data, len };

	*view = (struct dtls_view){ .kind = DTLS_MALFORMED };
	if (len == 0 || len > UINT16_MAX)
		return;
	do {
		const uint8_t *record = in.at;

		view->kind = read_record(&in);
		if (view->kind == DTLS_CID) {
			view->unified = is_unified(record[0]);
			view->record_at = (uint16_t)(record - data);
			view->cid_at =
				(uint16_t)(view->record_at + (view->unified ? DTLS_UNIFIED_CID_AT : DTLS_CID_AT));
		} else if (view->kind == DTLS_OTHER && is_flight(record)) {
			view->flight = true;
		}
	} while (view->kind == DTLS_OTHER && in.left > 0);
}

size_t dtls_unified_cid_octets(const uint8_t *record, size_t left, size_t cid_len)
{
	const size_t header_octets = unified_header_octets(record[0]) + cid_len;
	size_t ciphertext;

	if (header_octets >= left)
		return 0;
	ciphertext = record[0] & UNIFIED_LENGTH ? bytes_u16(record + header_octets - 2) : left - header_octets;
	return ciphertext >= DTLS_UNIFIED_CIPHERTEXT && ciphertext <= left - header_octets ? header_octets + ciphertext
											   : 0;
}

/* True if the data can follow a record whose CID had cid_len octets. All CIDs of a datagram have the same length. */
static bool starts_record(const uint8_t *data, size_t len, size_t cid_len)
{
	struct bytes in = { data, len };
	const struct dtls_view next = { .unified = is_unified(*data) };

	switch (read_record(&in)) {
	case DTLS_CID:
		return dtls_cid_fits(&next, data, len, cid_len);
	case DTLS_HELLO:
	case DTLS_OTHER:
		return true;
	default:
		return false;
	}
}

uint64_t dtls_cid_lengths(const struct dtls_view *view, const uint8_t *data, size_t len)
{
	uint64_t lengths = 0;

	for (size_t n = 1; n < DTLS_CID_MAX; n++) {
		const size_t octets = dtls_cid_octets(view, data, len, n);
		const size_t end = view->record_at + octets;

		if (octets != 0 && (end == len || starts_record(data + end, len - end, n)))
			lengths |= UINT64_C(1) << n;
	}
	return lengths;
}

/* True if an epoch-0 handshake record asks the client to come again. It is a HelloVerifyRequest, or a ServerHello whose
 * random says so. */
static bool is_retry(const uint8_t *record)
{
	static const uint8_t retry_random[32] = {
		0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
		0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
	};
	struct bytes in = { record + DTLS_HEADER_OCTETS, bytes_u16(record + LENGTH_AT) };
	const uint8_t *handshake = bytes_take(&in, DTLS_HELLO_OCTETS);
	const uint8_t *version = bytes_take(&in, 2);
	const uint8_t *random = bytes_take(&in, sizeof retry_random);

	if (handshake[0] == HELLO_VERIFY_REQUEST)
		return true;
	return handshake[0] == SERVER_HELLO && version && random &&
	       memcmp(random, retry_random, sizeof retry_random) == 0;
}

static bool is_protected(const uint8_t *record)
{
	if (is_unified(record[0]))
		return (record[0] & UNIFIED_EPOCH) != UNIFIED_EPOCH_HANDSHAKE;
	return !is_epoch0(record);
}

enum dtls_reply dtls_read_reply(const uint8_t *data, size_t len)
{
	struct bytes in = { data, len };
	enum dtls_reply reply = DTLS_REPLY_NONE;
	bool handshake_seen = false;

	while (in.left > 0) {
		const uint8_t *record = in.at;
		const enum dtls_kind kind = read_record(&in);

		if (kind <= DTLS_EPOCH0_DATA)
			break;
		if (is_protected(record))
			return DTLS_REPLY_PROTECTED;
		if (reply == DTLS_REPLY_NONE)
			reply = record[0] == DTLS_ALERT ? DTLS_REPLY_STATELESS : DTLS_REPLY_HANDSHAKE;
		if (record[0] == DTLS_HANDSHAKE && !handshake_seen) {
			handshake_seen = true;
			reply = is_retry(record) ? DTLS_REPLY_STATELESS : DTLS_REPLY_HANDSHAKE;
		}
		if (kind == DTLS_CID) /* the CID is the device's, so the end of the record is unknown */
			break;
	}
	return reply;
}

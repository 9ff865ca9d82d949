#include "dtls.h"

#include <string.h>

#include "bytes.h"

enum {
	VERSION_AT = 1,
	EPOCH_AT = 3,
	LENGTH_AT = 11, /* of a record without CID */
	DTLS_1_2 = 0xfefd,
	DTLS_MAJOR = 0xfe, /* OpenSSL writes feff into its first records: RFC 6347, section 4.2.1 */
};

/* First octet of the unified header: 001CSLEE (RFC 9147, section 4). */
enum {
	UNIFIED_CID = 0x10,
	UNIFIED_SEQ_2 = 0x08,
	UNIFIED_LENGTH = 0x04,
	UNIFIED_EPOCH = 0x03,
	UNIFIED_EPOCH_HANDSHAKE = 2,
};

/* msg_type of a handshake message (RFC 6347, section 4.3.2), and where its header has the rest (section 4.2.2). */
enum {
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	HELLO_VERIFY_REQUEST = 3,
	MESSAGE_SEQ_AT = 4,
	FRAGMENT_LENGTH_AT = 9,
};

static bool is_unified(uint8_t first)
{
	return first >> 5 == 1;
}

/* Without the CID. */
static size_t unified_header_octets(uint8_t first)
{
	return 1U + (first & UNIFIED_SEQ_2 ? 2 : 1) + (first & UNIFIED_LENGTH ? 2 : 0);
}

/* RFC 9147, section 5.3, wants the version of records ignored. Later types came with DTLS 1.2. */
static bool version_is_dtls(const uint8_t *record)
{
	if (record[0] <= DTLS_HEARTBEAT)
		return record[VERSION_AT] == DTLS_MAJOR;
	return bytes_u16(record + VERSION_AT) == DTLS_1_2;
}

/* The first ClientHello of a whole handshake record, or NULL. A record may hold several messages (RFC 6347, section
 * 4.2.3), so it need not be the first. */
static __attribute__((noinline)) const uint8_t *find_hello_behind(const uint8_t *record)
{
	struct bytes in = { record + DTLS_HEADER_OCTETS, bytes_u16(record + LENGTH_AT) };
	const uint8_t *message;

	while ((message = bytes_take(&in, DTLS_HELLO_OCTETS))) {
		if (message[0] == CLIENT_HELLO)
			return message;
		if (!bytes_take(&in, bytes_u24(message + FRAGMENT_LENGTH_AT)))
			break;
	}
	return NULL;
}

static inline const uint8_t *find_hello(const uint8_t *record)
{
	return record[DTLS_HEADER_OCTETS] == CLIENT_HELLO ? record + DTLS_HEADER_OCTETS : find_hello_behind(record);
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
	return find_hello(record) ? DTLS_HELLO : DTLS_OTHER;
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

/* What may stand behind a ClientHello. */
static bool follows_hello(enum dtls_kind kind, const uint8_t *record)
{
	if (kind == DTLS_OTHER && is_unified(record[0]))
		return true;
	return (kind == DTLS_OTHER || kind == DTLS_HELLO) && record[0] == DTLS_HANDSHAKE && is_epoch0(record);
}

/* True if all that is left may stand behind a ClientHello. `records` have been read. */
static __attribute__((noinline)) bool hello_tail_fits(struct bytes in, size_t records)
{
	while (in.left > 0) {
		const uint8_t *record = in.at;

		if (++records > DTLS_RECORDS_MAX || !follows_hello(read_record(&in), record))
			return false;
	}
	return true;
}

/* It begins a handshake: message_seq, two octets, and fragment_offset, three, are 0. */
static inline bool is_first_fragment(const uint8_t *hello)
{
	return (bytes_le32(hello + MESSAGE_SEQ_AT) | hello[FRAGMENT_LENGTH_AT - 1]) == 0;
}

static inline void view_cid(struct dtls_view *view, bool unified, size_t records, size_t record_at)
{
	*view = (struct dtls_view){
		.kind = DTLS_CID,
		.unified = unified,
		.flight = records > 1,
		.records = (uint8_t)records,
		.record_at = (uint16_t)record_at,
		.cid_at = (uint16_t)(record_at + (unified ? DTLS_UNIFIED_CID_AT : DTLS_CID_AT)),
	};
}

/* Reads on behind a first record that decides nothing. Apart from dtls_walk(), which needs few registers. */
static __attribute__((noinline)) void walk_on(struct dtls_view *view, const uint8_t *data, struct bytes in)
{
	const uint8_t *record = data;
	enum dtls_kind kind;
	bool flight = true, hello_first = false; /* flight: nothing else has been read so far */
	size_t records = 1;

	do {
		flight = flight && is_flight(record);
		record = in.at;
		kind = records++ < DTLS_RECORDS_MAX ? read_record(&in) : DTLS_MIXED;
	} while (kind == DTLS_OTHER && in.left > 0);
	if (kind == DTLS_CID && flight) {
		view_cid(view, is_unified(record[0]), records, (size_t)(record - data));
		return;
	}
	if (kind == DTLS_CID)
		kind = DTLS_MIXED;
	if (kind == DTLS_HELLO) {
		hello_first = is_first_fragment(find_hello(record));
		if (!hello_tail_fits(in, records))
			kind = DTLS_MIXED;
	}
	*view = (struct dtls_view){ .kind = kind, .hello_first = hello_first };
}

/* Nearly all datagrams have one record, or begin with the one that bears the CID. */
void dtls_walk(struct dtls_view *view, const uint8_t *data, size_t len)
{
	struct bytes in = { data, len };
	enum dtls_kind kind;

	if (len == 0 || len > UINT16_MAX) {
		*view = (struct dtls_view){ .kind = DTLS_MALFORMED };
		return;
	}
	kind = read_record(&in);
	if (kind == DTLS_CID) {
		view_cid(view, is_unified(data[0]), 1, 0);
		return;
	}
	if (kind == DTLS_OTHER && in.left > 0) {
		walk_on(view, data, in);
		return;
	}
	if (kind != DTLS_HELLO) {
		*view = (struct dtls_view){ .kind = kind };
		return;
	}
	*view = (struct dtls_view){ .kind = kind, .hello_first = is_first_fragment(find_hello(data)) };
	if (__builtin_expect(in.left > 0, false) && !hello_tail_fits(in, 1))
		view->kind = DTLS_MIXED;
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

/* Octets of a record that may stand behind a CID record of the same datagram. 0: it may not. */
static size_t tail_octets(const struct dtls_view *view, const uint8_t *record, size_t left, const uint8_t *cid,
			  size_t cid_len)
{
	if (view->unified && is_unified(record[0])) {
		if (!(record[0] & UNIFIED_CID))
			return dtls_unified_cid_octets(record, left, 0);
		const size_t octets = dtls_unified_cid_octets(record, left, cid_len);
		return octets != 0 && memcmp(record + DTLS_UNIFIED_CID_AT, cid, cid_len) == 0 ? octets : 0;
	}
	if (!view->unified && record[0] == DTLS_TLS12_CID) {
		const size_t octets = dtls_tls12_cid_octets(record, left, cid_len);
		return octets != 0 && version_is_dtls(record) && !is_epoch0(record) &&
				       memcmp(record + DTLS_CID_AT, cid, cid_len) == 0
			       ? octets
			       : 0;
	}
	return 0;
}

bool dtls_tail_fits(const struct dtls_view *view, const uint8_t *data, size_t len, size_t cid_len, size_t at)
{
	size_t octets;

	for (size_t records = view->records; at < len; at += octets) {
		if (++records > DTLS_RECORDS_MAX)
			return false;
		octets = tail_octets(view, data + at, len - at, data + view->cid_at, cid_len);
		if (octets == 0)
			return false;
	}
	return true;
}

bool dtls_misfit_is_mixed(const struct dtls_view *view, const uint8_t *data, size_t len, size_t cid_len)
{
	const uint8_t *record = data + view->record_at;
	const size_t left = len - view->record_at;
	const size_t header_octets = (view->unified ? unified_header_octets(record[0]) : DTLS_HEADER_OCTETS) + cid_len;
	size_t ciphertext;

	if (header_octets >= left || (view->unified && !(record[0] & UNIFIED_LENGTH)))
		return false;
	ciphertext = bytes_u16(record + header_octets - 2);
	if (ciphertext >= left - header_octets)
		return false;
	return !dtls_tail_fits(view, data, len, cid_len, view->record_at + header_octets + ciphertext);
}

uint64_t dtls_cid_lengths(const struct dtls_view *view, const uint8_t *data, size_t len)
{
	uint64_t lengths = 0;

	for (size_t n = 1; n < DTLS_CID_MAX; n++) {
		const size_t octets = dtls_cid_octets(view, data, len, n);

		if (octets != 0 && dtls_tail_fits(view, data, len, n, view->record_at + octets))
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

		if (kind <= DTLS_MIXED)
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

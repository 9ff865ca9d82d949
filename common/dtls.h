/* The record walk: reads the cleartext of one datagram of DTLS 1.2 (RFC 6347, RFC 9146) or 1.3 (RFC 9147).
 *
 * Pure: reads `len` octets of `data` and nothing else. It reads in two parts. dtls_walk() goes to the first CID, whose
 * length is not on the wire. Once the layout has told the length, dtls_tail_fits() reads the rest.
 *
 * A datagram with a CID is read to its end, because servers take whatever stands beside a CID record for the session's
 * own. A plaintext alert or ClientHello there would end the session, and whoever saw the CID could send it. So nothing
 * stands there but what real devices send.
 */
#ifndef CIDLB_DTLS_H
#define CIDLB_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

enum dtls_type {
	DTLS_CHANGE_CIPHER_SPEC = 20,
	DTLS_ALERT = 21,
	DTLS_HANDSHAKE = 22,
	DTLS_APPLICATION_DATA = 23,
	DTLS_HEARTBEAT = 24,
	DTLS_TLS12_CID = 25, /* RFC 9146, section 4 */
	DTLS_ACK = 26,       /* RFC 9147, section 7 */
	DTLS_RRC = 27,       /* RFC 9853 */
};

enum {
	DTLS_HEADER_OCTETS = 13,      /* RFC 6347, section 4.1 */
	DTLS_CID_AT = 11,             /* RFC 9146, section 4 */
	DTLS_UNIFIED_CID_AT = 1,      /* RFC 9147, section 4 */
	DTLS_UNIFIED_CIPHERTEXT = 16, /* least octets of a DTLS 1.3 ciphertext: RFC 9147, section 4.2.3 */
	DTLS_HELLO_OCTETS = 12,       /* handshake header: RFC 6347, section 4.2.2 */
	DTLS_CID_MAX = 64,            /* longest CID that cidlb walks past, octets */
	DTLS_RECORDS_MAX = 16,        /* of a datagram: no device comes near, and reading them costs time */
};

/* Members up to DTLS_MIXED are not routed. */
enum dtls_kind {
	DTLS_MALFORMED,   /* cut short, or a version that is not DTLS */
	DTLS_BAD_TYPE,    /* first octet of a record outside 20..27 and 32..63 */
	DTLS_EPOCH0_DATA, /* application data or a CID record that claims epoch 0: protected by no key */
	DTLS_MIXED,       /* records that no device sends together, or more than DTLS_RECORDS_MAX */
	DTLS_HELLO,       /* an epoch-0 ClientHello: a new session. Read to the end of the datagram */
	DTLS_CID,         /* a CID-bearing record. What stands before it has been read */
	DTLS_OTHER,       /* well-formed to the end, and neither of the two */
};

struct dtls_view {
	enum dtls_kind kind;
	bool unified; /* DTLS_CID: the record is a DTLS 1.3 one */
	bool flight;  /* DTLS_CID: epoch-0 handshake or CCS records came before it: a last handshake flight */
	/* DTLS_HELLO: it has message_seq 0 and fragment_offset 0, so it begins a handshake, unless it is remembered
	 * that it is repeated (forwarder.recall in path/forward.h) */
	bool hello_first;
	uint8_t records;    /* DTLS_CID: how many records have been read, with the one that bears the CID */
	uint16_t record_at; /* DTLS_CID: offset of the record that bears the CID */
	uint16_t cid_at;    /* DTLS_CID: offset of the CID; at least one octet of it is there */
};

/* Walks an uplink datagram (device to server). Cannot fail: the answer is view->kind.
 *
 * Before a CID only epoch-0 records of type 22 without a ClientHello, and of type 20, may stand. Behind a ClientHello
 * only epoch-0 records of type 22, and DTLS 1.3 records without a CID (early data). Anything else is DTLS_MIXED. */
void dtls_walk(struct dtls_view *view, const uint8_t *data, size_t len);

/* Octets of the type 25 record with a CID of cid_len octets. 0: it would be cut short, or have no ciphertext. */
static inline size_t dtls_tls12_cid_octets(const uint8_t *record, size_t left, size_t cid_len)
{
	const size_t header_octets = DTLS_HEADER_OCTETS + cid_len;
	size_t ciphertext;

	if (header_octets >= left)
		return 0;
	ciphertext = bytes_u16(record + header_octets - 2);
	return ciphertext >= 1 && ciphertext <= left - header_octets ? header_octets + ciphertext : 0;
}

/* The same for a record with a unified header. Without a length field it ends with the datagram. */
size_t dtls_unified_cid_octets(const uint8_t *record, size_t left, size_t cid_len);

/* The same for the record at view->record_at. */
static inline size_t dtls_cid_octets(const struct dtls_view *view, const uint8_t *data, size_t len, size_t cid_len)
{
	const uint8_t *record = data + view->record_at;
	const size_t left = len - view->record_at;

	return view->unified ? dtls_unified_cid_octets(record, left, cid_len)
			     : dtls_tls12_cid_octets(record, left, cid_len);
}

/* True if the record at view->record_at is whole and well-formed with a CID of cid_len octets (1..DTLS_CID_MAX). The
 * length field, read behind the CID, must stay inside the datagram and leave a ciphertext. */
static inline bool dtls_cid_fits(const struct dtls_view *view, const uint8_t *data, size_t len, size_t cid_len)
{
	return cid_len >= 1 && cid_len <= DTLS_CID_MAX && dtls_cid_octets(view, data, len, cid_len) != 0;
}

/* Reads the datagram behind the CID record, whose CID has cid_len octets; `at` is where that record ends. True: there
 * are only records of the same kind that bear the same CID, in DTLS 1.3 also records without one, and all of them are
 * whole. False: the datagram is DTLS_MIXED. */
bool dtls_tail_fits(const struct dtls_view *view, const uint8_t *data, size_t len, size_t cid_len, size_t at);

/* For a record that does not fit a CID of cid_len octets. True: its length field is there and says that the record is
 * too short to have a ciphertext, so a server may skip it and read on. What it would find there does not fit. */
bool dtls_misfit_is_mixed(const struct dtls_view *view, const uint8_t *data, size_t len, size_t cid_len);

/* For the log line about a wrong `cid.length`. Bit n is set if, with a CID of n octets (1..DTLS_CID_MAX-1), the record
 * would fit and so would what stands behind it. Off the packet path. */
uint64_t dtls_cid_lengths(const struct dtls_view *view, const uint8_t *data, size_t len);

/* What a downlink datagram (server to device) says about its handshake. The CIDs in this direction are the device's and
 * are not read. */
enum dtls_reply {
	DTLS_REPLY_NONE, /* not DTLS */
	/* Sent to addresses that have shown nothing: HelloVerifyRequest, a ServerHello that is a HelloRetryRequest (RFC
	 * 8446, section 4.1.3), or an alert of epoch 0. */
	DTLS_REPLY_STATELESS,
	DTLS_REPLY_HANDSHAKE, /* anything else of epoch 0, or only DTLS 1.3 handshake keys (epoch 2) */
	/* The handshake is over: there is a record of epoch >= 1 (1.2), or of a unified epoch other than 2. */
	DTLS_REPLY_PROTECTED,
};
enum dtls_reply dtls_read_reply(const uint8_t *data, size_t len);

/* True: it begins as all do that a server says first to a ClientHello: HelloVerifyRequest, ServerHello or an alert, of
 * epoch 0. */
static inline bool dtls_answers_hello(const uint8_t *data, size_t len)
{
	return len > DTLS_HEADER_OCTETS && data[3] == 0 && data[4] == 0 &&
	       (data[0] == DTLS_ALERT ||
		(data[0] == DTLS_HANDSHAKE && (data[DTLS_HEADER_OCTETS] == 2 || data[DTLS_HEADER_OCTETS] == 3)));
}

#endif

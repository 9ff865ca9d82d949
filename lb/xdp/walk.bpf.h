/* What common/dtls.c says of an uplink, in so far as its first record decides. Only a datagram that begins with a
 * record that bears a CID is read on. Of the others those that are not DTLS are known by their first record.
 *
 * Lengths have 64 bits: with 32 each of them costs two shifts more before it is compared. */
#ifndef CIDLB_XDP_WALK_BPF_H
#define CIDLB_XDP_WALK_BPF_H

#include "common/verdict.h"
#include "xdp/packet.bpf.h"

/* clang-format off */
enum {
	/* RFC 6347, section 4.1; RFC 9146, section 4 */
	CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23, HEARTBEAT = 24, TLS12_CID = 25, RRC = 27,
	EPOCH_AT = 3, LENGTH_AT = 11, RECORD_OCTETS = 13, CID_AT = 11, MESSAGE_OCTETS = 12,
	DTLS_1_2 = 0xfefd, DTLS_MAJOR = 0xfe,
	/* RFC 9147, section 4: 001CSLEE */
	UNIFIED_CID = 0x10, UNIFIED_SEQ_2 = 0x08, UNIFIED_LENGTH = 0x04, UNIFIED_EPOCH = 0x03,
	UNIFIED_EPOCH_HANDSHAKE = 2, UNIFIED_CID_AT = 1, UNIFIED_CIPHERTEXT = 16,
	CID_WORDS_OCTETS = 24, /* a CID is read in three words, whatever its length */
};
/* clang-format on */

/* What a first record says: a verdict on the datagram, or one of these. */
enum { WALK_CID = FAST_VERDICTS, WALK_OTHER };

static __always_inline bool is_unified(__u8 first)
{
	return first >> 5 == 1;
}

static __always_inline __u64 unified_octets(__u8 first)
{
	return 1 + (first & UNIFIED_SEQ_2 ? 2 : 1) + (first & UNIFIED_LENGTH ? 2 : 0);
}

static __always_inline int walk_unified(const __u8 *data, const void *end, __u64 len)
{
	const __u64 header = unified_octets(data[0]);
	__u64 ciphertext;

	if (data[0] & UNIFIED_CID)
		return len >= UNIFIED_CID_AT + 1 + 1 + UNIFIED_CIPHERTEXT ? WALK_CID : VERDICT_MALFORMED;
	if (header > len || (void *)(data + 5) > end)
		return VERDICT_MALFORMED;
	ciphertext = len - header;
	if (data[0] & UNIFIED_LENGTH) {
		const __u64 length = bpf_ntohs(data[0] & UNIFIED_SEQ_2 ? U16(data + 3) : U16(data + 2));

		if (length > ciphertext)
			return VERDICT_MALFORMED;
		ciphertext = length;
	}
	return ciphertext >= UNIFIED_CIPHERTEXT ? WALK_OTHER : VERDICT_MALFORMED;
}

static __always_inline int walk_plain(const __u8 *data, const void *end, __u64 len)
{
	__u64 length;

	if ((void *)(data + RECORD_OCTETS) > end)
		return VERDICT_MALFORMED;
	if (data[0] <= HEARTBEAT ? data[1] != DTLS_MAJOR : U16(data + 1) != bpf_htons(DTLS_1_2))
		return VERDICT_MALFORMED;
	length = bpf_ntohs(U16(data + LENGTH_AT));
	if (length == 0 || RECORD_OCTETS + length > len)
		return VERDICT_MALFORMED;
	if (U16(data + EPOCH_AT) != 0)
		return WALK_OTHER;
	if (data[0] == APPLICATION_DATA)
		return VERDICT_EPOCH0_DATA;
	return data[0] == HANDSHAKE && length < MESSAGE_OCTETS ? VERDICT_MALFORMED : WALK_OTHER;
}

static __always_inline int walk_tls12_cid(const __u8 *data, const void *end)
{
	if ((void *)(data + CID_AT + 1 + 2) > end || U16(data + 1) != bpf_htons(DTLS_1_2))
		return VERDICT_MALFORMED;
	return U16(data + EPOCH_AT) != 0 ? WALK_CID : VERDICT_EPOCH0_DATA;
}

/* The datagram is `len` octets from `data` to `end`. */
static __always_inline int walk_first(const __u8 *data, const void *end, __u64 len)
{
	if ((void *)(data + 1) > end)
		return VERDICT_MALFORMED;
	if (data[0] == TLS12_CID)
		return walk_tls12_cid(data, end);
	if (is_unified(data[0]))
		return walk_unified(data, end, len);
	return data[0] >= CHANGE_CIPHER_SPEC && data[0] <= RRC ? walk_plain(data, end, len) : VERDICT_TYPE;
}

/* For WALK_OTHER and at least 14 octets. True: the datagram is one record of a session, and no part of a handshake. */
static __always_inline bool walk_is_of_session(const __u8 *data, __u64 len)
{
	if (is_unified(data[0])) {
		const __u64 length = bpf_ntohs(data[0] & UNIFIED_SEQ_2 ? U16(data + 3) : U16(data + 2));

		return (data[0] & UNIFIED_EPOCH) != UNIFIED_EPOCH_HANDSHAKE &&
		       (!(data[0] & UNIFIED_LENGTH) || unified_octets(data[0]) + length == len);
	}
	return (data[0] == ALERT || data[0] == APPLICATION_DATA) && U16(data + EPOCH_AT) != 0 &&
	       RECORD_OCTETS + (__u64)bpf_ntohs(U16(data + LENGTH_AT)) == len;
}

/* Octets of a record with a CID of `cid_octets`. 0: it would be cut short, or have no ciphertext. As dtls_cid_octets().
 * `left` octets are there from `record` on. */
static __always_inline __u64 record_octets(const __u8 *record, const void *end, __u64 left, __u64 cid_octets,
					   const bool unified)
{
	const __u64 header = below((unified ? unified_octets(record[0]) : RECORD_OCTETS) + cid_octets, 64);
	const __u64 least = unified ? UNIFIED_CIPHERTEXT : 1;
	const __u8 *length_at = record + (header - 2);
	__u64 ciphertext;

	/* One number, which is compared and then read at: made twice, the second is unknown to the verifier. */
	asm volatile("" : "+r"(length_at));
	if (header >= left || (void *)(length_at + 2) > end)
		return 0;
	ciphertext = left - header;
	if (!unified || record[0] & UNIFIED_LENGTH) {
		const __u64 length = bpf_ntohs(U16(length_at));

		if (length > ciphertext)
			return 0;
		ciphertext = length;
	}
	return ciphertext >= least ? header + ciphertext : 0;
}

/* True: the record is one of the first of a session of DTLS 1.2: epoch 1 and a small number. */
static __always_inline bool record_is_fresh(const __u8 *record)
{
	const __u64 number = bpf_be64_to_cpu(U64(record + EPOCH_AT));

	return number >> 48 == 1 && (number & 0xffffffffffff) < FAST_FRESH;
}

/* True: the daemon need not see it. It is no part of a handshake that is under way. */
static __always_inline bool reply_is_plain(const __u8 *payload, __u8 replies)
{
	if (is_unified(payload[0]))
		return true;
	if (payload[0] < CHANGE_CIPHER_SPEC || payload[0] > RRC || U16(payload + EPOCH_AT) == 0)
		return false;
	return replies == FAST_REPLIES_ALL || !record_is_fresh(payload);
}

struct cid {
	__u64 words[3]; /* zeros behind the CID */
};

/* False: there are not 24 octets from `at` on. `masks` are those of the CID's length. */
static __always_inline bool cid_read(struct cid *cid, const __u8 *at, const void *end, const __u64 masks[3])
{
	if ((void *)(at + CID_WORDS_OCTETS) > end)
		return false;
	cid->words[0] = U64(at) & masks[0];
	cid->words[1] = U64(at + 8) & masks[1];
	cid->words[2] = U64(at + 16) & masks[2];
	return true;
}

static __always_inline bool cid_equal(const struct cid *a, const struct cid *b)
{
	return a->words[0] == b->words[0] && a->words[1] == b->words[1] && a->words[2] == b->words[2];
}

enum tail { TAIL_FITS, TAIL_MIXED, TAIL_UNREAD /* only the C core can tell */ };

/* The datagram behind its first record, which ends at `at` and bears the CID: as dtls_tail_fits(). */
static __always_inline enum tail walk_tail(const __u8 *data, const void *end, __u64 len, __u64 at,
					   const struct cid *cid, __u64 cid_octets, const __u64 masks[3],
					   const bool unified)
{
	for (int records = 1; records <= FAST_RECORDS; records++) {
		const __u8 *record = data + below(at, FAST_DATAGRAM_OCTETS);
		__u64 octets;
		struct cid other;

		if (at >= len)
			return TAIL_FITS;
		if (at >= FAST_DATAGRAM_OCTETS || records == FAST_RECORDS || (void *)(record + 5) > end)
			return TAIL_UNREAD;
		if (unified ? !is_unified(record[0]) : record[0] != TLS12_CID)
			return TAIL_MIXED;
		if (unified && !(record[0] & UNIFIED_CID)) {
			octets = record_octets(record, end, len - at, 0, true);
			if (octets == 0)
				return TAIL_MIXED;
			at += octets;
			continue;
		}
		octets = record_octets(record, end, len - at, cid_octets, unified);
		if (octets == 0 ||
		    (!unified && (U16(record + 1) != bpf_htons(DTLS_1_2) || U16(record + EPOCH_AT) == 0)))
			return TAIL_MIXED;
		if (!cid_read(&other, record + (unified ? UNIFIED_CID_AT : CID_AT), end, masks))
			return TAIL_UNREAD;
		if (!cid_equal(&other, cid))
			return TAIL_MIXED;
		at += octets;
	}
	return TAIL_UNREAD;
}

#endif

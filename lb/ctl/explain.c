#include "ctl/explain.h"

#include "common/bytes.h"
#include "common/resume.h"
#include "common/siphash.h"

enum { UNIFIED_CID = 0x10, UNIFIED_EPOCH = 0x03 }; /* RFC 9147, section 4 */

static bool is_unified(uint8_t first)
{
	return first >> 5 == 1;
}

static void read_record(struct explain_record *record, const uint8_t *data, size_t len, size_t at)
{
	const uint8_t *start = data + at;
	size_t left = len - at;

	*record = (struct explain_record){ .at = at, .first = start[0] };
	if (is_unified(start[0])) {
		record->epoch = start[0] & UNIFIED_EPOCH;
		return;
	}
	if (start[0] < DTLS_CHANGE_CIPHER_SPEC || start[0] > DTLS_RRC || left < DTLS_HEADER_OCTETS)
		return;
	record->has_number = true;
	record->epoch = bytes_u16(start + 3);
	for (size_t i = 5; i < 11; i++)
		record->number = record->number << 8 | start[i];
	size_t octets = DTLS_HEADER_OCTETS + (size_t)bytes_u16(start + 11);
	if (start[0] != DTLS_TLS12_CID && octets <= left)
		record->octets = octets;
}

/* The octets of a DTLS 1.3 record without CID: the shortest prefix that is a whole record. Without a length field it
 * takes all that is left. */
static size_t unified_octets(const uint8_t *start, size_t left)
{
	static const uint8_t has_length = 0x04, number_is_2 = 0x08;
	size_t header = 1U + (start[0] & number_is_2 ? 2 : 1) + 2U;

	if (!(start[0] & has_length))
		return left;
	if (left < header)
		return 0;
	size_t octets = header + bytes_u16(start + header - 2);
	return octets <= left ? octets : 0;
}

static bool bears_cid(uint8_t first)
{
	return first == DTLS_TLS12_CID || (is_unified(first) && first & UNIFIED_CID);
}

/* cid_len 0: it is not known. */
static size_t cid_record_octets(const uint8_t *data, size_t len, size_t at, size_t cid_len)
{
	const struct dtls_view view = { .unified = is_unified(data[at]), .record_at = (uint16_t)at };

	return cid_len ? dtls_cid_octets(&view, data, len, cid_len) : 0;
}

size_t explain_read_records(struct explain_record records[static EXPLAIN_RECORDS], const uint8_t *data, size_t len,
			    size_t cid_len)
{
	struct dtls_view alone;
	size_t at = 0, count = 0;

	while (at < len && count < EXPLAIN_RECORDS) {
		struct explain_record *record = &records[count++];
		read_record(record, data, len, at);
		if (bears_cid(data[at]))
			record->octets = cid_record_octets(data, len, at, cid_len);
		else if (is_unified(data[at]))
			record->octets = unified_octets(data + at, len - at);
		if (record->octets == 0)
			break;
		dtls_walk(&alone, data + at, record->octets);
		if (alone.kind < DTLS_MIXED)
			break;
		at += record->octets;
	}
	return count;
}

static void read_slot(struct explanation *out, uint64_t hash)
{
	const struct rendezvous *slots = out->pool->slots;

	out->slot = rendezvous_slot(hash);
	out->ranked[0] = slots->first[out->slot];
	for (size_t i = 1; i < RENDEZVOUS_DEPTH; i++)
		out->ranked[i] = slots->further[out->slot][i - 1];
}

void explain_make(struct explanation *out, const struct explain_question *question)
{
	const struct snapshot_pool *pool = question->pool;
	const struct addr *source = question->source;
	const uint8_t *data = question->data;
	const size_t len = question->len;
	struct route_in in = { .data = data, .len = len, .hint = ROUTE_NO_HINT };

	*out = (struct explanation){
		.listener = question->listener, .pool = pool, .octets = len, .has_source = source
	};
	/* Where the source is not known, one that rule 0 lets pass. */
	(void)addr_parse(&in.source, "192.0.2.1:49152");
	if (source)
		in.source = out->source = *source;
	if (pool->protocol == POOL_DTLS) {
		dtls_walk(&in.view, data, len);
		out->by_cid = route_by_cid(pool, &in.view);
	}
	out->view = in.view;
	if (in.view.kind == DTLS_HELLO && question->learns_sessions) {
		struct resume_names offer;

		out->resumes = resume_read_offer(&offer, &pool->hash_key, data, len);
	}
	if (out->by_cid && pool->layout.scheme == CID_LAYOUT_LEARNED) {
		out->opened = (struct cid_opened){ .result = CID_MISFIT, .cid = data + in.view.cid_at };
		out->cid_lengths = dtls_cid_lengths(&in.view, data, len);
		out->learned = true;
	} else if (out->by_cid) {
		cid_open(&out->opened, &pool->layout, &in.view, data, len);
		out->cid_lengths = dtls_cid_lengths(&in.view, data, len);
	}
	if (pool->protocol == POOL_DTLS)
		out->record_count =
			explain_read_records(out->records, data, len,
					     out->by_cid && out->opened.result != CID_MISFIT ? out->opened.cid_len : 0);
	route(&out->out, pool, &in);
	if (out->out.verdict == VERDICT_CID_HASHED)
		read_slot(out, siphash24(&pool->hash_key, out->opened.cid, out->opened.cid_len));
	else if (out->out.verdict == VERDICT_HASH && source)
		read_slot(out, siphash_addr(&pool->hash_key, source, pool->affinity == AFFINITY_ADDRESS_PORT));
	out->by_hash = out->out.verdict == VERDICT_CID_HASHED || out->out.verdict == VERDICT_HASH;
}

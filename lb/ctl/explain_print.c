#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "common/hex.h"
#include "common/plural.h"
#include "ctl/explain.h"

enum { WORDS_OCTETS = 512 };

static const char *record_name(const struct explain_record *record)
{
	static const char *const names[] = {
		[DTLS_CHANGE_CIPHER_SPEC] = "change_cipher_spec",
		[DTLS_ALERT] = "alert",
		[DTLS_HANDSHAKE] = "handshake",
		[DTLS_APPLICATION_DATA] = "application_data",
		[DTLS_HEARTBEAT] = "heartbeat",
		[DTLS_TLS12_CID] = "tls12_cid",
		[DTLS_ACK] = "ack",
		[DTLS_RRC] = "return_routability_check",
	};

	if (record->first >> 5 == 1)
		return "DTLS 1.3 ciphertext";
	return record->first < sizeof names / sizeof names[0] && names[record->first] ? names[record->first]
										      : "no DTLS record";
}

static const char *kind_words(enum dtls_kind kind)
{
	static const char *const words[] = {
		[DTLS_MALFORMED] = "the last record is cut short, or of a version that is not DTLS",
		[DTLS_BAD_TYPE] = "the first octet of the last record is outside 20..27 and 32..63",
		[DTLS_EPOCH0_DATA] = "the last record claims epoch 0, where no key protects it",
		[DTLS_MIXED] = "records that no device sends together, or more than 16",
		[DTLS_HELLO] = "a ClientHello",
		[DTLS_CID] = "the CID decides, if what stands behind it belongs to its session",
		[DTLS_OTHER] = "no ClientHello and no CID",
	};

	return words[kind];
}

static const char *verdict_words(const struct explanation *e)
{
	static const char *const words[VERDICTS] = {
		[VERDICT_CID] = "to the backend that the CID names",
		[VERDICT_CID_DRAINING] = "to the backend that the CID names; it is draining, and keeps its sessions",
		[VERDICT_CID_DOWN] = "to the backend that the CID names, though it is down",
		[VERDICT_CID_HASHED] = "by consistent hash of the CID",
		[VERDICT_HINT] = "to the backend that is remembered for this device",
		[VERDICT_BAD_SOURCE] = "dropped: nobody can be answered at this source",
		[VERDICT_MALFORMED] = "dropped: not DTLS",
		[VERDICT_TYPE] = "dropped: not DTLS",
		[VERDICT_EPOCH0_DATA] = "dropped: data that no key protects",
		[VERDICT_MIXED] = "dropped: records that no device sends together; one of them could end a session",
		[VERDICT_UNKNOWN_CID] = "dropped: no backend is known by this CID, and unknown_cid is \"drop\"",
		[VERDICT_MAINT] = "dropped: the backend that the CID names is in maint",
		[VERDICT_NO_BACKEND] = "dropped: no backend takes new sessions",
		[VERDICT_LIMITED] = "dropped: rate limit",
	};

	if (e->learned && e->out.verdict == VERDICT_UNKNOWN_CID)
		return "dropped, unless the running cidlb has learned the CID: then to the backend that gave it out";
	if (e->out.verdict != VERDICT_HASH)
		return words[e->out.verdict];
	return e->pool->affinity == AFFINITY_ADDRESS ? "by consistent hash of the device's address"
						     : "by consistent hash of the device's address and port";
}

/* "6, 8", or "none". */
static const char *lengths_words(char out[static WORDS_OCTETS], uint64_t lengths)
{
	size_t at = 0;

	for (unsigned n = 1; n < DTLS_CID_MAX; n++) {
		if (lengths >> n & 1)
			at += (size_t)snprintf(out + at, WORDS_OCTETS - at, "%s%u", at > 0 ? ", " : "", n);
	}
	if (at == 0)
		strcpy(out, "none");
	return out;
}

static uint16_t backend_of_cid(const struct explanation *e)
{
	return e->opened.result == CID_OPENED ? snapshot_backend_of_id(e->pool, &e->opened.id) : SNAPSHOT_NO_BACKEND;
}

static void print_cid(const struct explanation *e, FILE *out)
{
	char cid[HEX_TEXT_OCTETS(UINT8_MAX)], id[HEX_TEXT_OCTETS(LBCID_MAX_ID_OCTETS)], lengths[WORDS_OCTETS];
	uint16_t backend = backend_of_cid(e);

	if (!e->by_cid) {
		if (e->view.kind == DTLS_CID)
			fprintf(out, "cid       ignored: the pool's scheme is \"none\"\n");
		return;
	}
	if (e->learned) {
		fprintf(out,
			"cid       learned: the running cidlb knows who gave it out, and so how long it is; lengths "
			"that fit: "
			"%s\n",
			lengths_words(lengths, e->cid_lengths));
		return;
	}
	hex_write(cid, sizeof cid, e->opened.cid, e->opened.cid_len);
	switch (e->opened.result) {
	case CID_OPENED:
		hex_write(id, sizeof id, e->opened.id.octets, e->opened.id.len);
		fprintf(out, "cid       %s: server id %s, %s%s\n", cid, id,
			backend != SNAPSHOT_NO_BACKEND ? "of backend " : "which no backend has",
			backend != SNAPSHOT_NO_BACKEND ? e->pool->backends[backend].name : "");
		break;
	case CID_HASHED:
		fprintf(out, "cid       %s: the pool's scheme is \"hash\"\n", cid);
		break;
	case CID_MIXED:
		fprintf(out, "cid       %s: behind its record stands what is not of its session\n", cid);
		break;
	case CID_MISFIT:
		if (e->pool->layout.rotations && !cid_config(&e->pool->layout, e->opened.cid[0] >> 5))
			fprintf(out, "cid       %s...: no config has rotation %u\n", cid, e->opened.cid[0] >> 5);
		else
			fprintf(out, "cid       %s...: %s %u does not fit this record; lengths that would: %s\n", cid,
				e->pool->layout.rotations ? "1 + server_id_length + nonce_length =" : "cid.length",
				cid_length(&e->pool->layout, e->opened.cid[0]), lengths_words(lengths, e->cid_lengths));
		break;
	}
}

void explain_print_record(const struct explain_record *r, FILE *out)
{
	fprintf(out, "%s (%u)", record_name(r), r->first);
	if (r->has_number)
		fprintf(out, ", epoch %u, number %" PRIu64, r->epoch, r->number);
	else if (r->first >> 5 == 1)
		fprintf(out, ", epoch ends in %u", r->epoch);
	if (r->octets != 0)
		fprintf(out, ", %zu octet%s", r->octets, PLURAL(r->octets));
}

static void print_records(const struct explanation *e, FILE *out)
{
	for (size_t i = 0; i < e->record_count; i++) {
		fprintf(out, "record    at %zu: ", e->records[i].at);
		explain_print_record(&e->records[i], out);
		fputc('\n', out);
	}
	fprintf(out, "walk      %s\n", kind_words(e->view.kind));
}

static void print_slot(const struct explanation *e, FILE *out)
{
	fprintf(out, "slot      %u of %u:", e->slot, RENDEZVOUS_SLOTS);
	for (size_t i = 0; i < RENDEZVOUS_DEPTH && e->ranked[i] != RENDEZVOUS_NONE; i++)
		fprintf(out, "%s %s%s", i > 0 ? "," : "", e->pool->backends[e->ranked[i]].name,
			e->pool->accepts[e->ranked[i]] ? "" : " (takes no new sessions)");
	fputc('\n', out);
}

/* By address, and the address is not known. */
static bool backend_is_open(const struct explanation *e)
{
	return e->out.verdict == VERDICT_HASH && !e->has_source;
}

void explain_print_text(const struct explanation *e, FILE *out)
{
	char text[ADDR_TEXT_OCTETS];

	fprintf(out, "datagram  %zu octet%s for listener %s, pool %s (%s)\n", e->octets, PLURAL(e->octets),
		e->listener->name, e->pool->name, e->pool->protocol == POOL_DTLS ? "dtls" : "udp");
	if (e->pool->protocol == POOL_DTLS)
		print_records(e, out);
	print_cid(e, out);
	if (e->resumes)
		fprintf(out,
			"session   it offers to resume one: the running cidlb leads it to the server that gave that "
			"out, if it has seen it, with verdict hint\n");
	fprintf(out, "verdict   %s: %s\n", verdict_name(e->out.verdict), verdict_words(e));
	if (e->out.verdict == VERDICT_HASH && !(e->view.kind == DTLS_HELLO && e->view.hello_first))
		fprintf(out, "          (what is remembered of this device would keep it on its backend)\n");
	if (backend_is_open(e)) {
		fprintf(out, "backend   depends on the device's address: --from IP:PORT\n");
		return;
	}
	if (e->by_hash)
		print_slot(e, out);
	if (verdict_is_routed(e->out.verdict)) {
		const struct snapshot_backend *b = &e->pool->backends[e->out.backend];
		fprintf(out, "backend   %s at %s\n", b->name, addr_format(&b->addr, text));
	}
}

json_t *explain_records_json(const struct explain_record *list, size_t count)
{
	json_t *records = json_array();

	for (size_t i = 0; i < count; i++) {
		const struct explain_record *r = &list[i];
		json_t *record = json_pack("{s:I, s:i, s:s}", "at", (json_int_t)r->at, "first_octet", r->first, "name",
					   record_name(r));
		if (r->has_number || r->first >> 5 == 1)
			json_object_set_new(record, "epoch", json_integer(r->epoch));
		if (r->has_number)
			json_object_set_new(record, "number", json_integer((json_int_t)r->number));
		if (r->octets != 0)
			json_object_set_new(record, "octets", json_integer((json_int_t)r->octets));
		json_array_append_new(records, record);
	}
	return records;
}

static json_t *json_cid(const struct explanation *e)
{
	static const char *const results[] = {
		[CID_OPENED] = "opened", [CID_HASHED] = "hashed", [CID_MISFIT] = "misfit", [CID_MIXED] = "mixed"
	};
	char text[HEX_TEXT_OCTETS(UINT8_MAX)];
	uint16_t backend = backend_of_cid(e);
	json_t *lengths = json_array();
	json_t *cid =
		json_pack("{s:s, s:s, s:o}", "octets", hex_write(text, sizeof text, e->opened.cid, e->opened.cid_len),
			  "result", e->learned ? "learned" : results[e->opened.result], "lengths_that_fit", lengths);

	for (unsigned n = 1; n < DTLS_CID_MAX; n++) {
		if (e->cid_lengths >> n & 1)
			json_array_append_new(lengths, json_integer(n));
	}
	if (e->opened.result == CID_OPENED)
		json_object_set_new(cid, "server_id",
				    json_string(hex_write(text, sizeof text, e->opened.id.octets, e->opened.id.len)));
	if (backend != SNAPSHOT_NO_BACKEND)
		json_object_set_new(cid, "backend", json_string(e->pool->backends[backend].name));
	return cid;
}

static json_t *json_hash(const struct explanation *e)
{
	json_t *ranked = json_array();

	for (size_t i = 0; i < RENDEZVOUS_DEPTH && e->ranked[i] != RENDEZVOUS_NONE; i++)
		json_array_append_new(ranked, json_pack("{s:s, s:b}", "backend", e->pool->backends[e->ranked[i]].name,
							"takes_new_sessions", e->pool->accepts[e->ranked[i]]));
	return json_pack("{s:i, s:o}", "slot", (int)e->slot, "ranked", ranked);
}

int explain_print_json(const struct explanation *e, FILE *out)
{
	char text[ADDR_TEXT_OCTETS];
	json_t *root = json_pack("{s:s, s:s, s:I, s:s, s:s, s:b}", "listener", e->listener->name, "pool", e->pool->name,
				 "octets", (json_int_t)e->octets, "verdict", verdict_name(e->out.verdict), "why",
				 verdict_words(e), "routed", verdict_is_routed(e->out.verdict));
	int err;

	if (e->pool->protocol == POOL_DTLS)
		json_object_set_new(root, "records", explain_records_json(e->records, e->record_count));
	if (e->by_cid)
		json_object_set_new(root, "cid", json_cid(e));
	if (e->resumes)
		json_object_set_new(root, "offers_to_resume", json_true());
	if (e->has_source)
		json_object_set_new(root, "from", json_string(addr_format(&e->source, text)));
	if (e->by_hash && !backend_is_open(e))
		json_object_set_new(root, "hash", json_hash(e));
	if (verdict_is_routed(e->out.verdict) && !backend_is_open(e)) {
		const struct snapshot_backend *b = &e->pool->backends[e->out.backend];
		json_object_set_new(root, "backend",
				    json_pack("{s:s, s:s}", "name", b->name, "address", addr_format(&b->addr, text)));
	}
	err = root && json_dumpf(root, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 && fputc('\n', out) != EOF ? 0
														: -EIO;
	json_decref(root);
	return err;
}

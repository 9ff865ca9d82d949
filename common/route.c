#include "route.h"

enum { BATCH = 32 }; /* datagrams whose rows are fetched together */

/* What is known of a datagram before any table is read. */
enum lookup_step {
	LOOKUP_DONE, /* out->verdict is final */
	LOOKUP_ID,   /* the backend of a server id */
	LOOKUP_HASH, /* the consistent hash of the source, or of the CID if opened.cid is set */
};

struct lookup {
	enum lookup_step step;
	struct cid_opened opened; /* cid NULL: not routed by CID */
	size_t row;               /* LOOKUP_ID: in the id table */
	uint64_t hash;            /* LOOKUP_HASH */
};

bool route_by_cid(const struct snapshot_pool *pool, const struct dtls_view *view)
{
	return pool->reads_cids && view->kind == DTLS_CID;
}

static inline void out_drop(struct route_out *out, enum verdict verdict)
{
	*out = (struct route_out){ .verdict = verdict, .backend = SNAPSHOT_NO_BACKEND };
}

static inline void out_routed(struct route_out *out, enum verdict verdict, uint16_t backend,
			      const struct cid_opened *opened)
{
	*out = (struct route_out){
		.verdict = verdict, .backend = backend, .cid = opened->cid, .cid_len = opened->cid ? opened->cid_len : 0
	};
}

static inline void lookup_hash(struct lookup *lookup, const struct snapshot_pool *pool, uint64_t hash)
{
	lookup->step = LOOKUP_HASH;
	lookup->hash = hash;
	snapshot_prefetch_hash(pool, hash);
}

static inline void lookup_source(struct lookup *lookup, const struct snapshot_pool *pool, const struct route_in *in)
{
	lookup->opened.cid = NULL;
	lookup_hash(lookup, pool, siphash_addr(&pool->hash_key, &in->source, pool->affinity == AFFINITY_ADDRESS_PORT));
}

/* Rules 4 and 5 for all but a ClientHello that begins a handshake. */
static inline void lookup_hint(struct lookup *lookup, struct route_out *out, const struct snapshot_pool *pool,
			       const struct route_in *in)
{
	const uint16_t backend = snapshot_backend_of_uid(pool, in->hint);

	if (backend != SNAPSHOT_NO_BACKEND) {
		const uint8_t by_cid = pool->cid_verdict[backend];

		if (by_cid == VERDICT_CID || by_cid == VERDICT_CID_DRAINING) {
			*out = (struct route_out){ .verdict = VERDICT_HINT, .backend = backend };
			lookup->step = LOOKUP_DONE;
			return;
		}
	}
	lookup_source(lookup, pool, in);
}

/* A CID that names no backend. */
static inline void lookup_unknown(struct lookup *lookup, struct route_out *out, const struct snapshot_pool *pool)
{
	if (pool->unknown_cid == UNKNOWN_CID_DROP) {
		lookup->step = LOOKUP_DONE;
		out_drop(out, VERDICT_UNKNOWN_CID);
		return;
	}
	lookup_hash(lookup, pool, siphash24(&pool->hash_key, lookup->opened.cid, lookup->opened.cid_len));
}

/* The backend of the server id. */
static inline void lookup_id(struct lookup *lookup, struct route_out *out, const struct snapshot_pool *pool)
{
	const uint16_t backend = snapshot_backend_of_id_at(pool, lookup->row, &lookup->opened.id);

	lookup->step = LOOKUP_DONE;
	if (backend == SNAPSHOT_NO_BACKEND)
		lookup_unknown(lookup, out, pool);
	else if (pool->cid_verdict[backend] == VERDICT_MAINT)
		out_drop(out, VERDICT_MAINT);
	else
		out_routed(out, pool->cid_verdict[backend], backend, &lookup->opened);
}

/* A server may skip a record that has no ciphertext, and read on. Where unknown CIDs are dropped it sees none of it. */
static bool misfit_is_mixed(const struct snapshot_pool *pool, const struct cid_opened *opened,
			    const struct route_in *in)
{
	return pool->unknown_cid == UNKNOWN_CID_HASH &&
	       dtls_misfit_is_mixed(&in->view, in->data, in->len, cid_length(&pool->layout, *opened->cid));
}

/* Rule 3. */
static inline void lookup_cid(struct lookup *lookup, struct route_out *out, const struct snapshot_pool *pool,
			      const struct route_in *in)
{
	cid_open(&lookup->opened, &pool->layout, &in->view, in->data, in->len);
	switch (lookup->opened.result) {
	case CID_OPENED:
		lookup->step = LOOKUP_ID;
		lookup->row = snapshot_prefetch_id(pool, &lookup->opened.id);
		/* The table takes a few cache lines, which are there already. */
		if (pool->id_octets == 1)
			lookup_id(lookup, out, pool);
		break;
	case CID_HASHED:
		lookup_hash(lookup, pool, siphash24(&pool->hash_key, lookup->opened.cid, lookup->opened.cid_len));
		break;
	case CID_MISFIT:
		if (misfit_is_mixed(pool, &lookup->opened, in))
			out_drop(out, VERDICT_MIXED);
		else
			lookup_unknown(lookup, out, pool);
		break;
	case CID_MIXED:
		out_drop(out, VERDICT_MIXED);
		break;
	}
}

/* Rule 3 in a pool that learns CIDs. */
static void lookup_learned(struct lookup *lookup, struct route_out *out, const struct snapshot_pool *pool,
			   const struct route_in *in)
{
	const struct cid_opened opened = { .cid = in->data + in->view.cid_at, .cid_len = in->learned_len };
	const size_t octets = in->learned_len ? dtls_cid_octets(&in->view, in->data, in->len, in->learned_len) : 0;

	if (octets == 0)
		out_drop(out, VERDICT_UNKNOWN_CID);
	else if (!dtls_tail_fits(&in->view, in->data, in->len, in->learned_len, in->view.record_at + octets))
		out_drop(out, VERDICT_MIXED);
	else if (in->learned_at != SNAPSHOT_NO_BACKEND && pool->cid_verdict[in->learned_at] == VERDICT_MAINT)
		out_drop(out, VERDICT_MAINT);
	else if (in->learned_at != SNAPSHOT_NO_BACKEND)
		out_routed(out, pool->cid_verdict[in->learned_at], in->learned_at, &opened);
	else if (pool->unknown_cid == UNKNOWN_CID_DROP)
		out_drop(out, VERDICT_UNKNOWN_CID);
	else
		lookup_hint(lookup, out, pool, in);
}

/* What rule 3 does not decide, or not by itself. Apart from lookup_make(), where nearly all datagrams have a CID. */
static inline void lookup_other(struct lookup *lookup, struct route_out *out, const struct snapshot_pool *pool,
				const struct route_in *in)
{
	static const enum verdict not_dtls[] = {
		[DTLS_MALFORMED] = VERDICT_MALFORMED,
		[DTLS_BAD_TYPE] = VERDICT_TYPE,
		[DTLS_EPOCH0_DATA] = VERDICT_EPOCH0_DATA,
		[DTLS_MIXED] = VERDICT_MIXED,
	};
	const enum dtls_kind kind = in->view.kind;

	if (pool->protocol == POOL_UDP)
		lookup_hint(lookup, out, pool, in);
	else if (kind <= DTLS_MIXED)
		out_drop(out, not_dtls[kind]);
	else if (route_by_cid(pool, &in->view))
		lookup_learned(lookup, out, pool, in);
	else if (kind == DTLS_HELLO && in->view.hello_first)
		lookup_source(lookup, pool, in);
	else
		lookup_hint(lookup, out, pool, in);
}

/* The first pass: reads the datagram, and prefetches the row that the second pass will read. */
static inline void lookup_make(struct lookup *lookup, struct route_out *out, const struct snapshot_pool *pool,
			       const struct route_in *in)
{
	lookup->step = LOOKUP_DONE;
	if (bad_sources_have(pool->bad_sources, pool->bad_marks, &in->source))
		out_drop(out, VERDICT_BAD_SOURCE);
	else if (pool->opens_cids && in->view.kind == DTLS_CID)
		lookup_cid(lookup, out, pool, in);
	else
		lookup_other(lookup, out, pool, in);
}

/* The second pass. */
static inline void lookup_resolve(struct lookup *lookup, struct route_out *out, const struct snapshot_pool *pool)
{
	uint16_t backend;

	if (lookup->step == LOOKUP_ID)
		lookup_id(lookup, out, pool);
	if (lookup->step == LOOKUP_HASH) {
		backend = snapshot_backend_of_hash(pool, lookup->hash);
		if (backend == SNAPSHOT_NO_BACKEND)
			out_drop(out, VERDICT_NO_BACKEND);
		else
			out_routed(out, lookup->opened.cid ? VERDICT_CID_HASHED : VERDICT_HASH, backend,
				   &lookup->opened);
	}
}

void route(struct route_out *out, const struct snapshot_pool *pool, const struct route_in *in)
{
	struct lookup lookup;

	lookup_make(&lookup, out, pool, in);
	lookup_resolve(&lookup, out, pool);
}

void route_batch(struct route_out *out, const struct snapshot_pool *pool, const struct route_in *in, size_t count)
{
	struct lookup lookups[BATCH];

	for (size_t from = 0; from < count; from += BATCH) {
		const size_t n = count - from < BATCH ? count - from : BATCH;
		for (size_t i = 0; i < n; i++)
			lookup_make(&lookups[i], &out[from + i], pool, &in[from + i]);
		for (size_t i = 0; i < n; i++)
			lookup_resolve(&lookups[i], &out[from + i], pool);
	}
}

#include "route.h"

enum { BATCH = 32 }; /* datagrams whose rows are fetched together */

/* What is known of a datagram before any table is read. */
enum plan_step {
	PLAN_DONE, /* out->verdict is final */
	PLAN_ID,   /* the backend of a server id */
	PLAN_HASH, /* the consistent hash of the source, or of the CID if opened.cid is set */
};

struct table_spec {
	enum plan_step step;
	struct cid_opened opened; /* cid NULL: not routed by CID */
	size_t row;               /* PLAN_ID: in the id table */
	uint64_t hash;            /* PLAN_HASH */
};

bool route_by_cid(const struct snapshot_pool *pool, const struct dtls_view *view)
{
	return pool->protocol == POOL_DTLS && view->kind == DTLS_CID && pool->layout.scheme != CID_LAYOUT_NONE;
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

static inline void plan_hash(struct table_spec *plan, const struct snapshot_pool *pool, uint64_t hash)
{
	plan->step = PLAN_HASH;
	plan->hash = hash;
	snapshot_prefetch_hash(pool, hash);
}

static inline void plan_source(struct table_spec *plan, const struct snapshot_pool *pool, const struct route_in *in)
{
	plan->opened.cid = NULL;
	plan_hash(plan, pool, siphash_addr(&pool->hash_key, &in->source, pool->affinity == AFFINITY_ADDRESS_PORT));
}

/* Rules 4 and 5 for all but a ClientHello. */
static inline void plan_hint(struct table_spec *plan, struct route_out *out, const struct snapshot_pool *pool,
			     const struct route_in *in)
{
	const uint16_t backend = snapshot_backend_of_uid(pool, in->hint);

	if (backend != SNAPSHOT_NO_BACKEND) {
		const uint8_t state = pool->cid_verdict[backend];
		if (state == VERDICT_CID || state == VERDICT_CID_DRAINING) {
			*out = (struct route_out){ .verdict = VERDICT_HINT, .backend = backend };
			plan->step = PLAN_DONE;
			return;
		}
	}
	plan_source(plan, pool, in);
}

/* A CID that names no backend. */
static inline void plan_unknown(struct table_spec *plan, struct route_out *out, const struct snapshot_pool *pool)
{
	if (pool->unknown_cid == UNKNOWN_CID_DROP) {
		plan->step = PLAN_DONE;
		out_drop(out, VERDICT_UNKNOWN_CID);
		return;
	}
	plan_hash(plan, pool, siphash24(&pool->hash_key, plan->opened.cid, plan->opened.cid_len));
}

/* The backend of the server id. */
static inline void plan_id(struct table_spec *plan, struct route_out *out, const struct snapshot_pool *pool)
{
	const uint16_t backend = snapshot_backend_of_id_at(pool, plan->row, &plan->opened.id);

	plan->step = PLAN_DONE;
	if (backend == SNAPSHOT_NO_BACKEND)
		plan_unknown(plan, out, pool);
	else if (pool->cid_verdict[backend] == VERDICT_MAINT)
		out_drop(out, VERDICT_MAINT);
	else
		out_routed(out, pool->cid_verdict[backend], backend, &plan->opened);
}

/* Rule 3. */
static inline void plan_cid(struct table_spec *plan, struct route_out *out, const struct snapshot_pool *pool,
			    const struct route_in *in)
{
	cid_open(&plan->opened, &pool->layout, &in->view, in->data, in->len);
	switch (plan->opened.result) {
	case CID_OPENED:
		plan->step = PLAN_ID;
		plan->row = snapshot_prefetch_id(pool, &plan->opened.id);
		/* The table takes a few cache lines, which are there already. */
		if (pool->id_octets == 1)
			plan_id(plan, out, pool);
		break;
	case CID_HASHED:
		plan_hash(plan, pool, siphash24(&pool->hash_key, plan->opened.cid, plan->opened.cid_len));
		break;
	case CID_MISFIT:
		plan_unknown(plan, out, pool);
		break;
	}
}

/* The first pass: reads the datagram, and prefetches the row that the second pass will read. */
static inline void table_spec_make(struct table_spec *plan, struct route_out *out, const struct snapshot_pool *pool,
				   const struct route_in *in)
{
	static const enum verdict not_dtls[] = {
		[DTLS_MALFORMED] = VERDICT_MALFORMED,
		[DTLS_BAD_TYPE] = VERDICT_TYPE,
		[DTLS_EPOCH0_DATA] = VERDICT_EPOCH0_DATA,
	};
	const enum dtls_kind kind = in->view.kind;

	plan->step = PLAN_DONE;
	if (pool->protocol == POOL_UDP)
		plan_hint(plan, out, pool, in);
	else if (kind <= DTLS_EPOCH0_DATA)
		out_drop(out, not_dtls[kind]);
	else if (kind == DTLS_HELLO)
		plan_source(plan, pool, in);
	else if (route_by_cid(pool, &in->view))
		plan_cid(plan, out, pool, in);
	else
		plan_hint(plan, out, pool, in);
}

/* The second pass. */
static inline void plan_resolve(struct table_spec *plan, struct route_out *out, const struct snapshot_pool *pool)
{
	uint16_t backend;

	if (plan->step == PLAN_ID)
		plan_id(plan, out, pool);
	if (plan->step == PLAN_HASH) {
		backend = snapshot_backend_of_hash(pool, plan->hash);
		if (backend == SNAPSHOT_NO_BACKEND)
			out_drop(out, VERDICT_NO_BACKEND);
		else
			out_routed(out, plan->opened.cid ? VERDICT_CID_HASHED : VERDICT_HASH, backend, &plan->opened);
	}
}

void route(struct route_out *out, const struct snapshot_pool *pool, const struct route_in *in)
{
	struct table_spec plan;

	table_spec_make(&plan, out, pool, in);
	plan_resolve(&plan, out, pool);
}

void route_batch(struct route_out *out, const struct snapshot_pool *pool, const struct route_in *in, size_t count)
{
	struct table_spec plans[BATCH];

	for (size_t from = 0; from < count; from += BATCH) {
		const size_t n = count - from < BATCH ? count - from : BATCH;
		for (size_t i = 0; i < n; i++)
			table_spec_make(&plans[i], &out[from + i], pool, &in[from + i]);
		for (size_t i = 0; i < n; i++)
			plan_resolve(&plans[i], &out[from + i], pool);
	}
}

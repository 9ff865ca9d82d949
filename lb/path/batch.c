#include "path/batch.h"

#include "path/forward.h"
#include "path/nat_stateless.h"

/* One batch of one pool, on its way through walk, hint, route and forward. */
struct batch {
	struct route_in in[IO_BATCH];
	struct route_out out[IO_BATCH];
	struct uplink up[IO_BATCH];
};

/* From where to answer. The addresses of a routed prefix are all this host's, and a stranger could have a number given
 * out for each: they are no service addresses. */
static uint16_t service_of(struct worker *worker, const struct table_listener *listener,
			   const struct table_pool *settings, uint16_t number, const uint8_t local[static 16])
{
	if (!listener->wildcard || settings->forward != TABLE_NAT ||
	    (!settings->single && endpoint_has_address(&settings->space, local)))
		return number;
	return service_addrs_number(worker->service_addrs, number, local);
}

static void batch_fill(struct worker *worker, struct batch *batch, const struct table *table, uint16_t number,
		       const struct io_datagram *datagrams, size_t count)
{
	const struct table_listener *listener = &table->listeners[number];
	const struct snapshot_pool *pool = &table->snapshot->pools[listener->pool];
	const struct table_pool *settings = &table->pools[listener->pool];

	for (size_t i = 0; i < count; i++) {
		struct route_in *in = &batch->in[i];

		in->data = datagrams[i].data;
		in->len = datagrams[i].len;
		in->source = datagrams[i].from;
		in->hint = ROUTE_NO_HINT;
		if (pool->protocol == POOL_DTLS)
			dtls_walk(&in->view, in->data, in->len);
		batch->up[i] = (struct uplink){
			.table = table,
			.datagram = &datagrams[i],
			.listener = listener,
			.pool = pool,
			.settings = settings,
			.view = &in->view,
			.decision = &batch->out[i],
			.service = service_of(worker, listener, settings, number, datagrams[i].local),
		};
	}
}

static bool asks_hint(const struct snapshot_pool *pool, const struct dtls_view *view)
{
	return pool->protocol == POOL_UDP || (view->kind >= DTLS_CID && !route_by_cid(pool, view));
}

/* Mode nat: for those whose source's flow says where they go. */
static void batch_hint(struct worker *worker, struct batch *batch, const struct snapshot_pool *pool, size_t count)
{
	uint32_t hashes[IO_BATCH];
	uint8_t asking[IO_BATCH];
	size_t asked = 0;

	for (size_t i = 0; i < count; i++) {
		if (!asks_hint(pool, &batch->in[i].view))
			continue;
		batch->up[i].flow_hash = hashes[asked] = nat_hash_source(worker, &batch->up[i]);
		asking[asked++] = (uint8_t)i;
	}
	if (asked == 0)
		return;
	flows_prefetch_keys(worker->flows, hashes, asked);
	for (size_t i = 0; i < asked; i++)
		batch->in[asking[i]].hint = nat_hint(worker, &batch->up[asking[i]]);
}

/* Mode nat: has the flows fetched that forward() will look for. */
static void batch_prefetch(struct worker *worker, struct batch *batch, const struct snapshot_pool *pool, size_t count)
{
	uint32_t hashes[IO_BATCH];
	size_t wanted = 0;

	for (size_t i = 0; i < count; i++)
		if (verdict_is_routed(batch->out[i].verdict) && !asks_hint(pool, &batch->in[i].view))
			batch->up[i].flow_hash = hashes[wanted++] = nat_hash(worker, &batch->up[i]);
	if (wanted)
		flows_prefetch_keys(worker->flows, hashes, wanted);
}

/* New sessions beyond hello_rate go no further; nothing else is counted or held up. Only DTLS pools have rates. */
static void batch_limit(struct worker *worker, struct batch *batch, const struct snapshot_pool *pool,
			const struct limit_rates *rates, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct route_in *in = &batch->in[i];
		struct route_out *out = &batch->out[i];

		if (in->view.kind != DTLS_HELLO || !verdict_is_routed(out->verdict))
			continue;
		const struct limit_hello hello = { pool->uid, pool->backends[out->backend].uid, &in->source };
		if (!limit_admit(worker->limit, rates, &hello, worker->clock_ms))
			*out = (struct route_out){ .verdict = VERDICT_LIMITED, .backend = SNAPSHOT_NO_BACKEND };
	}
}

/* A wrong cid.length must not be silent. */
static void sample_take(struct worker *worker, const struct snapshot_pool *pool, const struct route_in *in)
{
	struct worker_sample *sample = &worker->sample;

	if (atomic_load_explicit(&sample->full, memory_order_acquire))
		return;
	sample->pool = pool->uid;
	sample->first = in->data[in->view.cid_at];
	sample->fits = dtls_cid_fits(&in->view, in->data, in->len, cid_length(&pool->layout, sample->first));
	sample->lengths = dtls_cid_lengths(&in->view, in->data, in->len);
	atomic_store_explicit(&sample->full, true, memory_order_release);
}

static bool led_nowhere(const struct snapshot_pool *pool, enum verdict verdict)
{
	return verdict == VERDICT_UNKNOWN_CID ||
	       (verdict == VERDICT_CID_HASHED && pool->layout.scheme == CID_LAYOUT_ID);
}

static bool by_known_id(enum verdict verdict)
{
	return verdict == VERDICT_CID || verdict == VERDICT_CID_DRAINING || verdict == VERDICT_CID_DOWN;
}

/* Written once a second at most: others read the line. */
static void cid_note(struct worker *worker, uint16_t backend, uint32_t now_s)
{
	_Atomic uint32_t *last_s = &worker->cid_last_s[backend];

	if (atomic_load_explicit(last_s, memory_order_relaxed) != now_s)
		atomic_store_explicit(last_s, now_s, memory_order_relaxed);
}

/* To its backend, or nowhere, which only a trace is told. */
static void forward(struct worker *worker, const struct uplink *up)
{
	struct trace_ring *trace;

	if (!verdict_is_routed(up->decision->verdict)) {
		if ((trace = worker_trace(worker)))
			trace_up(trace, up, NULL);
		return;
	}
	switch (up->settings->forward) {
	case TABLE_NAT:
		nat_uplink(worker, up);
		return;
	case TABLE_NAT_STATELESS:
		nat_stateless_uplink(worker, up);
		return;
	case TABLE_TUNNEL:
		tunnel_uplink(worker, up);
		return;
	}
}

void batch_uplink(struct worker *worker, const struct table *table, uint16_t number,
		  const struct io_datagram *datagrams, size_t count)
{
	const uint16_t at = table->listeners[number].pool;
	const struct snapshot_pool *pool = &table->snapshot->pools[at];
	const struct limit_rates *rates = &table->pools[at].hello_rates;
	const bool nat = table->pools[at].forward == TABLE_NAT;
	const uint32_t now_s = (uint32_t)(worker->clock_ms / 1000);
	struct batch batch;

	stats_add(&worker->stats.received[number], count);
	batch_fill(worker, &batch, table, number, datagrams, count);
	if (nat)
		batch_hint(worker, &batch, pool, count);
	route_batch(batch.out, pool, batch.in, count);
	if (limit_rates_limit(rates))
		batch_limit(worker, &batch, pool, rates, count);
	if (nat)
		batch_prefetch(worker, &batch, pool, count);
	for (size_t i = 0; i < count; i++) {
		stats_add(&worker->stats.verdicts[number][batch.out[i].verdict], 1);
		if (led_nowhere(pool, batch.out[i].verdict))
			sample_take(worker, pool, &batch.in[i]);
		if (by_known_id(batch.out[i].verdict))
			cid_note(worker, pool->backends[batch.out[i].backend].uid, now_s);
		forward(worker, &batch.up[i]);
	}
}

void batch_reply(struct worker *worker, const struct table *table, uint16_t port, const struct io_datagram *datagrams,
		 size_t count)
{
	struct addr endpoints[IO_BATCH];
	uint32_t hashes[IO_BATCH];

	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		endpoints[i].port = port;
		memcpy(endpoints[i].ip, datagrams[i].local, sizeof endpoints[i].ip);
		hashes[i] = flows_hash_end(worker->flows, &endpoints[i], &datagrams[i].from);
	}
	flows_prefetch_ends(worker->flows, hashes, count);
	for (size_t i = 0; i < count; i++)
		if (!nat_stateless_reply(worker, table, &datagrams[i], &endpoints[i]))
			nat_reply(worker, table, &datagrams[i], &endpoints[i], hashes[i]);
}

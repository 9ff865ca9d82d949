#include "batch.h"

#include "forward.h"
#include "nat_stateless.h"

/* One batch of one pool, on its way through walk, hint, route and forward. */
struct batch {
	struct route_in in[NET_BATCH];
	struct route_out out[NET_BATCH];
	uint16_t service[NET_BATCH];
};

/* From where to answer. The addresses of a routed prefix are all this host's, and a stranger could have a number given out for each: they
 * are no service addresses. */
static uint16_t service_of(struct worker *worker, const struct table_listener *listener, const struct table_pool *settings, uint16_t number,
			   const uint8_t local[static 16])
{
	if (!listener->wildcard || settings->forward != TABLE_NAT || (!settings->single && endpoint_has_address(&settings->space, local)))
		return number;
	return services_number(worker->services, number, local);
}

static void batch_fill(struct worker *worker, struct batch *batch, const struct snapshot_pool *pool, const struct table_listener *listener,
		       const struct table_pool *settings, uint16_t number, const struct net_datagram *datagrams, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct route_in *in = &batch->in[i];

		in->data = datagrams[i].data;
		in->len = datagrams[i].len;
		in->source = datagrams[i].from;
		in->hint = ROUTE_NO_HINT;
		batch->service[i] = service_of(worker, listener, settings, number, datagrams[i].local);
		if (pool->protocol == POOL_DTLS)
			dtls_walk(&in->view, in->data, in->len);
		if (settings->forward == TABLE_NAT &&
		    (pool->protocol == POOL_UDP || (in->view.kind >= DTLS_CID && !route_by_cid(pool, &in->view))))
			in->hint = nat_hint(worker, pool, batch->service[i], &in->source);
	}
}

/* New sessions beyond hello_rate go no further; nothing else is counted or held up. Only DTLS pools have rates. */
static void batch_limit(struct worker *worker, struct batch *batch, const struct snapshot_pool *pool, const struct limit_rates *rates,
			size_t count)
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
	return verdict == VERDICT_UNKNOWN_CID || (verdict == VERDICT_CID_HASHED && pool->layout.scheme == CID_LAYOUT_ID);
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
static void forward(struct worker *worker, const struct table *table, const struct table_listener *listener, const struct batch *batch,
		    const struct net_datagram *datagrams, size_t at)
{
	const struct uplink up = {
		.table = table,
		.datagram = &datagrams[at],
		.listener = listener,
		.pool = &table->snapshot->pools[listener->pool],
		.settings = &table->pools[listener->pool],
		.view = &batch->in[at].view,
		.decision = &batch->out[at],
		.service = batch->service[at],
	};
	struct trace_ring *trace;

	if (!verdict_is_routed(up.decision->verdict)) {
		if ((trace = worker_trace(worker)))
			trace_up(trace, &up, NULL);
		return;
	}
	switch (up.settings->forward) {
	case TABLE_NAT:
		nat_uplink(worker, &up);
		return;
	case TABLE_NAT_STATELESS:
		nat_stateless_uplink(worker, &up);
		return;
	case TABLE_TUNNEL:
		tunnel_uplink(worker, &up);
		return;
	}
}

void batch_uplink(struct worker *worker, const struct table *table, uint16_t number, const struct net_datagram *datagrams, size_t count)
{
	const struct table_listener *listener = &table->listeners[number];
	const struct snapshot_pool *pool = &table->snapshot->pools[listener->pool];
	const struct limit_rates *rates = &table->pools[listener->pool].hello_rates;
	const uint32_t now_s = (uint32_t)(worker->clock_ms / 1000);
	struct batch batch;

	stats_add(&worker->stats.received[number], count);
	batch_fill(worker, &batch, pool, listener, &table->pools[listener->pool], number, datagrams, count);
	route_batch(batch.out, pool, batch.in, count);
	if (limit_rates_limit(rates))
		batch_limit(worker, &batch, pool, rates, count);
	for (size_t i = 0; i < count; i++) {
		stats_add(&worker->stats.verdicts[number][batch.out[i].verdict], 1);
		if (led_nowhere(pool, batch.out[i].verdict))
			sample_take(worker, pool, &batch.in[i]);
		if (by_known_id(batch.out[i].verdict))
			cid_note(worker, pool->backends[batch.out[i].backend].uid, now_s);
		forward(worker, table, listener, &batch, datagrams, i);
	}
}

void batch_reply(struct worker *worker, const struct table *table, uint16_t port, const struct net_datagram *datagrams, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct addr endpoint = { .port = port };

		memcpy(endpoint.ip, datagrams[i].local, sizeof endpoint.ip);
		if (!nat_stateless_reply(worker, table, &datagrams[i], &endpoint))
			nat_reply(worker, table, &datagrams[i], &endpoint);
	}
}

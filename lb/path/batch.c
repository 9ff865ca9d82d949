#include "path/batch.h"

#include "path/forward.h"

static void batch_fill(struct batch *batch, const struct table *table, uint16_t uid,
		       const struct io_datagram *datagrams, size_t count)
{
	const struct table_listener *listener = &table->listeners[uid];
	const struct snapshot_pool *pool = &table->snapshot->pools[listener->pool];
	const struct table_pool *settings = &table->pools[listener->pool];

	batch->listener = listener;
	batch->pool = pool;
	batch->settings = settings;
	batch->count = count;
	for (size_t i = 0; i < count; i++) {
		struct route_in *in = &batch->in[i];

		in->data = datagrams[i].data;
		in->len = datagrams[i].len;
		in->source = datagrams[i].from;
		in->hint = ROUTE_NO_HINT;
		if (pool->protocol == POOL_DTLS)
			dtls_walk(&in->view, in->data, in->len);
		batch->up[i] = (struct uplink){
			.datagram = &datagrams[i],
			.listener = listener,
			.pool = pool,
			.settings = settings,
			.view = &in->view,
			.decision = &batch->out[i],
			.service = uid,
		};
	}
}

/* Drops new sessions beyond hello_rate. No other datagram counts, or is held up. Only DTLS pools have rates. */
static void batch_limit(struct path *path, struct batch *batch)
{
	const struct snapshot_pool *pool = batch->pool;
	const struct limit_rates *rates = &batch->settings->hello_rates;

	for (size_t i = 0; i < batch->count; i++) {
		const struct route_in *in = &batch->in[i];
		struct route_out *out = &batch->out[i];

		if (in->view.kind != DTLS_HELLO || !verdict_is_routed(out->verdict))
			continue;
		const struct limit_hello hello = { pool->uid, pool->backends[out->backend].uid, &in->source };
		if (!limit_admit(path->limit, rates, &hello, path->clock_ms))
			*out = (struct route_out){ .verdict = VERDICT_LIMITED, .backend = SNAPSHOT_NO_BACKEND };
	}
}

/* Keeps one unroutable CID, so that the control thread can log why (control/cid_hint.h). A wrong cid.length must not be
 * silent. */
static void sample_take(struct path *path, const struct snapshot_pool *pool, const struct route_in *in)
{
	struct path_sample *sample = &path->sample;

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

/* Writes at most once a second, because other CPUs read this cache line. */
static void cid_note(struct path *path, uint16_t backend, uint32_t now_s)
{
	_Atomic uint32_t *last_s = &path->cid_last_s[backend];

	if (atomic_load_explicit(last_s, memory_order_relaxed) != now_s)
		atomic_store_explicit(last_s, now_s, memory_order_relaxed);
}

static void batch_count(struct path *path, const struct batch *batch, uint16_t listener)
{
	const struct snapshot_pool *pool = batch->pool;
	const uint32_t now_s = (uint32_t)(path->clock_ms / 1000);

	stats_add(&path->stats.received[listener], batch->count);
	for (size_t i = 0; i < batch->count; i++) {
		const struct route_out *out = &batch->out[i];

		stats_add(&path->stats.verdicts[listener][out->verdict], 1);
		if (led_nowhere(pool, out->verdict))
			sample_take(path, pool, &batch->in[i]);
		if (by_known_id(out->verdict))
			cid_note(path, pool->backends[out->backend].uid, now_s);
	}
}

/* The five stages of an uplink: walk the records (batch_fill()), recall what is known of the sources, route, limit new
 * sessions, forward. */
void batch_uplink(struct path *path, const struct table *table, uint16_t listener, const struct io_datagram *datagrams,
		  size_t count)
{
	const struct table_pool *settings = &table->pools[table->listeners[listener].pool];
	struct batch batch;

	batch_fill(&batch, table, listener, datagrams, count);
	if (settings->forwarder->recall)
		settings->forwarder->recall(path, &batch);
	route_batch(batch.out, batch.pool, batch.in, count);
	if (limit_rates_limit(&settings->hello_rates))
		batch_limit(path, &batch);
	batch_count(path, &batch, listener);
	settings->forwarder->uplinks(path, &batch);
}

void batch_reply(struct path *path, const struct table *table, uint16_t port, const struct io_datagram *datagrams,
		 size_t count)
{
	struct replies replies;

	if (count == 0)
		return;
	replies.table = table;
	replies.datagrams = datagrams;
	replies.count = count;
	replies.pool = TABLE_NONE;
	for (size_t i = 0; i < count; i++) {
		replies.endpoints[i].port = port;
		memcpy(replies.endpoints[i].ip, datagrams[i].local, sizeof replies.endpoints[i].ip);
		replies.taken[i] = false;
		replies.unclaimed[i] = &path->stats.strays;
	}
	for (const struct forwarder *const *at = forward_at_endpoints; *at; at++)
		(*at)->replies(path, &replies);
}

void batch_pool_reply(struct path *path, const struct table *table, uint16_t at, const struct io_datagram *datagrams,
		      size_t count)
{
	struct replies replies;

	if (count == 0)
		return;
	replies.table = table;
	replies.datagrams = datagrams;
	replies.count = count;
	replies.pool = at;
	table->pools[at].forwarder->replies(path, &replies);
}

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
		/* What is sent to many has nobody who could be answered (rule 0 of common/route.h). */
		in->source = datagrams[i].to_group ? (struct addr){ 0 } : datagrams[i].from;
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

/* True: hello_rate lets the ClientHello pass. It admits handshakes, not datagrams. What goes on with a handshake that
 * was admitted passes free, so an honest device that is past its first ClientHello does not compete with a flood. A
 * later fragment alone is of no use to a server, and would take what a whole ClientHello needs. A pool without rates
 * lets it pass all the same, because there is nothing to protect. */
static bool hello_passes(struct path *path, struct batch *batch, size_t i)
{
	const struct snapshot_pool *pool = batch->pool;
	const struct forwarder *forwarder = batch->settings->forwarder;
	const struct limit_hello hello = { pool->uid, pool->backends[batch->out[i].backend].uid, &batch->in[i].source };
	const enum hello_step step = forwarder->hello_look ? forwarder->hello_look(path, &batch->up[i]) : HELLO_BEGINS;

	switch (step) {
	case HELLO_GOES_ON:
		return true;
	case HELLO_LONE:
		return false;
	default: /* what cannot be read pays, too: a server may read it */
		return limit_admit(path->limit, &batch->settings->hello_rates, &hello, path->clock_ms);
	}
}

/* Drops handshakes beyond hello_rate, and remembers the others. No other datagram counts, or is held up. Only DTLS
 * pools have rates. */
static void batch_hellos(struct path *path, struct batch *batch)
{
	const struct forwarder *forwarder = batch->settings->forwarder;
	const bool limits = limit_rates_limit(&batch->settings->hello_rates);

	if (batch->pool->protocol != POOL_DTLS || (!limits && !forwarder->hello_take))
		return;
	for (size_t i = 0; i < batch->count; i++) {
		struct route_out *out = &batch->out[i];

		if (batch->in[i].view.kind != DTLS_HELLO || !verdict_is_routed(out->verdict))
			continue;
		if (limits && !hello_passes(path, batch, i))
			*out = (struct route_out){ .verdict = VERDICT_LIMITED, .backend = SNAPSHOT_NO_BACKEND };
		else if (forwarder->hello_take)
			forwarder->hello_take(path, &batch->up[i]);
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
		if (!verdict_is_routed(out->verdict))
			drops_note(&path->drops, &path->hello_key.random,
				   &(struct drop){ .from = batch->up[i].datagram->from,
						   .why.verdict = out->verdict,
						   .service = batch->up[i].service,
						   .last_s = now_s });
	}
}

/* The six stages of an uplink: walk the records (batch_fill()), recall what is known of CIDs and sources, route, admit,
 * limit new handshakes, forward. */
void batch_uplink(struct path *path, const struct table *table, uint16_t listener, const struct io_datagram *datagrams,
		  size_t count)
{
	const struct table_pool *settings = &table->pools[table->listeners[listener].pool];
	struct batch batch;

	batch_fill(&batch, table, listener, datagrams, count);
	if (settings->learned)
		learned_cids_recall(&batch);
	if (settings->forwarder->recall)
		settings->forwarder->recall(path, &batch);
	route_batch(batch.out, batch.pool, batch.in, count);
	if (settings->forwarder->admit)
		settings->forwarder->admit(path, &batch);
	batch_hellos(path, &batch);
	batch_count(path, &batch, listener);
	settings->forwarder->uplinks(path, &batch);
}

/* True: it has the address of a backend that is reached on another interface, and is counted. */
static bool came_elsewhere(struct path *path, const struct table *table, const struct io_datagram *datagram)
{
	uint16_t backend;

	if (datagram->iface == 0)
		return false;
	backend = backend_ifaces_elsewhere(table->ifaces, datagram->from.ip, datagram->iface);
	if (backend == SNAPSHOT_NO_BACKEND)
		return false;
	stats_add(&path->stats.wrong_interface[backend],
		  datagram->segment ? (datagram->len + datagram->segment - 1) / datagram->segment : 1);
	return true;
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
		replies.taken[i] = came_elsewhere(path, table, &datagrams[i]);
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
	for (size_t i = 0; i < count; i++)
		replies.taken[i] = came_elsewhere(path, table, &datagrams[i]);
	table->pools[at].forwarder->replies(path, &replies);
}

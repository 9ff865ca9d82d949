/* Mode tunnel. Before each datagram to a backend, and before each reply, stands a header that names the device and the
 * service address (proxy2.h). So nothing is remembered of either but the handshakes under way (hints.h).
 *
 * Servers may be asked to answer devices themselves. What comes back all the same is delivered as any other reply. */
#include "path/forward.h"

#include "common/proxy2.h"
#include "path/cid_cache.h"
#include "path/errors.h"
#include "path/hints.h"

_Static_assert((int)PROXY2_MAX_OCTETS <= (int)IO_HEAD, "a header fits the outbox");

enum { PMTU_MS = 60000 /* after this time a path may have another MTU */ };

static uint32_t now_s(const struct path *path)
{
	return (uint32_t)(path->clock_ms / 1000);
}

/* Another address may be another server, so what the one before could read counts no more. */
static struct io_pmtu *pmtu_of(struct path *path, const struct uplink *up, const struct snapshot_backend *backend)
{
	struct io_pmtu *pmtu = &path->pmtus[backend->uid];

	if (!addr_equal(&pmtu->to, &backend->addr))
		path_hear_version(path, backend->uid, PROXY2_V1, 0);
	if (!pmtu->segmented || !addr_equal(&pmtu->to, &backend->addr) || path->now_ms - pmtu->since_ms > PMTU_MS)
		*pmtu = (struct io_pmtu){
			.to = backend->addr,
			.since_ms = path->now_ms,
			.most = UINT16_MAX,
			.segmented = &path->stats.tunnel_segmented[up->pool->uid],
			.fragmented = &path->stats.tunnel_fragmented[up->pool->uid],
		};
	return pmtu;
}

/* The tag at the end of a header is a hash of the device and the service address. */
static uint64_t stream_of(const uint8_t *head, size_t head_len)
{
	uint64_t stream;

	memcpy(&stream, head + head_len - sizeof stream, sizeof stream);
	return stream;
}

/* A device that has only an address of a link of ours is to be answered by us. */
static enum proxy2_version version_for(const struct path *path, const struct uplink *up, uint16_t uid)
{
	if (up->settings->tunnel_direct && !addr_is_of_link(up->datagram->from.ip))
		return PROXY2_V2_DIRECT;
	return path_version_for(path, uid, now_s(path));
}

static void send_up(struct path *path, const struct uplink *up)
{
	const struct snapshot_backend *backend = &up->pool->backends[up->decision->backend];
	const struct proxy2_party party = { &up->settings->tunnel_keys, PROXY2_UP, &path->tunnel_memo };
	struct proxy2_ends ends = { .source = up->datagram->from, .destination = up->listener->addr };
	struct trace_ring *trace = path_trace(path);
	const bool somewhere = !addr_is_wildcard(&backend->addr);
	uint8_t head[PROXY2_MAX_OCTETS];
	struct io_pmtu *pmtu;
	size_t head_len;

	if (trace)
		trace_up_stateless(trace, up, somewhere ? backend : NULL, &ends.source);
	if (!somewhere) {
		stats_add(&path->stats.refused_up[up->pool->uid][REFUSED_NO_ADDRESS], 1);
		return;
	}
	if (up->listener->wildcard)
		memcpy(ends.destination.ip, up->datagram->local, sizeof ends.destination.ip);
	pmtu = pmtu_of(path, up, backend);
	ends.version = (uint8_t)version_for(path, up, backend->uid);
	head_len = proxy2_party_write(head, &party, &ends);
	io_queue(path->outbox,
		 &(struct io_send){
			 .handle = atomic_load_explicit(&path->pool_handles[up->pool->uid], memory_order_relaxed),
			 .head = head,
			 .head_len = head_len,
			 .data = up->datagram->data,
			 .len = up->datagram->len,
			 .to = backend->addr,
			 .pmtu = pmtu,
			 .stream = stream_of(head, head_len),
			 .queue = ERRORS_POOL | up->pool->uid,
			 .sent = &path->stats.sent_up[backend->uid],
			 .refused = &path->stats.refused_up[up->pool->uid][REFUSED_SEND],
		 });
}

static void tunnel_uplinks(struct path *path, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (uplink_routed_or_traced(path, &batch->up[i]))
			send_up(path, &batch->up[i]);
	cid_cache_tell(path, batch);
}

/* The listener of the pool at index `at` that has a service address, or STATS_LISTENERS. A listener on a wildcard
 * address has every address that no other listener has. Some of them this node may not hold. Then the kernel refuses to
 * send from them. */
static size_t listener_of(const struct table *table, uint16_t at, const struct addr *service)
{
	size_t found = STATS_LISTENERS;

	for (size_t i = 0; i < STATS_LISTENERS; i++) {
		const struct table_listener *listener = &table->listeners[i];

		if (listener->pool == TABLE_NONE || listener->addr.port != service->port)
			continue;
		if (addr_equal(&listener->addr, service))
			return listener->pool == at ? i : STATS_LISTENERS;
		if (listener->wildcard && listener->pool == at && addr_is_v4(&listener->addr) == addr_is_v4(service))
			found = i;
	}
	return found;
}

/* Who a reply comes from. */
struct sender {
	const struct table *table;
	uint16_t pool, backend; /* indexes; the backend may be SNAPSHOT_NO_BACKEND */
};

/* Sends one datagram of a backend to its device. Returns PROXY2_GOOD, or why it is dropped: an enum proxy2_result or an
 * enum tunnel_drop. */
static unsigned reply_take(struct path *path, const struct sender *sender, const uint8_t *data, size_t len)
{
	const struct table *table = sender->table;
	const struct snapshot_pool *pool = &table->snapshot->pools[sender->pool];
	const struct proxy2_party party = { &table->pools[sender->pool].tunnel_keys, PROXY2_DOWN, &path->tunnel_memo };
	struct proxy2_ends ends;
	size_t head_len, listener;
	enum proxy2_result result = proxy2_party_read(&ends, &head_len, &party, data, len);

	if (result != PROXY2_GOOD)
		return result;
	path_hear_version(path, pool->backends[sender->backend].uid, (enum proxy2_version)ends.version, now_s(path));
	listener = listener_of(table, sender->pool, &ends.source);
	if (listener == STATS_LISTENERS)
		return TUNNEL_SERVICE;
	hints_reply(path, &(struct hints_reply){ pool, pool->backends[sender->backend].uid, &ends.destination,
						 data + head_len, len - head_len, &table->pools[sender->pool] });
	stats_add(&path->stats.replies[pool->uid], 1);
	io_queue(path->outbox,
		 &(struct io_send){
			 .handle = atomic_load_explicit(&path->listener_handles[listener], memory_order_relaxed),
			 .data = data + head_len,
			 .len = len - head_len,
			 .to = ends.destination,
			 .local = table->listeners[listener].wildcard ? ends.source.ip : NULL,
			 .sent = &path->stats.sent_down[pool->backends[sender->backend].uid],
			 .refused = &path->stats.refused_down[pool->uid][REFUSED_SEND],
		 });
	return PROXY2_GOOD;
}

/* Takes apart the datagrams that came in one receive. */
static void receive_take(struct path *path, const struct table *table, uint16_t at, const struct io_datagram *received)
{
	const struct sender sender = { table, at,
				       backend_by_addr_find(table->pools[at].backend_by_addr, &received->from) };
	const uint16_t pool = table->snapshot->pools[at].uid;
	const size_t step = received->segment ? received->segment : received->len;
	size_t from = 0;

	/* At least once, because a datagram may be empty. */
	do {
		const size_t len = received->len - from < step ? received->len - from : step;
		unsigned drop = TUNNEL_OUTER_SOURCE;

		if (sender.backend != SNAPSHOT_NO_BACKEND)
			drop = reply_take(path, &sender, received->data + from, len);
		if (drop != PROXY2_GOOD)
			stats_add(&path->stats.tunnel_dropped[pool][drop], 1);
		from += step;
	} while (from < received->len);
}

static void tunnel_replies(struct path *path, struct replies *replies)
{
	for (size_t i = 0; i < replies->count; i++)
		if (!replies->taken[i])
			receive_take(path, replies->table, replies->pool, &replies->datagrams[i]);
}

static uint16_t tunnel_error(struct path *path, const struct undelivered *datagram)
{
	const struct table *table = datagram->table;
	const uint16_t at = datagram->pool;
	const uint16_t backend = backend_by_addr_find(table->pools[at].backend_by_addr, &datagram->error->to);

	(void)path;
	return backend == SNAPSHOT_NO_BACKEND ? backend : table->snapshot->pools[at].backends[backend].uid;
}

const struct forwarder forward_tunnel = {
	.own_socket = true,
	.recall = hints_recall,
	.hello_look = hints_hello_look,
	.hello_take = hints_hello_take,
	.uplinks = tunnel_uplinks,
	.replies = tunnel_replies,
	.error = tunnel_error,
};

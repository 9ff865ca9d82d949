/* Mode nat without a table (control/stateless.h). It looks up nothing but the backend, and remembers
 * nothing but the handshakes under way (hints.h). */
#include "path/forward.h"

#include "path/errors.h"
#include "path/hints.h"

static void send_up(struct path *path, const struct uplink *up)
{
	const struct snapshot_backend *backend = &up->pool->backends[up->decision->backend];
	const struct stateless *stateless = &up->settings->stateless;
	const bool somewhere = !addr_is_wildcard(&backend->addr);
	struct addr endpoint = { .port = stateless->port };
	struct trace_ring *trace = path_trace(path);

	embed_write(endpoint.ip, &stateless->embed, &up->datagram->from);
	if (trace)
		trace_up_stateless(trace, up, somewhere ? backend : NULL, &endpoint);
	if (!somewhere) {
		stats_add(&path->stats.refused_up[up->pool->uid][REFUSED_NO_ADDRESS], 1);
		return;
	}
	io_queue(path->outbox, &(struct io_send){
				       .handle = atomic_load_explicit(&path->endpoint_handles[IO_V6][endpoint.port],
								      memory_order_relaxed),
				       .data = up->datagram->data,
				       .len = up->datagram->len,
				       .to = backend->addr,
				       .local = endpoint.ip,
				       .queue = ERRORS_ENDPOINT | endpoint.port,
				       .sent = &path->stats.sent_up[backend->uid],
				       .refused = &path->stats.refused_up[up->pool->uid][REFUSED_SEND],
			       });
}

static void stateless_uplinks(struct path *path, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (uplink_routed_or_traced(path, &batch->up[i]))
			send_up(path, &batch->up[i]);
}

/* The two ends of a datagram: a backend of the pool, and the device that an endpoint of the pool was written for. */
struct ends {
	uint16_t backend; /* index, or SNAPSHOT_NO_BACKEND */
	bool checked;     /* the endpoint passes the check, and `device` is set; always false without a backend */
	struct addr device;
};

static void send_down(struct path *path, const struct table_pool *settings, const struct snapshot_pool *pool,
		      const struct io_datagram *reply, const struct ends *ends)
{
	hints_reply(path, &(struct hints_reply){ pool, pool->backends[ends->backend].uid, &ends->device, reply->data,
						 reply->len, settings });
	stats_add(&path->stats.replies[pool->uid], 1);
	io_queue(path->outbox,
		 &(struct io_send){
			 .handle = atomic_load_explicit(&path->listener_handles[settings->stateless.listener],
							memory_order_relaxed),
			 .data = reply->data,
			 .len = reply->len,
			 .to = ends->device,
			 .sent = &path->stats.sent_down[pool->backends[ends->backend].uid],
			 .refused = &path->stats.refused_down[pool->uid][REFUSED_SEND],
		 });
}

/* False: the endpoint is not in the pool's prefix. */
static bool ends_find(struct ends *ends, const struct table_pool *settings, const struct addr *endpoint,
		      const struct addr *backend)
{
	const struct stateless *stateless = &settings->stateless;

	if (!embed_contains(&stateless->embed, endpoint->ip))
		return false;
	ends->backend = backend_by_addr_find(settings->backend_by_addr, backend);
	ends->checked = ends->backend != SNAPSHOT_NO_BACKEND && endpoint->port == stateless->port &&
			embed_read(&ends->device, &stateless->embed, endpoint->ip);
	return true;
}

/* Pools may share a prefix. The reply belongs to the pool that has the backend, and whose check the endpoint passes. If
 * there is none it is not dropped here: a flow from before a reload may be on that endpoint. It is counted as dropped
 * if there is no such flow either. */
static void take_reply(struct path *path, struct replies *replies, size_t which)
{
	const struct table *table = replies->table;
	const struct io_datagram *reply = &replies->datagrams[which];
	stats_counter *dropped = NULL;

	for (size_t i = 0; i < table->stateless_count; i++) {
		const uint16_t at = table->stateless_pools[i];
		const struct snapshot_pool *pool = &table->snapshot->pools[at];
		struct ends ends;

		if (!ends_find(&ends, &table->pools[at], &replies->endpoints[which], &reply->from))
			continue;
		if (ends.checked) {
			send_down(path, &table->pools[at], pool, reply, &ends);
			replies->taken[which] = true;
			return;
		}
		if (ends.backend != SNAPSHOT_NO_BACKEND)
			dropped = &path->stats.stateless_dropped[pool->uid][STATELESS_CHECK];
		else if (!dropped)
			dropped = &path->stats.stateless_dropped[pool->uid][STATELESS_SOURCE];
	}
	if (dropped)
		replies->unclaimed[which] = dropped;
}

static void stateless_replies(struct path *path, struct replies *replies)
{
	for (size_t i = 0; replies->table->stateless_count > 0 && i < replies->count; i++)
		if (!replies->taken[i])
			take_reply(path, replies, i);
}

static uint16_t stateless_error(struct path *path, const struct undelivered *datagram)
{
	const struct table *table = datagram->table;

	(void)path;
	for (size_t i = 0; i < table->stateless_count; i++) {
		const uint16_t at = table->stateless_pools[i];
		struct ends ends;

		if (ends_find(&ends, &table->pools[at], &datagram->endpoint, &datagram->error->to) && ends.checked)
			return table->snapshot->pools[at].backends[ends.backend].uid;
	}
	return SNAPSHOT_NO_BACKEND;
}

const struct forwarder forward_nat_stateless = {
	.recall = hints_recall,
	.hello_look = hints_hello_look,
	.hello_take = hints_hello_take,
	.uplinks = stateless_uplinks,
	.replies = stateless_replies,
	.error = stateless_error,
};

#include "path/nat_stateless.h"

#include "path/errors.h"

void nat_stateless_uplink(struct worker *worker, const struct uplink *up)
{
	const struct snapshot_backend *backend = &up->pool->backends[up->decision->backend];
	const struct stateless *stateless = &up->settings->stateless;
	const bool somewhere = !addr_is_wildcard(&backend->addr);
	struct addr endpoint = { .port = stateless->port };
	struct trace_ring *trace = worker_trace(worker);

	embed_write(endpoint.ip, &stateless->embed, &up->datagram->from);
	if (trace)
		trace_up_stateless(trace, up, somewhere ? backend : NULL, &endpoint);
	if (!somewhere) {
		stats_add(&worker->stats.refused_up[up->pool->uid][REFUSED_NO_ADDRESS], 1);
		return;
	}
	io_queue(worker->outbox,
		 &(struct io_send){
			 .fd = atomic_load_explicit(&worker->endpoint_fds[IO_V6][endpoint.port], memory_order_relaxed),
			 .data = up->datagram->data,
			 .len = up->datagram->len,
			 .to = backend->addr,
			 .local = endpoint.ip,
			 .queue = ERRORS_ENDPOINT | endpoint.port,
			 .sent = &worker->stats.sent_up[backend->uid],
			 .refused = &worker->stats.refused_up[up->pool->uid][REFUSED_SEND],
		 });
}

static void send_down(struct worker *worker, const struct stateless *stateless, const struct snapshot_pool *pool,
		      uint16_t backend, const struct io_datagram *reply, const struct addr *device)
{
	stats_add(&worker->stats.replies[pool->uid], 1);
	io_queue(worker->outbox,
		 &(struct io_send){
			 .fd = atomic_load_explicit(&worker->listener_fds[stateless->listener], memory_order_relaxed),
			 .data = reply->data,
			 .len = reply->len,
			 .to = *device,
			 .sent = &worker->stats.sent_down[pool->backends[backend].uid],
			 .refused = &worker->stats.refused_down[pool->uid][REFUSED_SEND],
		 });
}

/* Who is at the two ends: a backend of the pool and a device that an endpoint of the pool was written for. */
struct ends {
	uint16_t backend; /* index, or SNAPSHOT_NO_BACKEND */
	bool checked;     /* `device` is set. Not looked at for others than backends */
	struct addr device;
};

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

/* Pools may share a prefix: it is the one whose backend and whose check it is. A flow on such an endpoint is of a time
 * before a reload. */
bool nat_stateless_reply(struct worker *worker, const struct table *table, const struct io_datagram *reply,
			 const struct addr *endpoint)
{
	stats_counter *dropped = NULL;

	for (size_t i = 0; i < table->stateless_count; i++) {
		const uint16_t at = table->stateless_pools[i];
		const struct snapshot_pool *pool = &table->snapshot->pools[at];
		struct ends ends;

		if (!ends_find(&ends, &table->pools[at], endpoint, &reply->from))
			continue;
		if (ends.checked) {
			send_down(worker, &table->pools[at].stateless, pool, ends.backend, reply, &ends.device);
			return true;
		}
		if (ends.backend != SNAPSHOT_NO_BACKEND)
			dropped = &worker->stats.stateless_dropped[pool->uid][STATELESS_CHECK];
		else if (!dropped)
			dropped = &worker->stats.stateless_dropped[pool->uid][STATELESS_SOURCE];
	}
	if (!dropped || flows_find_end(worker->flows, endpoint, &reply->from))
		return false;
	stats_add(dropped, 1);
	return true;
}

uint16_t nat_stateless_error(const struct table *table, const struct icmp_error *error, const struct addr *endpoint)
{
	for (size_t i = 0; i < table->stateless_count; i++) {
		const uint16_t at = table->stateless_pools[i];
		struct ends ends;

		if (ends_find(&ends, &table->pools[at], endpoint, &error->to) && ends.checked)
			return table->snapshot->pools[at].backends[ends.backend].uid;
	}
	return SNAPSHOT_NO_BACKEND;
}

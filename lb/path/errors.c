#include "path/errors.h"

#include "io/icmp.h"
#include "path/forward.h"

enum { BATCHES = 8 /* per handle and call */ };

/* The uid of the backend that a datagram was for, or SNAPSHOT_NO_BACKEND. */
static uint16_t backend_of(struct path *path, const struct undelivered *datagram)
{
	uint16_t backend = SNAPSHOT_NO_BACKEND;

	if (datagram->pool != TABLE_NONE)
		return datagram->table->pools[datagram->pool].forwarder->error(path, datagram);
	for (const struct forwarder *const *at = forward_at_endpoints; backend == SNAPSHOT_NO_BACKEND && *at; at++)
		backend = (*at)->error(path, datagram);
	return backend;
}

/* Of the pools of mode dsr, the first that has the backend. */
static uint16_t backend_of_bare(struct path *path, struct undelivered *datagram)
{
	uint16_t backend = SNAPSHOT_NO_BACKEND;

	for (size_t i = 0; backend == SNAPSHOT_NO_BACKEND && i < datagram->table->snapshot->pool_count; i++) {
		datagram->pool = (uint16_t)i;
		if (datagram->table->pools[i].forwarder == &forward_dsr)
			backend = forward_dsr.error(path, datagram);
	}
	return backend;
}

/* True: a reload has since taken the pool, or its socket. */
static bool is_gone(const struct table *table, uint16_t at)
{
	return at == TABLE_NONE || !table->pools[at].forwarder->own_socket;
}

static void error_take(struct path *path, const struct table *table, uint32_t queue, const struct icmp_error *error)
{
	struct undelivered datagram = { .table = table, .error = error, .pool = TABLE_NONE };
	uint16_t backend = SNAPSHOT_NO_BACKEND;

	if (queue == ERRORS_BARE) {
		backend = backend_of_bare(path, &datagram);
	} else if (queue & ERRORS_POOL) {
		datagram.pool = table->pool_of_uid[(uint16_t)queue];
	} else {
		datagram.endpoint.port = (uint16_t)queue;
		memcpy(datagram.endpoint.ip, error->local, sizeof datagram.endpoint.ip);
	}
	if (queue != ERRORS_BARE && (!(queue & ERRORS_POOL) || !is_gone(table, datagram.pool)))
		backend = backend_of(path, &datagram);
	if (backend == SNAPSHOT_NO_BACKEND) {
		stats_add(&path->stats.strays, 1);
		return;
	}
	stats_add(&path->stats.icmp_errors[backend], 1);
	if (!error->too_big)
		icmp_alarm_ring(path->alarm, backend, path->now_ms);
}

size_t errors_drain(struct path *path, const struct table *table, uint32_t queue, int handle)
{
	struct icmp_error *errors;
	size_t all = 0;
	bool more = true;

	for (unsigned batch = 0; more && batch < BATCHES; batch++) {
		size_t count = path->io->ops->errors(path->io, handle, &errors, &more);

		for (size_t i = 0; i < count; i++)
			error_take(path, table, queue, &errors[i]);
		all += count;
	}
	return all;
}

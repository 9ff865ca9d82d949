#include "path/errors.h"

#include "flows/flows.h"
#include "io/icmp.h"
#include "path/nat_stateless.h"

enum { BATCHES = 8 /* per socket and round */ };

/* The backend (stable number) that a datagram from `endpoint` was for, or SNAPSHOT_NO_BACKEND. */
static uint16_t endpoint_backend(struct worker *worker, const struct table *table, uint16_t port,
				 const struct icmp_error *error)
{
	struct addr endpoint = { .port = port };
	struct flow *flow;
	uint16_t backend;

	memcpy(endpoint.ip, error->local, sizeof endpoint.ip);
	flow = flows_find_end(worker->flows, &endpoint, &error->to);
	if (!flow || !flow_lock(flow))
		return nat_stateless_error(table, error, &endpoint);
	backend = flow->backend;
	flow_unlock(flow);
	return backend;
}

/* The same of one that left through a tunnel. A reload may have taken the pool, or its tunnel, since. */
static uint16_t tunnel_backend(const struct table *table, uint16_t pool, const struct icmp_error *error)
{
	const uint16_t at = table->pool_of_uid[pool];
	uint16_t backend;

	if (at == TABLE_NONE || table->pools[at].forward != TABLE_TUNNEL)
		return SNAPSHOT_NO_BACKEND;
	backend = backend_by_addr_find(table->pools[at].backend_by_addr, &error->to);
	return backend == SNAPSHOT_NO_BACKEND ? backend : table->snapshot->pools[at].backends[backend].uid;
}

static void error_take(struct worker *worker, const struct table *table, uint32_t queue, const struct icmp_error *error)
{
	const uint16_t number = (uint16_t)queue;
	const uint16_t backend = queue & ERRORS_TUNNEL ? tunnel_backend(table, number, error)
						       : endpoint_backend(worker, table, number, error);

	if (backend == SNAPSHOT_NO_BACKEND) {
		stats_add(&worker->stats.strays, 1);
		return;
	}
	stats_add(&worker->stats.icmp_errors[backend], 1);
	if (!error->too_big)
		icmp_alarm_ring(worker->alarm, backend, worker->now_ms);
}

size_t errors_drain(struct worker *worker, const struct table *table, uint32_t queue, int fd)
{
	struct icmp_error *errors;
	size_t all = 0;
	bool more = true;

	for (unsigned batch = 0; more && batch < BATCHES; batch++) {
		size_t count = icmp_receive(worker->errors, fd, &errors, &more);

		for (size_t i = 0; i < count; i++)
			error_take(worker, table, queue, &errors[i]);
		all += count;
	}
	return all;
}

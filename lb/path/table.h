/* What workers read, as one immutable value, and its publication: exchange the pointer, wait for a grace period, free
 * the old one.
 *
 * Owner: the control thread. A worker loads the pointer once per batch and keeps nothing of it over a quiescent state.
 */
#ifndef CIDLB_PATH_TABLE_H
#define CIDLB_PATH_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/stats.h"
#include "common/embed.h"
#include "common/endpoint.h"
#include "common/limit.h"
#include "common/ownership.h"
#include "common/proxy2.h"
#include "common/snapshot.h"
#include "io/io.h"
#include "io/port_sockets.h"
#include "path/backend_by_addr.h"

#define TABLE_NONE UINT16_MAX

struct forwarder; /* forward.h */

/* Mode nat without a table: what a pool has instead of flows (nat_stateless.c). */
struct stateless {
	struct embed embed;
	uint16_t port;     /* of all endpoints */
	uint16_t listener; /* stable number */
};

/* How a pool forwards, and how much; beside snapshot->pools[i]. */
struct table_pool {
	const struct forwarder *forwarder;
	struct ownership_times times;
	struct endpoint_space space;
	bool single;                             /* the space is of single addresses: `ports` */
	struct port_sockets *ports[IO_FAMILIES]; /* of a single source address; NULL: the sources are prefixes */
	struct siphash_key endpoint_key;         /* of its CIDs */
	struct limit_rates hello_rates;
	struct backend_by_addr *backend_by_addr; /* forwarders with flows: NULL */
	struct stateless stateless;              /* forward_nat_stateless */
	struct proxy2_keys tunnel_keys;          /* forward_tunnel */
};

struct table_listener {
	uint16_t pool; /* index; TABLE_NONE: no such listener */
	bool wildcard;
	struct addr addr;
	struct siphash_key endpoint_key; /* of its sources */
};

struct table {
	struct snapshot *snapshot;
	struct table_pool pools[STATS_POOLS];  /* by index */
	uint16_t pool_of_uid[STATS_POOLS];     /* index, or TABLE_NONE */
	uint16_t stateless_pools[STATS_POOLS]; /* indices of those of forward_nat_stateless */
	size_t stateless_count;
	struct table_listener listeners[STATS_LISTENERS]; /* by stable number */
};

void table_free(struct table *table);

/* Those of a single source address that have this serial number; NULL: they are not of this table. */
const struct port_sockets *table_ports(const struct table *table, uint64_t serial);

struct publisher {
	_Atomic(struct table *) current;
};

static inline const struct table *publisher_read(struct publisher *publisher)
{
	return atomic_load_explicit(&publisher->current, memory_order_acquire);
}

/* A grace period: what no worker can find any more is used by none once this returns. Control thread. */
void publisher_wait(struct publisher *publisher);

/* Control thread; returns once no worker reads the old table any more, and frees it. */
void publisher_publish(struct publisher *publisher, struct table *table);

#endif

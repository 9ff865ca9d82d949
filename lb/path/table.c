#include "path/table.h"

#include <stdlib.h>
#include <string.h>

#include <urcu-qsbr.h>

#include "base/tsan.h"

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < STATS_POOLS; i++) {
		for (size_t family = 0; family < IO_FAMILIES; family++)
			port_sockets_drop(table->pools[i].ports[family]);
		backend_by_addr_free(table->pools[i].backend_by_addr);
		learned_servers_free(table->pools[i].learned);
		learned_servers_free(table->pools[i].sessions);
		free(table->pools[i].hops);
	}
	backend_ifaces_free(table->ifaces);
	/* Both hold keys. */
	explicit_bzero(&table->snapshot->key, sizeof table->snapshot->key);
	snapshot_free(table->snapshot);
	explicit_bzero(table, sizeof *table);
	free(table);
}

const struct port_sockets *table_ports(const struct table *table, uint64_t serial)
{
	for (size_t i = 0; i < table->snapshot->pool_count; i++)
		for (size_t family = 0; family < IO_FAMILIES; family++)
			if (table->pools[i].ports[family] &&
			    port_sockets_serial(table->pools[i].ports[family]) == serial)
				return table->pools[i].ports[family];
	return NULL;
}

void publisher_wait(struct publisher *publisher)
{
	synchronize_rcu();
	tsan_acquire(publisher);
}

void publisher_publish(struct publisher *publisher, struct table *table)
{
	struct table *old = atomic_exchange_explicit(&publisher->current, table, memory_order_acq_rel);

	publisher_wait(publisher);
	table_free(old);
}

#include "control/flow_home.h"

static bool home_find(const void *ctx, const struct flow *flow, struct flow_home *home)
{
	const struct table *table = ctx;
	const uint16_t at = table->pool_of_uid[flow->pool];
	const struct snapshot_pool *pool = at == TABLE_NONE ? NULL : &table->snapshot->pools[at];
	struct server_id id;
	uint16_t backend;

	if (!pool)
		return false;
	if (flow_has_session(flow) && cid_open_octets(&id, &pool->layout, flow->cid, flow->cid_len) == CID_OPENED)
		backend = snapshot_backend_of_id(pool, &id);
	else
		backend = snapshot_backend_of_uid(pool, flow->backend);
	if (backend == SNAPSHOT_NO_BACKEND || addr_is_wildcard(&pool->backends[backend].addr))
		return false;
	*home = (struct flow_home){ pool->backends[backend].uid, pool->backends[backend].addr };
	return true;
}

size_t flow_home_follow(struct flows *flows, const struct table *table)
{
	const struct flows_homes homes = { table->snapshot->homes_digest, home_find, table };

	return flows_rehome(flows, &homes);
}

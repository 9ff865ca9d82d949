#include "control/control_priv.h"
#include "control/uids_in_use.h"

/* What the control thread itself knows by number. */
static void forget(struct control *control, const struct recycle *used)
{
	for (size_t i = 0; i < STATS_POOLS; i++) {
		if (used->pools[i])
			continue;
		claims_free(&control->pools[i].claims);
		control->pools[i] = (struct control_pool){ 0 };
	}
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		if (!used->listeners[i])
			control->listeners[i] = (struct control_listener){ 0 };
	for (size_t i = 0; i < STATS_BACKENDS; i++)
		if (!used->backends[i])
			control->backends[i] = (struct control_backend){ 0 };
}

static void keep_owners(struct recycle *used, const struct control *control)
{
	for (size_t i = 0; i < STATS_POOLS; i++)
		for (size_t j = 0; used->pools[i] && j < control->pools[i].claims.count; j++)
			if (control->pools[i].claims.entries[j].owner != CLAIMS_NOBODY)
				used->backends[control->pools[i].claims.entries[j].owner] = true;
}

void control_recycle(struct control *control)
{
	struct recycle used = { 0 };

	recycle_keep_plan(&used, &control->plan, control->listener_uids,
			  control->conf ? control->conf->listener_count : 0);
	recycle_keep_flows(&used, control->flows, control->services, worker_clock_ms());
	keep_owners(&used, control);
	forget(control, &used);
	recycle_clear_flows(&used, control->flows);
	recycle_clear_limit(&used, control->limit);
	for (unsigned i = 0; i < control->worker_count; i++)
		recycle_clear_worker(&used, control->workers[i]);
	registry_take_back(control->listener_addrs, used.listeners);
	registry_take_back(control->pool_names, used.pools);
	registry_take_back(control->backend_names, used.backends);
}

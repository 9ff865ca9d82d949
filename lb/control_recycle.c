#include "control_priv.h"
#include "recycle.h"

/* What the control thread itself knows by number; of a backend it is set anew when one begins to run. */
static void forget(struct control *control, const struct recycle *used)
{
	struct control_watch *watch = &control->watch;

	for (size_t i = 0; i < STATS_POOLS; i++) {
		if (used->pools[i])
			continue;
		claims_free(&control->claims[i]);
		control->id_moves[i] = 0;
		control->id_lines[i] = (struct quota){ 0 };
		watch->flows[i] = watch->evicted[i] = watch->sends[i] = (struct shortage){ 0 };
	}
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		if (!used->listeners[i])
			watch->drops[i] = (struct shortage){ 0 };
}

static void keep_owners(struct recycle *used, const struct control *control)
{
	for (size_t i = 0; i < STATS_POOLS; i++)
		for (size_t j = 0; used->pools[i] && j < control->claims[i].count; j++)
			if (control->claims[i].entries[j].owner != CLAIMS_NOBODY)
				used->backends[control->claims[i].entries[j].owner] = true;
}

void control_recycle(struct control *control)
{
	struct recycle used = { 0 };

	recycle_keep_plan(&used, &control->plan, control->listener_uids, control->conf ? control->conf->listener_count : 0);
	recycle_keep_flows(&used, control->flows, control->services, worker_clock_ms());
	keep_owners(&used, control);
	forget(control, &used);
	recycle_clear_flows(&used, control->flows);
	for (unsigned i = 0; i < control->worker_count; i++)
		recycle_clear_worker(&used, control->workers[i]);
	registry_take_back(control->listener_addrs, used.listeners);
	registry_take_back(control->pool_names, used.pools);
	registry_take_back(control->backend_names, used.backends);
}

#include "control/reclaim.h"

#include "control/state.h"

/* Forgets what the control thread itself knows by number. */
static void forget(struct control *control, const struct uids_in_use *used)
{
	for (size_t i = 0; i < STATS_POOLS; i++) {
		if (used->pools[i])
			continue;
		claims_free(&control->pools[i].claims);
		for (enum learned_kind kind = 0; kind < LEARNED_KINDS; kind++)
			learned_table_free(control->pools[i].learned[kind]);
		control->pools[i] = (struct control_pool){ 0 };
	}
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		if (!used->listeners[i])
			control->listeners[i] = (struct control_listener){ 0 };
	for (size_t i = 0; i < STATS_BACKENDS; i++)
		if (!used->backends[i])
			control->backends[i] = (struct control_backend){ 0 };
}

static void keep_owners(struct uids_in_use *used, const struct control *control)
{
	for (size_t i = 0; i < STATS_POOLS; i++)
		for (size_t j = 0; used->pools[i] && j < control->pools[i].claims.count; j++)
			if (control->pools[i].claims.entries[j].owner != CLAIMS_NOBODY)
				used->backends[control->pools[i].claims.entries[j].owner] = true;
}

void reclaim_numbers(struct control *control)
{
	struct uids_in_use used = { 0 };

	uids_in_use_keep_table(&used, &control->spec, control->listener_uids,
			       control->conf ? control->conf->listener_count : 0);
	uids_in_use_keep_flows(&used, control->flows, control->service_addrs, worker_clock_ms());
	keep_owners(&used, control);
	forget(control, &used);
	uids_in_use_clear_flows(&used, control->flows);
	uids_in_use_clear_limit(&used, control->limit);
	uids_in_use_clear_allowances(&used, control->allowances);
	for (unsigned i = 0; i < control->worker_count; i++)
		uids_in_use_clear_worker(&used, control->workers[i]);
	if (control->beside.forget)
		control->beside.forget(control->beside.ctx, &used);
	numbers_take_back(&control->numbers, &used);
}

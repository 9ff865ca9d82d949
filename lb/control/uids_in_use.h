/* Which stable numbers (uids.h) are no longer in use, and what was counted under them. Control thread.
 *
 * Numbers are only taken back when they run out, and then all at once. What is still used is marked. Within a grace
 * period the last worker forgets the rest. Until a table with such a number is published again, nobody counts anything
 * under it. So the counts can be cleared, and a name never inherits those of another.
 */
#ifndef CIDLB_CONTROL_UIDS_IN_USE_H
#define CIDLB_CONTROL_UIDS_IN_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/allowance.h"
#include "common/limit.h"
#include "control/table_spec.h"
#include "flows/flows.h"
#include "path/service_addrs.h"
#include "path/worker.h"

/* True if in use, by number. */
struct uids_in_use {
	bool listeners[STATS_LISTENERS], pools[STATS_POOLS], backends[STATS_BACKENDS];
};

/* Marks the numbers of the published table, which is made of this spec. */
void uids_in_use_keep_table(struct uids_in_use *used, const struct table_spec *spec, const uint16_t *listener_uids,
			    size_t listener_count);

/* Marks the numbers of live flows: their pools, backends, and the listeners through which they answer. Ends the flows
 * that are over first. Returns after a grace period. It reads the whole table and is in the way of every worker, so it
 * is for rare moments. The thread is off-line. */
void uids_in_use_keep_flows(struct uids_in_use *used, struct flows *flows, const struct service_addrs *service_addrs,
			    uint32_t now_ms);

/* Called once everything in use is marked. They clear what was counted under the other numbers. */
void uids_in_use_clear_flows(const struct uids_in_use *used, struct flows *flows);
void uids_in_use_clear_limit(const struct uids_in_use *used, struct limit *limit);
void uids_in_use_clear_allowances(const struct uids_in_use *used, struct allowances *allowances);
void uids_in_use_clear_worker(const struct uids_in_use *used, struct worker *worker);

#endif

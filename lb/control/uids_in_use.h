/* Which stable numbers (uids.h) nobody bears any more, and what has gathered under them. Control thread.
 *
 * Numbers are only taken back when they run out, then all at once: mark what is still used, in a grace period the last
 * worker forgets the rest, and until a table with a number is published again nobody writes what is counted under it.
 * So it can be cleared, and a name never inherits the counts of another.
 */
#ifndef CIDLB_CONTROL_UIDS_IN_USE_H
#define CIDLB_CONTROL_UIDS_IN_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limit.h"
#include "control/table_spec.h"
#include "flows/flows.h"
#include "path/service_addrs.h"
#include "path/worker.h"

/* Used, by number. */
struct uids_in_use {
	bool listeners[STATS_LISTENERS], pools[STATS_POOLS], backends[STATS_BACKENDS];
};

/* The published table, made of this spec. */
void uids_in_use_keep_table(struct uids_in_use *used, const struct table_spec *spec, const uint16_t *listener_uids,
			    size_t listener_count);

/* What live flows bear: their pools, backends, and the listeners through which they answer. Ends those that are over
 * first, and returns after a grace period. The whole table, with every worker in its way: for the rare moment. From a
 * thread that is off-line. */
void uids_in_use_keep_flows(struct uids_in_use *used, struct flows *flows, const struct service_addrs *service_addrs,
			    uint32_t now_ms);

/* Once all that is used is marked: begins anew what is counted under the other numbers. */
void uids_in_use_clear_flows(const struct uids_in_use *used, struct flows *flows);
void uids_in_use_clear_limit(const struct uids_in_use *used, struct limit *limit);
void uids_in_use_clear_worker(const struct uids_in_use *used, struct worker *worker);

#endif

/* Which backend and address a flow should lead to, according to a table: its home. The flow of a session should lead to
 * the backend that owns the server id of its CID now. Any other flow should lead to its own backend, at the address
 * that this backend has now. While that backend has no address, the flow has no home and stays as it is. Control
 * thread. */
#ifndef CIDLB_CONTROL_FLOW_HOME_H
#define CIDLB_CONTROL_FLOW_HOME_H

#include "flows/flows_rehome.h"
#include "path/table.h"

/* Leads every flow home (flows_rehome.h), as `table` says, which is published. Returns how many flows moved. The thread
 * is a registered reader. */
size_t flow_home_follow(struct flows *flows, const struct table *table);

#endif

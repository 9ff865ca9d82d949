/* Where a flow is at home, according to a table. A session is at home at the backend that owns the server id of its CID
 * now. Any other flow is at home at the address of its own backend. A backend without an address is nobody's home.
 * Control thread. */
#ifndef CIDLB_CONTROL_FLOW_HOME_H
#define CIDLB_CONTROL_FLOW_HOME_H

#include "flows/flows_rehome.h"
#include "path/table.h"

/* Calls flows_rehome() with `table`, which is published. Returns how many flows moved. The thread is a registered
 * reader. */
size_t flow_home_follow(struct flows *flows, const struct table *table);

#endif

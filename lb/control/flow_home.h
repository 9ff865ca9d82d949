/* Where a flow is at home by a table: a session's with who owns the server id of its CID now, any other's at the
 * address of its own backend. A backend that has no address is nobody's home. */
#ifndef CIDLB_CONTROL_FLOW_HOME_H
#define CIDLB_CONTROL_FLOW_HOME_H

#include "flows/flows_rehome.h"
#include "path/table.h"

/* flows_rehome() by `table`, which is published. */
size_t flow_home_follow(struct flows *flows, const struct table *table);

#endif

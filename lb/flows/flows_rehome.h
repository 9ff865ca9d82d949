/* Flows follow their backends: to another address, or with their server id to another backend. */
#ifndef CIDLB_FLOWS_REHOME_H
#define CIDLB_FLOWS_REHOME_H

#include "flows/flows.h"
#include "path/table.h"

/* Leads every live flow to where `table`, which is published, has its backend: a session's to who owns the server id of
 * its CID now, any other to its own backend's address. So what a successor says first passes, though the device behind
 * the flow sleeps. Keys, endpoints and all else stay as they are. Flows of ids and backends that the table does not
 * know are left alone; those whose endpoint is another's there already, or of the other family, end.
 *
 * Where nothing is somewhere else than at the last call, it returns at once. Else it walks all flows; if any is to
 * move, waits for a grace period, in which nobody's replies find those, and walks once more. Never holds more than one
 * flow. Control thread, a registered reader. Returns how many moved. */
size_t flows_rehome(struct flows *flows, const struct table *table);

#endif

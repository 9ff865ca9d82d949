/* Flows of a table that is no more, put into a new one. Control thread. */
#ifndef CIDLB_FLOWS_RESTORE_H
#define CIDLB_FLOWS_RESTORE_H

#include "flows/flows.h"

/* Tells apart versions of what a flow is in memory. Only what has the same layout can be read as a flow. */
uint64_t flows_layout(void);

/* True: every member has a value that it can have, so that the flow may be restored. Numbers of pools, backends and
 * services are the caller's. */
bool flows_is_sound(const struct flow *image);

/* Calls `visit` for each pair of an address and a service that the image has. `many` are its places if it has many
 * (ownership.h); else NULL. */
void flows_visit_pairs(struct flow *image, struct ownership_place *many,
		       void (*visit)(void *ctx, struct ownership_pair *pair), void *ctx);

/* Makes a flow that is as `image` was. Its numbers are those of this table now. What a handshake under way has shown of
 * its ClientHello is forgotten, because that was hashed with another secret. Those of class handshake come last: others
 * pass through it on their way. False: there is no room, or another flow has its key or endpoint. As a registered
 * reader; no worker runs. */
bool flows_restore(struct flows *flows, const struct flow *image, const struct ownership_place *many, uint32_t now_ms);

#endif

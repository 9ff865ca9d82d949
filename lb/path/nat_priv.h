/* Mode nat from inside: shared by nat*.c. */
#ifndef CIDLB_PATH_NAT_PRIV_H
#define CIDLB_PATH_NAT_PRIV_H

#include "path/forward.h"

/* What the flow of a source is found by (flows_prefetch_keys()), for nat_hint(). */
uint32_t nat_hash_source(const struct path *path, const struct uplink *up);

/* The same for what a routed datagram looks for first; `session`: by which kind of flow the pool keeps sessions. Of a
 * datagram that is not routed by CID it is that of its source. */
uint32_t nat_hash(const struct path *path, const struct uplink *up, enum flow_kind session);

/* The backend (stable number) of the source's live flow, or ROUTE_NO_HINT. `up` needs no decision, but its
 * flow_hash. */
uint16_t nat_hint(struct path *path, const struct uplink *up);

/* Queue a routed datagram to its backend, or count it as refused. */
void nat_address_uplink(struct path *path, const struct uplink *up); /* without CID */
void nat_follow_uplink(struct path *path, const struct uplink *up);  /* rebind = "follow" */
void nat_backend_uplink(struct path *path, const struct uplink *up); /* rebind = "backend" */

/* Counts and traces what is refused. */
void nat_refuse_up(struct path *path, const struct uplink *up, enum refused reason);

/* forwarder.replies: to everybody who gets one (ownership.h). */
void nat_replies(struct path *path, struct replies *replies);

#endif

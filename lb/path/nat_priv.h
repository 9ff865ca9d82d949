/* Mode nat from inside: what nat*.c share. */
#ifndef CIDLB_PATH_NAT_PRIV_H
#define CIDLB_PATH_NAT_PRIV_H

#include "path/forward.h"

/* The hash that finds the flow of a source (flows_prefetch_keys()), for nat_hint(). */
uint32_t nat_hash_source(const struct path *path, const struct uplink *up);

/* The hash that finds the flow of a routed datagram. `session` is the kind of flow that the pool keeps sessions in. A
 * datagram that was not routed by its CID has the hash of its source. */
uint32_t nat_hash(const struct path *path, const struct uplink *up, enum flow_kind session);

/* The uid of the backend that the source's live flow leads to, or ROUTE_NO_HINT. `up` must have its flow_hash, and
 * needs no decision. */
uint16_t nat_hint(struct path *path, const struct uplink *up);

/* Each of these queues a routed datagram to its backend, or counts it as refused. */
void nat_address_uplink(struct path *path, const struct uplink *up); /* without a CID */
void nat_follow_uplink(struct path *path, const struct uplink *up);  /* rebind = "follow" */
void nat_backend_uplink(struct path *path, const struct uplink *up); /* rebind = "backend" */

/* Counts and traces a datagram that is refused. */
void nat_refuse_up(struct path *path, const struct uplink *up, enum refused reason);

/* forwarder.replies. A reply goes to every address that gets one (ownership.h). */
void nat_replies(struct path *path, struct replies *replies);

#endif

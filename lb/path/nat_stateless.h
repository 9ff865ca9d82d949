/* Mode nat without a table, on the packet path (stateless.h). No allocation, no look-up but of the backend, no log. */
#ifndef CIDLB_PATH_NAT_STATELESS_H
#define CIDLB_PATH_NAT_STATELESS_H

#include <stdbool.h>

#include "io/icmp.h"
#include "path/forward.h"

/* Queues a routed datagram of a pool that has no table, or counts it as refused. */
void nat_stateless_uplink(struct worker *worker, const struct uplink *up);

/* A datagram arrived on `endpoint`: queues it to the device, or counts why not. False: it is of no pool without a
 * table. */
bool nat_stateless_reply(struct worker *worker, const struct table *table, const struct io_datagram *reply,
			 const struct addr *endpoint);

/* An ICMP error about a datagram that left from `endpoint`: the backend that it was for (stable number), or
 * SNAPSHOT_NO_BACKEND. */
uint16_t nat_stateless_error(const struct table *table, const struct icmp_error *error, const struct addr *endpoint);

#endif

/* Flows follow their backends: to another address, or with their server id to another backend. */
#ifndef CIDLB_FLOWS_REHOME_H
#define CIDLB_FLOWS_REHOME_H

#include "flows/flows.h"

/* Where a flow should lead. */
struct flow_home {
	uint16_t backend; /* uid */
	struct addr addr;
};

/* Says where flows are at home. */
struct flows_homes {
	uint64_t digest; /* changes as soon as any flow may have another home */
	/* Called with the flow's lock held. False: no home is known. */
	bool (*find)(const void *ctx, const struct flow *flow, struct flow_home *home);
	const void *ctx;
};

/* True: its CID says whose it is. The lock is held. A flow of an address has a session once its handshake is over. A
 * later ClientHello does not change that, because anybody can send one. */
bool flow_has_session(const struct flow *flow);

/* Leads every live flow home. So what a successor says first passes, even while the device behind the flow sleeps.
 * Keys, endpoints and all else stay as they are. Flows without a known home are left alone. A flow ends if another flow
 * has its endpoint there already, or if its home is of the other family.
 *
 * With the digest of the last call it returns at once. Else it walks all flows. If any is to move, it waits for a grace
 * period, in which no replies find those flows, and walks once more. It never holds more than one flow. Control thread,
 * as a registered reader. Returns how many flows moved.
 */
size_t flows_rehome(struct flows *flows, const struct flows_homes *homes);

#endif

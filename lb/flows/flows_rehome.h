/* Flows follow their backends: to another address, or with their server id to another backend. */
#ifndef CIDLB_FLOWS_REHOME_H
#define CIDLB_FLOWS_REHOME_H

#include "flows/flows.h"

/* Where a flow should lead. */
struct flow_home {
	uint16_t backend; /* stable number */
	struct addr addr;
};

/* Who says where flows are at home. */
struct flows_homes {
	uint64_t digest; /* another one as soon as any flow may be at home somewhere else */
	/* The flow's lock is held. False: no home is known. */
	bool (*find)(const void *ctx, const struct flow *flow, struct flow_home *home);
	const void *ctx;
};

/* Does its CID say whose it is? With the lock held. A flow of an address has a session once its handshake is over,
 * whatever ClientHello came since, as anybody can send one. */
bool flow_has_session(const struct flow *flow);

/* Leads every live flow home, so that what a successor says first passes, though the device behind the flow sleeps.
 * Keys, endpoints and all else stay as they are. Flows whose home is not known are left alone. Those whose endpoint is
 * another's there already, or of the other family, end.
 *
 * With the digest of the last call it returns at once. Else it walks all flows; if any is to move, waits for a grace
 * period, in which nobody's replies find those, and walks once more. Never holds more than one flow. Control thread, a
 * registered reader. Returns how many moved. */
size_t flows_rehome(struct flows *flows, const struct flows_homes *homes);

#endif

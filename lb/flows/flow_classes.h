/* Which flows may be, and which must go: the classes of one pool's flows.
 *
 *   handshake  nothing has shown yet that its device is there. At most max_flows / FLOW_HANDSHAKE_PART of them, beside
 *              the others
 *   address    a session without a CID. Plain UDP: it had two answered round trips
 *   cid        a session that its backend has answered at its endpoint
 *
 * At most max_flows are in the last two together. A full class gives up the flow that was silent longest. It takes none
 * from another while it has one of its own, but class address gives way while it has more than half. So whoever has no
 * credentials can only end what is in class handshake. There those go first whose handshake is unfinished. While the
 * class is over half full, a prefix (IPv4 /24, IPv6 /56) has at most half of what is free for unfinished ones, and a
 * little in any case (FLOW_PREFIX_LEAST); beyond that its own oldest goes first (dynamic thresholds: Choudhury, Hahne,
 * 1998).
 *
 * Of a large class only FLOW_CLASS_SAMPLE flows, chosen at random, are compared to find the one that was silent
 * longest.
 *
 * Guarded by the lock of the arena, which is taken when a flow is made, changes its class or ends, and never for a
 * datagram of a known flow.
 */
#ifndef CIDLB_FLOWS_FLOW_CLASSES_H
#define CIDLB_FLOWS_FLOW_CLASSES_H

#include <stddef.h>
#include <stdint.h>

enum flow_class { FLOW_CLASS_HANDSHAKE, FLOW_CLASS_ADDRESS, FLOW_CLASS_CID, FLOW_CLASSES };

enum {
	FLOW_HANDSHAKE_PART = 8, /* of max_flows */
	FLOW_PREFIX_LEAST = 2,   /* what a prefix has in any case, … */
	FLOW_PREFIX_PART = 64,   /* … and so much of class handshake more */
	FLOW_CLASS_SAMPLE = 64,
};

#define FLOW_CLASS_NONE UINT32_MAX

/* "handshake", "address", "cid": as in metrics. */
const char *flow_class_name(enum flow_class class);

struct flow;
struct flow_arena;
struct flow_prefix;
struct flow_handshake;

/* The most handshake flows of a pool with `max_flows`. */
static inline uint32_t flow_handshakes_most(uint32_t max_flows)
{
	return max_flows / FLOW_HANDSHAKE_PART + (max_flows % FLOW_HANDSHAKE_PART != 0);
}

struct flow_classes {
	const struct flow_arena *arena;
	uint32_t most; /* max_flows */
	uint32_t counts[FLOW_CLASSES];
	uint64_t seed;     /* of what is chosen at random */
	uint32_t *members; /* numbers of flows: class cid from the front, class address from the back */
	uint32_t members_size;
	struct flow_handshake *handshakes;
	struct flow_prefix *prefixes; /* as many as handshakes; those in use are found by `buckets` */
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t prefix_free; /* a list */
	uint32_t prefix_used; /* those from here on were never taken */
};

/* No flow may be yet. */
void flow_classes_init(struct flow_classes *classes, const struct flow_arena *arena);
void flow_classes_destroy(struct flow_classes *classes);

/* Changes max_flows, and makes room for it. Flows beyond it go one by one, as others come. -ENOMEM: it is as before.
 * The lock is held. */
int flow_classes_limit(struct flow_classes *classes, uint32_t max_flows);

/* Takes in a new flow, in class handshake. `prefix` is a hash of its source's prefix. Returns the flow that must end
 * for it, which is in no class any more, or NULL. The lock is held. */
struct flow *flow_classes_add(struct flow_classes *classes, struct flow *flow, uint64_t prefix, uint32_t now_ms);

/* The flow's handshake is finished: others of its class end first. Does nothing in another class. The lock is held. */
void flow_classes_finish(struct flow_classes *classes, struct flow *flow);

/* Takes a flow out of class handshake that must end, because something else than flows has run out. NULL: there is
 * none. The lock is held. */
struct flow *flow_classes_give_way(struct flow_classes *classes, uint32_t now_ms);

/* Moves a flow into another class than handshake. Returns as flow_classes_add(). A flow that is in no class stays
 * there. The lock is held. */
struct flow *flow_classes_move(struct flow_classes *classes, struct flow *flow, enum flow_class to, uint32_t now_ms);

/* The flow ends. Does nothing if it is in no class. The lock is held. */
void flow_classes_remove(struct flow_classes *classes, struct flow *flow);

#endif

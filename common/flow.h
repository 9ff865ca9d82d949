/* Who gets the downlink: the state of one flow of mode nat, told the time by its caller. Pure.
 *
 * The front end holds no keys, so a CID says where to go and never proves who speaks. A CID flow has an owner, its home endpoint E0 and
 * at most one claimant (design, section 5, "Who gets the downlink"):
 *
 *   uplink from            while                            then
 *   the owner              nobody else spoke                E0
 *   the owner              a claimant waits                 contest: the claim is refuted or at least doubtful
 *   a further address      no claimant, or a former owner   it is the claimant; E0
 *   the claimant           answered, owner silent           it is the owner; E0
 *   a further address      claimant answered, owner silent  the claimant is the owner, the further address the claimant; E0
 *   a further address      claimant unanswered and silent   it replaces the claimant; E0
 *                          for settle_ms
 *   a further address      any other claimant               contest
 *   not the owner          a contest (contest_s long)       an endpoint of its own; a downlink arriving there is proof: the backend
 *                                                           checked the record and moved, so that source is the owner
 *
 * Downlinks on E0 go to the owner and to the claimant. An address that has not shown that it is reachable never gets more than three times
 * the octets it sent: every claimant, and an owner until two of its datagrams were each preceded by an answer to the one before.
 * An owner that was replaced stays in the claimant's place as `former`: forged datagrams around one downlink cannot cut off a device that
 * is silent because it waits. It may get three times the octets of its last datagram and makes room for anybody.
 *
 * Owner: the flow table; the caller holds the flow's lock. Times are milliseconds of any monotonic clock and may wrap.
 */
#ifndef CIDLB_FLOW_H
#define CIDLB_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

enum { FLOW_AMPLIFICATION = 3 };

/* One side of the way back: where the device is, and (as a number of the caller's) which service address it had addressed. */
struct flow_peer {
	struct addr device;
	uint16_t service;
};
_Static_assert(sizeof(struct flow_peer) == 20, "two of them in every flow");

struct flow_times {
	uint32_t settle_ms;
	uint32_t contest_ms;
};

struct flow_state {
	struct flow_peer owner;
	struct flow_peer claimant;
	uint32_t owner_up, owner_down; /* octets, counted while the owner is unproven */
	uint32_t claim_up, claim_down; /* octets */
	uint32_t claim_last_ms;        /* the claimant's last uplink */
	uint32_t contest_until_ms;
	uint16_t owner_last;     /* octets of the owner's last uplink */
	uint8_t owner_rounds;    /* uplinks that followed an answer */
	bool owner_proven : 1;   /* no limit */
	bool owner_answered : 1; /* a downlink came after its last uplink */
	bool claimed : 1;        /* there is a claimant */
	bool claim_former : 1;   /* … who was the owner before */
	bool claim_answered : 1; /* a downlink came after its uplink */
	bool contest : 1;
};

enum flow_way {
	FLOW_HOME, /* through E0 */
	FLOW_OWN,  /* through an endpoint of this source's own */
};

/* A new flow whose owner is `owner`. proven: it has shown that it is reachable. */
void flow_init(struct flow_state *flow, const struct flow_peer *owner, bool proven);

/* A datagram of `octets` came from `from`. `*contest_began` is set if this one began a contest. */
enum flow_way flow_uplink(struct flow_state *flow, const struct flow_times *times, const struct flow_peer *from, uint32_t octets,
			  uint32_t now_ms, bool *contest_began);

/* A datagram of `octets` came from the backend on E0: fills `to` and returns how many get it, 0..2; the owner is first if it does. Counts
 * them as sent. 0: every address is on its limit. */
unsigned flow_downlink(struct flow_state *flow, uint32_t octets, struct flow_peer to[static 2]);

/* A downlink came to the own endpoint of `source` in answer to its uplink there: it is the owner, and proven. */
void flow_prove(struct flow_state *flow, const struct flow_peer *source);

#endif

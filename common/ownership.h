/* Who gets the downlink: the state of one flow of mode nat, told the time by its caller. Pure.
 *
 * The front end holds no keys, so a CID says where to go and never proves who speaks. A CID flow has an owner, its home
 * endpoint E0 and at most one claimant (design, section 5, "Who gets the downlink"):
 *
 *   uplink from            while                            then
 *   the proven address     anything                         it is the owner (again, if it was replaced), and refutes
 *                                                           a claimant; E0
 *   an unproven owner      no claimant                      E0
 *   an unproven owner      a claimant waits                 it refutes the claimant; E0
 *   an unproven owner      a claimant that it refuted and   a contest begins; own endpoint
 *                          that spoke again
 *   a further address      no claimant                      it is the claimant; E0
 *   the claimant           not answered                     E0
 *   the claimant           answered                         it is the owner; E0
 *   a further address      claimant answered                the claimant is the owner, the further address the
 *                                                           claimant; E0
 *   a further address      claimant silent for settle_ms,   it replaces the claimant; E0
 *                          or refuted after its answer
 *   a further address      any other claimant               a contest begins; own endpoint
 *   all but the proven     a contest (contest_s long)       an endpoint of its own; a downlink arriving there is proof:
 *                                                           the backend checked the record and moved, so that source
 *                                                           is the owner, and proven
 *
 * One address at most is proven: it finished a handshake, or the backend answered it on its own endpoint. A claimant is
 * answered once a downlink came on E0 after its uplink. An owner that speaks refutes it: it must send and be answered
 * anew. That alone is no contest, since a device whose NAT gives it an earlier address again looks just like it, and so
 * does one whose last datagram from its old address is overtaken.
 *
 * Downlinks on E0 go to the owner, to the claimant and to those that were replaced: forgeries around downlinks look
 * just like a device that moves, and must not cut off the device that is silent because it waits. These are the proven
 * address, as long as nobody else is proven, and the last other owner if it spoke within contest_s before; each gets
 * OWNERSHIP_COPIES downlinks more. A claimant that meets a contest is kept like a replaced owner.
 *
 * An address that has not shown that it is reachable never gets more than three times the octets it sent: everybody but
 * the proven address, and an owner of which two datagrams each followed an answer to the one before.
 *
 * Owner: the flow table; the caller holds the flow's lock. Times are milliseconds of any monotonic clock and may wrap.
 */
#ifndef CIDLB_FLOW_H
#define CIDLB_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

enum {
	OWNERSHIP_AMPLIFICATION = 3,
	OWNERSHIP_ROUNDS = 2, /* datagrams of an owner that follow an answer, until it has shown that it is reachable */
	OWNERSHIP_COPIES = 16, /* downlinks that a replaced address still gets */
	OWNERSHIP_WAYS_BACK = 4,
};

/* One side of the way back: where the device is, and (as a number of the caller's) which service address it had
 * addressed. */
struct ownership_peer {
	struct addr device;
	uint16_t service;
};
_Static_assert(sizeof(struct ownership_peer) == 20, "compared and copied in every flow");

struct ownership_times {
	uint32_t settle_ms;
	uint32_t contest_ms;
};

/* An address that is not proven. */
struct ownership_guest {
	struct ownership_peer peer;
	uint32_t budget : 27;  /* octets it may still get: three times what it sent less what it got */
	uint32_t rounds : 2;   /* its uplinks that followed an answer, up to OWNERSHIP_ROUNDS: no limit then while it is
				  the   owner */
	uint32_t answered : 1; /* a downlink came after its last uplink */
	uint32_t stale : 1;    /* … but then the owner spoke */
	uint32_t refuted : 1;  /* of a claimant: the owner spoke while it claimed */
};
_Static_assert(sizeof(struct ownership_guest) == 24, "three of them in every flow");

/* First what is used of a flow that nobody else claims. */
struct ownership {
	struct ownership_guest owner;
	uint32_t owner_last_ms;           /* the owner's last uplink, while it is unproven */
	uint8_t proven_left, former_left; /* downlinks */
	uint8_t contests;                 /* begun, 255 at most */
	bool owner_proven : 1;
	bool proven_replaced : 1;
	bool claimed : 1;
	bool contest : 1;
	uint32_t contest_until_ms;
	uint32_t claim_last_ms;          /* the claimant's last uplink */
	struct ownership_guest claimant; /* if claimed */
	struct ownership_guest former;   /* if former_left: the last other owner */
	struct ownership_peer proven;    /* if proven_replaced: the proven address */
};

enum ownership_way {
	OWNERSHIP_HOME, /* through E0 */
	OWNERSHIP_OWN,  /* through an endpoint of this source's own */
};

/* A new flow whose owner is `owner`. proven: it has finished a handshake. */
void ownership_init(struct ownership *flow, const struct ownership_peer *owner, bool proven);

/* A datagram of `octets` came from `from`. `*contest_began` is set if this one began a contest. */
enum ownership_way ownership_uplink(struct ownership *flow, const struct ownership_times *times,
				    const struct ownership_peer *from, uint32_t octets, uint32_t now_ms,
				    bool *contest_began);

/* A datagram of `octets` came from the backend on E0: fills `to` and returns how many get it; the owner is first if it
 * does. Counts them as sent. 0: every address is on its limit. */
unsigned ownership_downlink(struct ownership *flow, uint32_t octets,
			    struct ownership_peer to[static OWNERSHIP_WAYS_BACK]);

/* A downlink came to the own endpoint of `source` in answer to its uplink there: it is the owner, and proven. */
void ownership_prove(struct ownership *flow, const struct ownership_peer *source);

#endif

/* Who gets the downlink: the state of one flow of mode nat. Pure; the caller tells it the time.
 *
 * The front end holds no keys. So a CID says where to go, and never proves who speaks. A CID flow has an owner, its
 * home endpoint E0 and at most one claimant:
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
 *   all but the proven     a contest (contest_s long)       own endpoint
 *
 * In a contest each source but the proven one has an endpoint of its own. A downlink that arrives there is proof: the
 * backend checked the record and moved. So that source is the owner, and proven.
 *
 * At most one address is proven. An address becomes proven when it finishes a handshake, or when the backend answers it
 * on an endpoint of its own. A claimant is answered once a downlink came on E0 after its uplink. An owner that speaks
 * refutes the claimant, which must then send and be answered anew. A refutation alone is no contest, because two
 * harmless cases look just like it. The NAT of a device may give it an earlier address again, or the last datagram from
 * its old address may be overtaken.
 *
 * Downlinks on E0 go to the owner, to the claimant and to replaced addresses. Forgeries around downlinks look just like
 * a device that moves. They must not cut off a device that is silent because it waits. The replaced addresses are the
 * proven one, as long as no other is proven, and the last other owner, if it spoke within contest_s before. Each gets
 * OWNERSHIP_COPIES more downlinks. A claimant that is replaced after it was refuted is kept like a replaced owner.
 *
 * An address that has not shown that it is reachable never gets more than three times the octets that it sent. Two are
 * exempt: the proven address, and an owner of which two datagrams each followed an answer to the one before.
 *
 * Owner: the flow table; the caller holds the flow's lock. Times are milliseconds of any monotonic clock and may wrap.
 */
#ifndef CIDLB_OWNERSHIP_H
#define CIDLB_OWNERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

enum {
	OWNERSHIP_AMPLIFICATION = 3,
	OWNERSHIP_ROUNDS = 2,  /* an owner's datagrams that follow an answer, until it has shown that it is reachable */
	OWNERSHIP_COPIES = 16, /* downlinks that a replaced address still gets */
	OWNERSHIP_WAYS_BACK = 4, /* who may get one downlink: owner, claimant, proven, former */
};

/* One side of the way back: where the device is, and the service address that it sent to (as a number of the
 * caller's). */
struct ownership_peer {
	struct addr device;
	uint16_t service;
};
_Static_assert(sizeof(struct ownership_peer) == 20, "compared and copied in every flow");

struct ownership_times {
	uint32_t settle_ms;
	uint32_t contest_ms;
};

/* An owner, a claimant or a former owner. While it is not proven, the budget limits what it gets. */
struct ownership_guest {
	struct ownership_peer peer;
	uint32_t budget : 27; /* octets it may still get: three times what it sent less what it got */
	/* Its uplinks that followed an answer, up to OWNERSHIP_ROUNDS. With that many an owner has no limit. */
	uint32_t rounds : 2;
	uint32_t answered : 1; /* a downlink came after its last uplink */
	uint32_t stale : 1;    /* … but after that the owner spoke */
	uint32_t refuted : 1;  /* of a claimant: the owner spoke while it claimed */
};
_Static_assert(sizeof(struct ownership_guest) == 24, "three of them in every flow");

/* The members that an unclaimed flow uses come first. */
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
	OWNERSHIP_OWN,  /* through an endpoint of the source's own */
};

/* Begins a flow that `owner` owns. proven: it has finished a handshake. */
void ownership_init(struct ownership *flow, const struct ownership_peer *owner, bool proven);

/* A datagram of `octets` octets came from `from`. `*contest_began` says whether it began a contest. */
enum ownership_way ownership_uplink(struct ownership *flow, const struct ownership_times *times,
				    const struct ownership_peer *from, uint32_t octets, uint32_t now_ms,
				    bool *contest_began);

/* A datagram of `octets` octets came from the backend on E0. Fills `to`, counts the octets as sent, and returns how
 * many addresses get it. The owner is first if it gets it. 0: every address is at its limit. */
unsigned ownership_downlink(struct ownership *flow, uint32_t octets,
			    struct ownership_peer to[static OWNERSHIP_WAYS_BACK]);

/* A downlink came to the own endpoint of `source`, in answer to its uplink there. The source is now the owner, and
 * proven. */
void ownership_prove(struct ownership *flow, const struct ownership_peer *source);

#endif

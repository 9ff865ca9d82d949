/* Who gets the downlink: the state of one session in mode nat. Pure; the caller tells it the time.
 *
 * The front end holds no keys. So a CID says where to go, and never proves who speaks. Anybody who saw a CID on the way
 * can send it, from any source. A session has one endpoint for life, E0, and what is known of addresses decides who
 * gets a downlink of E0. An address is a pair: where the device is, and which service address it sent to.
 *
 *   a. An address that is not proven gets at most three times the octets that it sent (its credit) and, for each
 *      datagram that it sent, OWNERSHIP_ALLOWANCE octets more (its allowance). A purse that addresses and sessions
 *      share limits the allowances.
 *   b. The proven address gets every downlink of E0, always. Nothing that an uplink says changes that.
 *   c. A backend sees one address per session, unless no place is free or a downlink was withheld. Then the uplinks of
 *      a source take an endpoint of its own, and the backend decides (RFC 9146, section 6; RFC 9853).
 *
 * Proven is the address whose handshake made the session (handshake.h). A session that was seen only later has none.
 * Besides it a session has OWNERSHIP_PLACES places for addresses that are not proven.
 *
 *   uplink from            while                             then
 *   the proven address     anything                          E0; changes nothing
 *   any other              its own endpoint is open          own endpoint; it earns credit
 *   … in a place           its last downlink was withheld    its own endpoint opens for OWNERSHIP_OPEN_MS, and again by
 *                                                            use once the backend has answered there
 *   … in a place           else                              E0; it earns credit
 *   … in no place          a place is free, or its holder    E0; it takes the place: first one that was never answered,
 *                          was silent for OWNERSHIP_HOLD_MS  then the one that was silent longest
 *                          (known: OWNERSHIP_KNOWN_MS)
 *   … in no place          none is to be had                 its own endpoint opens for OWNERSHIP_OPEN_MS
 *
 *   downlink on            goes to
 *   E0                     the proven address, and each place within (a)
 *   an own endpoint        its source alone, within (a). The source is known now: the backend has moved to it or asks
 *                          it. It has a place that only a known one can take before it falls silent. The endpoint
 *                          closes, unless a withheld downlink opened it.
 *
 * Neither timing nor record numbers are evidence. Downlinks can be predicted, and genuine records replayed.
 *
 * nat.contest = "home" is for servers that move to another address before they verify the record. Own endpoints would
 * hand such a session to a forger. So they never open: a session has up to OWNERSHIP_PLACES_HOME places, and a further
 * address takes the worst.
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
	OWNERSHIP_ALLOWANCE = 2560, /* octets for each uplink, so that a firmware block reaches a device that moved */
	OWNERSHIP_CREDIT_MAX = 65535,
	OWNERSHIP_PLACES = 4,
	OWNERSHIP_PLACES_HOME = 32,
	OWNERSHIP_WAYS_BACK = 1 + OWNERSHIP_PLACES_HOME, /* most addresses that get one downlink */
	OWNERSHIP_HOLD_MS = 5000,
	OWNERSHIP_KNOWN_MS = 120000,
	OWNERSHIP_OPEN_MS = 60000,
};

/* Who spoke last in a session. */
enum ownership_from { OWNERSHIP_FROM_NOBODY, OWNERSHIP_FROM_PROVEN, OWNERSHIP_FROM_OWN, OWNERSHIP_FROM_PLACE };

/* One way back: where the device is, and the service address that it sent to (as a number of the caller's). */
struct ownership_pair {
	struct addr device;
	uint16_t service;
};
_Static_assert(sizeof(struct ownership_pair) == 20, "compared and copied in every flow");

/* What an address that is not proven may still get, octets. */
struct ownership_account {
	uint16_t credit; /* three times what it sent, less what it got */
	uint16_t allowance;
};

/* Times are kept in steps of 256 ms and wrap after 4.6 hours. A place that was silent for just that long may seem to
 * have spoken a moment ago, and is then kept for a moment. */
struct ownership_place {
	struct ownership_pair pair;
	uint16_t last; /* its last uplink */
	uint16_t credit;
	uint16_t allowance : 12;
	uint16_t taken : 1;
	uint16_t answered : 1; /* a downlink was sent there */
	uint16_t known : 1;    /* a downlink came on its own endpoint */
	uint16_t withheld : 1; /* its last downlink was withheld */
};
_Static_assert(sizeof(struct ownership_place) == 26, "four of them in every session");

struct ownership {
	struct ownership_pair proven;
	bool has_proven : 1;
	bool opened : 1; /* own endpoints may be open until opened_until */
	bool has_many : 1;
	bool moves : 1;    /* it spoke from another address than before, and nothing has gone there since */
	bool moved : 1;    /* it has gone on after that, once at least */
	uint8_t last_from; /* who spoke last: enum ownership_from, or the place at this number less OWNERSHIP_FROM_PLACE
			    */
	uint16_t opened_until;
	union {
		struct ownership_place places[OWNERSHIP_PLACES];
		struct ownership_place *many; /* has_many: OWNERSHIP_PLACES_HOME of them, the caller's */
	};
};
_Static_assert(sizeof(struct ownership) == 128, "in every flow");

/* The own endpoint of one source. All zero: closed. Its account counts while the source has no place. */
struct ownership_own {
	struct ownership_account account;
	uint16_t until;
	bool open : 1;
	bool answered : 1;
	bool for_withheld : 1;
};

/* One datagram. */
struct ownership_datagram {
	struct ownership_pair from; /* uplinks; downlinks on an own endpoint: its source, and on E0 nothing */
	uint32_t octets;
	uint32_t now_ms;
};

/* The allowances of a pool: true and charged, or false. */
struct ownership_purse {
	bool (*pay)(void *ctx, const struct ownership_pair *to, uint32_t octets);
	void *ctx;
};

enum ownership_way {
	OWNERSHIP_HOME,         /* through E0 */
	OWNERSHIP_OWN,          /* through the own endpoint of the source */
	OWNERSHIP_OWN_WITHHELD, /* the same, because a downlink was withheld */
};

static inline bool ownership_pair_equal(const struct ownership_pair *a, const struct ownership_pair *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* The handshake of `pair` made this session. Nothing that was known before holds for it. */
void ownership_prove(struct ownership *session, const struct ownership_pair *pair);

static inline bool ownership_is_proven(const struct ownership *session, const struct ownership_pair *pair)
{
	return session->has_proven && ownership_pair_equal(&session->proven, pair);
}

/* True: ownership_uplink() must be told of the own endpoint of the source, if it has one. */
bool ownership_asks_own(struct ownership *session, const struct ownership_datagram *up);

/* An uplink with the session's CID. `own` may be NULL: its source has no own endpoint. */
enum ownership_way ownership_uplink(struct ownership *session, const struct ownership_own *own,
				    const struct ownership_datagram *up);

/* The same with contest = "home". */
void ownership_uplink_home(struct ownership *session, const struct ownership_datagram *up);

/* True: the address has a place. */
bool ownership_has_place(const struct ownership *session, const struct ownership_pair *from);

/* True: with contest = "home" an uplink of this address needs ownership_expand() first. */
bool ownership_wants_many(const struct ownership *session, const struct ownership_pair *from);

/* From now on the session has the OWNERSHIP_PLACES_HOME places at `many`, which stays the caller's, and what it had is
 * in them. Once at most. */
void ownership_expand(struct ownership *session, struct ownership_place *many);

/* The places, taken or not. */
static inline unsigned ownership_place_count(const struct ownership *session)
{
	return session->has_many ? OWNERSHIP_PLACES_HOME : OWNERSHIP_PLACES;
}

static inline const struct ownership_place *ownership_places(const struct ownership *session)
{
	return session->has_many ? session->many : session->places;
}

/* The uplink leaves through the own endpoint of its source. `way` is what ownership_uplink() said. */
void ownership_own_uplink(struct ownership *session, struct ownership_own *own, enum ownership_way way,
			  const struct ownership_datagram *up);

/* A downlink came on E0. Fills `to`, the proven address first, and returns how many addresses get it. *withheld: how
 * many do not, of those that spoke within OWNERSHIP_OPEN_MS. Addresses that a device has left fall silent and run dry.
 */
unsigned ownership_downlink(struct ownership *session, const struct ownership_datagram *down,
			    const struct ownership_purse *purse, struct ownership_pair to[static OWNERSHIP_WAYS_BACK],
			    unsigned *withheld);

/* A downlink came on the own endpoint of down->from. True: it may go there. `session` may be NULL: it is forgotten. */
bool ownership_own_downlink(struct ownership *session, struct ownership_own *own, const struct ownership_purse *purse,
			    const struct ownership_datagram *down);

/* Whether a session that has changed its address goes on. */
enum ownership_move {
	OWNERSHIP_STAYS,
	OWNERSHIP_MOVED, /* a downlink went to where it spoke last, for the first time since it spoke from there */
	OWNERSHIP_MOVED_FIRST, /* the same, for the first time since its handshake, or since it was seen first */
};

/* A downlink went out, to E0's addresses (`own` NULL) or to the own endpoint of `own`. It tells, and is no evidence:
 * whoever shows the CID of a session that its backend goes on to serve looks as if the session had moved there. */
enum ownership_move ownership_settle_move(struct ownership *session, const struct ownership_pair *own);

/* An uplink of `octets` octets came from the owner of an account. */
void ownership_account_earn(struct ownership_account *account, uint32_t octets);

/* Takes a downlink from an account: first from its credit. False: it is withheld, and nothing is charged. */
bool ownership_account_pay(struct ownership_account *account, const struct ownership_pair *to, uint32_t octets,
			   const struct ownership_purse *purse);

#endif

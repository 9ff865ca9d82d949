/* What must hold after every step, whatever is drawn. The list is in invariants.c. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_INVARIANTS_H
#define CIDLB_TESTS_SIMULATION_PATH_INVARIANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ownership.h"
#include "tests/simulation/path/backend.h"
#include "tests/simulation/path/network.h"

struct world;
struct device;

enum { OWN_SERVICES = 3 /* of a pool at most: their numbers differ modulo this */ };

/* What one address has shown of one session. These books are independent: nothing here knows of owners and
 * claimants. */
struct account {
	bool shown;     /* it sent the session's CID or began its handshake */
	bool verified;  /* a record from there verified */
	bool reachable; /* it was answered in a handshake or at an endpoint of its own; since the last restart */
	uint8_t rounds; /* datagrams that followed a downlink of the session; since the last restart */
	bool counted;   /* it has sent a datagram; since the last restart */
	uint32_t downlinks;
	uint64_t sent, got; /* octets; since the last restart */
	/* The endpoints of its own by which it reached backends; port 0: none. */
	struct addr own[OWN_SERVICES][IO_FAMILIES];
};

enum world_class { WORLD_QUIET, WORLD_CONTESTED, WORLD_LOSSY, WORLD_CRAMPED, WORLD_CLASSES };

struct invariants {
	enum world_class class;
	bool calm;
	struct account accounts[SESSIONS][ADDRESSES];
	struct addr home[SESSIONS][IO_FAMILIES];           /* E0; port 0: not seen yet */
	bool relearned[SESSIONS];                          /* home was learned anew: see endpoint_note() */
	uint32_t downlinks[SESSIONS];                      /* of the session */
	bool reached[SESSIONS];                            /* before the change that is being made */
	struct addr way[ADDRESSES][SERVICES][IO_FAMILIES]; /* the endpoint of datagrams without CID */
	/* Bit n: a protected reply of a handshake came from service n. Since the last restart. */
	uint8_t finished[ADDRESSES];
	uint8_t services[ADDRESSES]; /* bit n: it has addressed service n */
	/* Datagrams that arrived at listeners and endpoints since the last restart. */
	uint64_t received[SERVICES], answered;
	unsigned sends[NETWORK_DATAGRAMS]; /* of a datagram in the batch being served, including refused ones */
	int sent_to[NETWORK_DATAGRAMS][OWNERSHIP_WAYS_BACK]; /* downlinks: addresses */
};

/* The most tries that were ever needed in any world, for handshake flights, small and large answers. */
enum tries_kind { TRIES_FLIGHT, TRIES_SMALL, TRIES_LARGE, TRIES_KINDS };
extern unsigned invariants_most[WORLD_CLASSES][TRIES_KINDS];

/* The first one that does not hold ends the world. */
void invariants_expect(struct world *world, bool holds, const char *what);

void invariants_begin(struct world *world);
void invariants_restart(struct world *world);
void invariants_check(struct world *world);

void invariants_change_begins(struct world *world);
void invariants_change_ends(struct world *world);

void invariants_batch_begins(struct world *world, int first);
void invariants_batch_ends(struct world *world, int first);
/* An uplink datagram leaves through `endpoint`, if it is not refused. */
void invariants_endpoint(struct world *world, const struct datagram *datagram, const struct addr *endpoint);
void invariants_sent_up(struct world *world, const struct datagram *datagram, const struct io_send *send);
void invariants_sent_down(struct world *world, const struct datagram *datagram, int address, int service);
void invariants_refused(struct world *world, const struct datagram *datagram, int address);

void invariants_session_begins(struct world *world, int slot, const struct datagram *hello);
void invariants_verified(struct world *world, int slot, const struct datagram *datagram);
void invariants_moved(struct world *world, const struct session *session);

/* The device sends what should be answered. It is answered. It cannot expect an answer to what is under way. */
void invariants_tries(struct world *world, struct device *device);
void invariants_answered(struct world *world, const struct device *device);
void invariants_excuse(struct world *world, struct device *device);
void invariants_excuse_all(struct world *world);

#endif

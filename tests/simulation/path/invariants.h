/* What must hold after every step, whatever is drawn. All of it is computed from what crosses the simulated wire, and
 * from what the two ends of a session know. The lists are in invariants.c, invariants_limits.c, invariants_answer.c,
 * invariants_count.c and invariants_learned.c. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_INVARIANTS_H
#define CIDLB_TESTS_SIMULATION_PATH_INVARIANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/simulation/path/backend.h"
#include "tests/simulation/path/balancer.h"
#include "tests/simulation/path/network.h"

struct world;
struct device;

/* The most that may get one downlink: the proven address and the places. */
enum { WAYS_BACK = 1 + 4, WAYS_BACK_HOME = 1 + 32 };

/* What one address sent to one service, and got from there. */
struct ledger {
	uint32_t datagrams;
	uint64_t sent, got,
		beyond;   /* octets; got: while it was not proven; beyond: the most that `got` exceeded 3 sent */
	uint64_t last_ms; /* it sent */
};

/* The same of one session. */
struct account {
	uint8_t shown;      /* bit n: it sent the session's CID to service n; since the last restart */
	uint8_t shown_ever; /* the same since the session began */
	bool verified;      /* a record from there verified */
	bool withheld;      /* a downlink passed it by; since the last restart */
	struct ledger ledgers[SERVICES];
	struct addr own[SERVICES][IO_FAMILIES]; /* endpoints that only it uses; port 0: none */
};

enum { GREETING_COOKIES = 16 };

/* … and of handshakes, through an address' own endpoint. A server makes a cookie for each ClientHello and keeps none.
 * So the cookie of a ClientHello that others spoof does not end the one before, which the device is about to repeat. */
struct greeting {
	struct ledger ledger;
	uint64_t cookies[GREETING_COOKIES]; /* that went there: the last ones */
	unsigned cookie_count;              /* of all that went there */
	bool reachable;                     /* it sent one of them back */
	uint64_t random, hello_ms;          /* of its last ClientHello without a cookie */
};

/* How far the handshake of a session has come, as the balancer could see it. Begins anew with a restart. */
enum proof_stage {
	PROOF_NONE,
	PROOF_HELLO,  /* a ServerHello went down */
	PROOF_SHOWN,  /* then the CID came up */
	PROOF_OVER,   /* then something under application keys went down */
	PROOF_USED,   /* then the CID came up by the session's endpoint */
	PROOF_STRICT, /* then a downlink of the session's endpoint went down: the address gets every one */
};

struct proof {
	enum proof_stage stage;
	int address, service; /* of the handshake */
	unsigned parts;       /* of the ServerHello that went down, in their order: 1: the beginning, 2: all */
	bool helloed, shown,
		early, /* something under application keys went down before the CID came up, as in a resumption */
		maybe; /* the first three stages once were: it may be proven, whatever is lost or repeated */
	bool doubtful; /* something was refused, evicted, or took too long */
	uint64_t last_ms, evicted;
};

/* Octets of allowances within a second: a bucket that leaks. */
struct bucket {
	double level;
	uint64_t at_ms;
};

/* A CID of POOL_LEARNED that a server has given out. */
struct given {
	struct wire_cid cid;
	int member, address, service; /* of its handshake */
	bool keyed; /* the server had a record of its peer that verified, or spoke to it under keys of another session
		     */
	int next;   /* with the same hash */
};

enum { GIVENS = 16384, GIVEN_HASHES = 1024 };

struct givens {
	struct given all[GIVENS];
	int count, keyed;
	int first[GIVEN_HASHES]; /* one more than an index; 0: none */
};

enum world_class { WORLD_QUIET, WORLD_CONTESTED, WORLD_ATTACKED, WORLD_LOSSY, WORLD_CRAMPED, WORLD_CLASSES };

enum { ENOUGH_RATE = 125000 /* of allowances, octets a second, for all devices of a world */ };

struct invariants {
	enum world_class class;
	struct account accounts[SESSIONS][ADDRESSES];
	struct greeting greetings[ADDRESSES][SERVICES];
	struct proof proofs[SESSIONS];
	struct givens givens;
	bool learned[SESSIONS]; /* the balancer has seen all that it needs to know the session's CID for good */
	struct bucket pool_buckets[POOLS], address_buckets[POOLS][ADDRESSES];
	struct addr home[SESSIONS][IO_FAMILIES];           /* E0; port 0: not seen yet */
	bool excused[SESSIONS];                            /* an endpoint of its own was right for someone */
	bool reached[SESSIONS];                            /* before the change that is being made */
	struct addr way[ADDRESSES][SERVICES][IO_FAMILIES]; /* the endpoint of datagrams without CID */
	/* … and of the last ClientHello. It is another while the flow of the address is a live session's. */
	struct addr hello_way[ADDRESSES][SERVICES][IO_FAMILIES];
	uint8_t services[ADDRESSES]; /* bit n: it has addressed service n */
	/* Datagrams that arrived at listeners and endpoints since the last restart. */
	uint64_t received[SERVICES], answered;
	unsigned sends[NETWORK_DATAGRAMS]; /* of a datagram in the batch being served, including refused ones */
	struct addr through[NETWORK_DATAGRAMS], to[NETWORK_DATAGRAMS]; /* uplinks: what it left through, and for whom */
	struct {
		int address, service;
	} sent_to[NETWORK_DATAGRAMS][WAYS_BACK_HOME]; /* downlinks */
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
/* An uplink datagram leaves through `endpoint` for `to`, if it is not refused. */
void invariants_endpoint(struct world *world, const struct datagram *datagram, const struct addr *endpoint,
			 const struct addr *to);
void invariants_sent_up(struct world *world, const struct datagram *datagram, const struct io_send *send);
void invariants_sent_down(struct world *world, const struct datagram *datagram, int address, int service);
/* The send is refused. Downlinks: to `address`. */
void invariants_refused(struct world *world, const struct datagram *datagram, int address, int service);
/* True if it was sent there, or its send refused. */
bool invariants_was_sent(const struct world *world, const struct datagram *datagram, int address, int service);

void invariants_session_begins(struct world *world, int slot, const struct datagram *hello);
void invariants_session_hurt(struct world *world, const char *how);
void invariants_verified(struct world *world, int slot, const struct datagram *datagram);
void invariants_moved(struct world *world, const struct session *session);
/* The session that the datagram shows a CID of; NOBODY: none. */
int invariants_session_of(const struct world *world, const struct datagram *datagram);

/* The books of invariants_learned.c. A server of POOL_LEARNED gives out a CID to whoever sent the ClientHello; a
 * session's device has shown its keys; its CID leaves for a member. */
void givens_gave(struct world *world, int member, const struct datagram *hello, const struct wire_cid *cid);
void givens_keyed(struct world *world, const struct session *session);
void givens_uplink(struct world *world, const struct datagram *datagram, int member);
/* A datagram with the CID of the session in `slot` (NOBODY: of none) has been served. */
void givens_batch_ends(struct world *world, int slot, unsigned sends);
/* `member` speaks under keys of the session in `slot` where handshakes of this address are. */
void givens_beside(struct world *world, int member, int address, int service, int slot);
void givens_check(struct world *world);

/* The books of invariants_limits.c. `endpoint`: of the datagram. */
void limits_uplink(struct world *world, int slot, const struct datagram *datagram, const struct addr *endpoint);
void limits_downlink(struct world *world, const struct datagram *datagram, int address, int service);
void limits_refused(struct world *world, const struct datagram *datagram, int address, int service);
void limits_batch_ends(struct world *world, const struct datagram *datagram);
/* True: the endpoint is the address' own, for what shows no CID. */
bool limits_is_way(const struct world *world, int address, int service, const struct addr *endpoint);
/* True: sessions of the pool keep the endpoint of their handshake. */
bool limits_is_at_handshake(const struct world *world, int pool);
/* … so it is lost if the device moves before the balancer has seen that the handshake is over. */
bool limits_loses(const struct world *world, const struct device *device);
/* … and a device that begins again from there does so at the same endpoint. A server may keep both sessions, and what
 * it says of the first then comes to the second's places: nobody without keys can tell them apart. The session whose
 * books count for a downlink of `slot` that goes to the address. */
int limits_holder(const struct world *world, int slot, int address, int service, const struct addr *endpoint);
/* The balancer may have forgotten the flow. */
void limits_doubt(struct proof *proof);
/* The most octets of allowances that one address had within about a second, in any world. */
extern double limits_most;
void limits_restart(struct world *world);
/* A downlink that came on its session's endpoint. */
bool limits_is_home(const struct world *world, const struct datagram *datagram);
bool limits_is_proven(const struct world *world, const struct device *device);

/* The device sends what should be answered. It is answered. It cannot expect an answer to what is under way. */
void invariants_tries(struct world *world, struct device *device);
void invariants_answered(struct world *world, const struct device *device);
void invariants_excuse(struct world *world, struct device *device);
void invariants_excuse_all(struct world *world);

static inline enum io_family family_of(const struct addr *addr)
{
	return addr_is_v4(addr) ? IO_V4 : IO_V6;
}

#endif

/* Honest devices behind NATs. They make a handshake, sleep, move, ask, wait, repeat themselves and acknowledge. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_DEVICE_H
#define CIDLB_TESTS_SIMULATION_PATH_DEVICE_H

#include "tests/simulation/path/backend.h"
#include "tests/simulation/path/network.h"
#include "tests/simulation/path/wire.h"

struct world;

enum { DEVICE_BEFORE = 8 };

enum device_state {
	DEVICE_OFF,
	DEVICE_HELLO,     /* waits for a cookie */
	DEVICE_COOKIE,    /* sent it, waits for the server's flight */
	DEVICE_FINISHING, /* sent the last flight; of a resumed session, with a first request */
	DEVICE_READY,
};

struct device {
	enum device_state state;
	int service, address;
	int first;                 /* address of the handshake */
	int before[DEVICE_BEFORE]; /* its latest addresses */
	unsigned moves;
	bool insider; /* a forger's, with good credentials */
	bool v13;
	uint64_t ticket; /* of a session that it will resume; 0: none */
	bool resumed;
	uint64_t client_random, cookie, server_random, key, sequence;
	uint8_t hello[WIRE_HELLO_MAX]; /* the ServerHello, as far as its fragments have come */
	size_t hello_octets;
	struct wire_cid cid;     /* the server's CID, which our records carry */
	struct wire_cid own_cid; /* empty: none */
	bool three_datagrams;    /* its last flight takes three */
	unsigned sessions;       /* begun, as servers count them */
	int session;             /* slot; NOBODY in a plain pool */
	uint32_t timer;          /* the timer set last */
	bool waiting;            /* for an answer */
	uint32_t number;         /* of the exchange */
	size_t octets;           /* of the request */
	uint16_t want;           /* octets of the answer */
	unsigned repeats;        /* of this datagram or exchange */
	unsigned tries;          /* datagrams that should have been answered: invariants.h */
	unsigned unserved;       /* … and could not be answered */
	/* Its handshake, by a restart after which nobody knows whose the flight is; or its session (limits_loses()). */
	bool interrupted;
	bool spoke; /* it was heard at the balancer, since its last move and since the last restart */
	uint64_t heard_ms;
};

uint64_t device_key(int device, uint64_t client_random, uint64_t server_random);
void device_begin(struct world *world, int number);
void device_wake(struct world *world, int number, uint32_t timer);
void device_receive(struct world *world, int number, const struct datagram *datagram);

#endif

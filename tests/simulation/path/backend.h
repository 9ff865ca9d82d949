/* What servers do, written from the RFCs and from what real servers do, without knowledge of balancers. A cookie is
 * bound to the peer's address, and a handshake has one address from beginning to end. Sessions are found by CID.
 * Records must verify and pass a replay window. What then moves a session to another address is the server's kind.
 *
 * A datagram that holds a CID of a session is the session's as a whole. So a ClientHello in it resets the session, as
 * with Mbed TLS, and an alert ends it, as with pion: invariants_session_hurt().
 *
 * The servers of the hash pool share their sessions. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_BACKEND_H
#define CIDLB_TESTS_SIMULATION_PATH_BACKEND_H

#include "common/addr.h"
#include "tests/simulation/path/network.h"
#include "tests/simulation/path/wire.h"

struct world;

enum { SESSIONS_EACH = 8, DEVICES = 16, SESSIONS = DEVICES * SESSIONS_EACH };

enum server_kind {
	SERVER_VERIFIES,  /* moves with a record that verifies and is newer than all before: RFC 9146, section 6 */
	SERVER_LESHAN,    /* the same, but speaks unasked only to where the device registered */
	SERVER_RRC,       /* the same, once the new address has answered a challenge: RFC 9853 */
	SERVER_STAYS,     /* moves once, with the first application record */
	SERVER_PREMATURE, /* moves before it verifies */
	SERVER_REJECTS,   /* hears nothing from another address than that of the handshake */
	SERVER_KINDS
};

enum session_state { SESSION_NONE, SESSION_HANDSHAKING, SESSION_ESTABLISHED };

/* A slot is reused in turn for the sessions of a device. */
struct session {
	enum session_state state;
	uint32_t generation; /* of the slot */
	int device;
	int member; /* the server; in the hash pool, the last one that heard of it */
	struct wire_cid cid;
	uint64_t client_random, server_random, key;
	bool v13, resumed;
	enum wire_cut cut;       /* of its ServerHello */
	unsigned flight_tries;   /* of its flight */
	struct addr peer, first; /* now, and of the handshake */
	struct addr registered;  /* LESHAN; port 0: not yet */
	bool key_exchange, change_cipher;
	uint64_t newest, window; /* sequence numbers seen: bit n is newest - n */
	uint64_t sequence;       /* ours */
	unsigned changes;        /* of the peer's address since Finished */
	struct addr challenged;  /* RRC; port 0: nobody */
	uint32_t challenge;
	uint32_t notified, acked;
	unsigned notify_tries;
	struct wire_message late; /* an answer that takes a while; number 0: none */
};

void backend_receive(struct world *world, const struct datagram *datagram);

/* The session's timer for notifications, for a late answer, or for its first flight while that is not answered. */
void backend_notify(struct world *world, int slot, uint32_t generation);
void backend_answer_late(struct world *world, int slot, uint32_t generation);
void backend_repeat_flight(struct world *world, int slot, uint32_t generation);

/* The server loses all it knew. */
void backend_crash(struct world *world, int member);

/* Each server goes on with the other's sessions and server id. False: one of them has a handshake under way, which
 * nobody could take over. */
bool backend_swap(struct world *world, int member, int other);

/* NULL: another session uses the slot by now. */
struct session *backend_session(struct world *world, struct session_name name);

enum server_kind backend_kind(const struct world *world, const struct session *session);

#endif

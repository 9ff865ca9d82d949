/* What servers do, written from the RFCs without knowledge of balancers. A cookie is bound to the peer's address, and a
 * handshake has one address from beginning to end. Sessions are found by CID. Records must verify and pass a replay
 * window. Only a record that verifies and is newer than all before moves the address of its session (RFC 9146, section
 * 6).
 *
 * The servers of the hash pool share their sessions. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_BACKEND_H
#define CIDLB_TESTS_SIMULATION_PATH_BACKEND_H

#include "common/addr.h"
#include "tests/simulation/path/network.h"
#include "tests/simulation/path/wire.h"

struct world;

enum { SESSIONS_EACH = 8, DEVICES = 16, SESSIONS = DEVICES * SESSIONS_EACH };

enum session_state { SESSION_NONE, SESSION_HANDSHAKING, SESSION_ESTABLISHED };

/* A slot is reused in turn for the sessions of a device. */
struct session {
	enum session_state state;
	uint32_t generation; /* of the slot */
	int device;
	int member; /* the server; in the hash pool, the last one that heard of it */
	struct wire_cid cid;
	uint64_t client_random, server_random, key;
	struct addr peer;
	bool key_exchange, change_cipher;
	uint64_t newest, window; /* sequence numbers seen: bit n is newest - n */
	uint64_t sequence;       /* ours */
	unsigned changes;        /* of the peer's address since Finished */
	uint32_t notified, acked;
	unsigned notify_tries;
	struct wire_message late; /* an answer that takes a while; number 0: none */
};

void backend_receive(struct world *world, const struct datagram *datagram);

/* The session's timer for notifications, or for a late answer. */
void backend_notify(struct world *world, int slot, uint32_t generation);
void backend_answer_late(struct world *world, int slot, uint32_t generation);

/* The server loses all it knew. */
void backend_crash(struct world *world, int member);

/* Each server goes on with the other's sessions and server id. False: one of them has a handshake under way, which
 * nobody could take over. */
bool backend_swap(struct world *world, int member, int other);

/* NULL: another session uses the slot by now. */
struct session *backend_session(struct world *world, struct session_name name);

#endif

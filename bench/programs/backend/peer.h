/* One peer of the server: its session (none if the server speaks plain CoAP), where it is now, and its CoAP state.
 *
 * A peer is first the server's listening one, known to nobody; peer_enter() makes it one of the table. Every function
 * that feeds a peer may free it.
 */
#ifndef CIDLB_BENCH_BACKEND_PEER_H
#define CIDLB_BENCH_BACKEND_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "bench/programs/backend/responder.h"
#include "bench/programs/backend/tunnel.h"
#include "common/addr.h"
#include "common/lbcid.h"
#include "common/session.h"

struct server;

enum { HELLO_RANDOM_OCTETS = 32 };

struct peer {
	TAILQ_ENTRY(peer) by_use;
	struct peer *next_by_addr, *next_by_cid; /* table.c */
	struct server *server;
	struct addr addr;        /* where everything to it goes */
	struct tunnel_way way;   /* where its datagrams come through, in mode tunnel */
	struct session *session; /* NULL: plain */
	uint8_t cid[LBCID_MAX_OCTETS];
	uint32_t id; /* in its CID: that of the server that made it, which may be another than this one's */
	uint8_t hello_random[HELLO_RANDOM_OCTETS]; /* of the ClientHello that began the session */
	bool entered, established, uses_cid;
	bool by_addr; /* of a loaded one: it was found by its address */
	uint64_t address_changes;
	struct responder responder;
	struct event timer;
	uint64_t timer_at_ms;
};

/* Makes a listening peer with a CID of its own, or a plain one. Returns 0 or -errno. */
int peer_new(struct peer **out, struct server *server);

/* From now on it is found by its address and CID. Another peer at that address loses it, and ends if nothing else leads
 * to it. */
void peer_enter(struct peer *peer);

/* Makes the peer of an earlier server. `cid` is what its session was made with, and `saved` what session_save() wrote.
 * The caller restores its id, its address, the ClientHello's random, the changes and the responder before
 * peer_resume(). Returns 0 or -errno, as session_load() does. */
int peer_load(struct peer **out, struct server *server, const uint8_t *cid, const uint8_t *saved, size_t len);

/* The session goes on. From now on it is found by its CID and, if it was so before, by its address, as with
 * peer_enter(). */
void peer_resume(struct peer *peer);

/* Forgets it. NULL is fine. */
void peer_free(struct peer *peer);

/* Takes a datagram from `source` that belongs to this peer. Moves the address of its session if RFC 9146, section 6
 * allows. */
void peer_input(struct peer *peer, const struct addr *source, const uint8_t *data, size_t len);

/* To be called after anything else that was done to its session. Counts, arms its timer, and ends the peer if the
 * session has ended. */
void peer_settle(struct peer *peer);

#endif

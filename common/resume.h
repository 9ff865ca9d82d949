/* Resumption of DTLS 1.2 sessions, for devices without CIDs: what a ClientHello offers to resume, and what a server
 * gives out to be offered. That is a session id, in the ServerHello (RFC 5246, section 7.4.1.3), and a ticket, in a
 * NewSessionTicket (RFC 5077, section 3.3). Both are cleartext. In DTLS 1.3 neither is, so it says nothing here.
 *
 * Of either a keyed hash is kept: of a session id as it is, of a ticket by its length and its first
 * RESUME_TICKET_OCTETS octets, in which servers have the name of a key and an initialization vector. So it is enough
 * that the beginning of a ticket stands in the datagram. What comes in later fragments is not read.
 *
 * What a server gives out counts once it has shown that the device has the keys of the session. In a handshake from the
 * beginning (RFC 5246, section 7.3) its Finished shows that, because it has read the device's before. When it resumes,
 * its Finished comes first, to whoever replayed a ClientHello; then its application data shows it. Only the first
 * RESUME_FRESH records of a session count, because a session that the source had before may speak at any time.
 * A session id counts only from the beginning: when a server resumes it repeats the one that it was offered, and
 * whoever has a ticket may offer with it what he likes.
 *
 * Pure: no clock, no allocation. Any octets are fine; each is looked at a bounded number of times.
 */
#ifndef CIDLB_RESUME_H
#define CIDLB_RESUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "siphash.h"

enum {
	RESUME_ID_MAX = 32,        /* octets of a session id */
	RESUME_TICKET_OCTETS = 64, /* of a ticket that are read */
	RESUME_FRESH = 16,         /* so many records, of each side, a session has when it is new */
};

/* A session id and a ticket, by their hashes. 0: none, or none that can be read. */
struct resume_names {
	uint64_t session_id, ticket;
};

/* What the first fragment of a ClientHello in the datagram offers. False: nothing. `key`: for what is kept of it. */
bool resume_read_offer(struct resume_names *out, const struct siphash_key *key, const uint8_t *data, size_t len);

/* What the server of a handshake has given out so far. All zero: nothing. It belongs to the caller. */
struct resume {
	struct resume_names given;
	bool served : 1; /* its ServerHello came */
	bool full : 1;   /* a handshake from the beginning */
};

/* Reads a datagram on its way to the device. True: it shows that the device has the keys. Then `out` is what counts,
 * and the handshake is over: nothing is known any more. */
bool resume_reply(struct resume *resume, const struct siphash_key *key, const uint8_t *data, size_t len,
		  struct resume_names *out);

/* True: the datagram begins with a record of DTLS 1.2 that is protected by a key, and is none of the first RESUME_FRESH
 * of its session. */
bool resume_is_settled(const uint8_t *data, size_t len);

#endif

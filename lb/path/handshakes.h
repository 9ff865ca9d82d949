/* The handshakes under way of the modes that keep no flows: a cache that says which backend a source's handshake began
 * with, and what common/hello.h knows of it. So all of a handshake reaches one server, also when another one is
 * drained, added, or fails between two of its messages; and hello_rate admits handshakes, not datagrams.
 *
 * It has a fixed size: HANDSHAKES_ENTRIES of 16 octets, two to a set. Only what was admitted is written. A new
 * handshake takes the place of the older one of its set; of one whose source repeated a cookie only if the other did,
 * too. At R new handshakes a second a place lasts some HANDSHAKES_ENTRIES / R seconds. A source that has lost its place
 * pays for its second ClientHello as for a first, and goes where its hash leads.
 *
 * Of struct hello 70 bits are kept, and beside them 32 bits of the source's hash (15 more choose the set) and the uid
 * of the backend. What is left out is the message that is under way: a cookie counts only if it lies whole in one
 * datagram. That is enough here. A second ClientHello in fragments passes free by its random, and nothing else hangs on
 * the cookie.
 *
 * One for all workers, without a lock. An entry is two words, and half of the source's hash is in each. A reader that
 * meets a writer takes both for its own only by a chance of 1 in 65,536; two writers may lose one's change. Then a
 * handshake pays once too often or too rarely, or one datagram is hinted to another backend. An entry may name a
 * backend uid that was given to another backend meanwhile: its hints then lead to that one, if it is in the same pool.
 *
 * An entry's time has 16 bits: after 18 hours it would look new again. So the control thread removes what is too old to
 * hint, which nobody misses (handshakes_sweep()).
 */
#ifndef CIDLB_PATH_HANDSHAKES_H
#define CIDLB_PATH_HANDSHAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/hello.h"

enum {
	HANDSHAKES_ENTRIES = 65536,
	/* So long after its ClientHello the rest of a handshake is hinted. Where messages are lost it takes minutes on
	 * NB-IoT. */
	HANDSHAKES_HINT_S = 300,
	HANDSHAKES_SWEPT = 64, /* entries that handshakes_sweep() looks at */
};

#define HANDSHAKES_NO_HINT UINT16_MAX

struct handshakes;
struct pending_cids; /* pending_cids.h */

/* The secret is that of this process: what is kept is of use to no other. NULL: out of memory. */
struct handshakes *handshakes_new(const uint8_t secret[static 16]);
void handshakes_free(struct handshakes *handshakes);

/* What belongs to them in pools that learn CIDs. */
struct pending_cids *handshakes_pending(struct handshakes *handshakes);

/* One datagram of a handshake. */
struct handshakes_datagram {
	uint64_t source; /* handshakes_source() */
	const uint8_t *data;
	size_t len; /* octets */
	uint32_t now_s;
};

/* Whose handshake it is: a keyed hash of the pool's uid and the device's address and port. */
uint64_t handshakes_source(const struct handshakes *handshakes, uint16_t pool, const struct addr *device);

/* The same for a handshake that is led elsewhere by what its ClientHello offers to resume. Anybody can send one in the
 * name of a source, so it has an entry of its own (in the same set), and leaves that of the source alone. */
static inline uint64_t handshakes_led(uint64_t source)
{
	return source ^ UINT64_C(1) << 47;
}

void handshakes_prefetch(const struct handshakes *handshakes, uint64_t source);

/* The uid of the backend that the source's handshake is with, or HANDSHAKES_NO_HINT. */
uint16_t handshakes_hint(const struct handshakes *handshakes, uint64_t source, uint32_t now_s);

/* The same, and more of it. */
struct handshakes_known {
	uint16_t backend; /* uid, or HANDSHAKES_NO_HINT: there is none */
	uint16_t age_s;
	bool confirmed; /* its source has repeated the cookie that it was sent */
};
struct handshakes_known handshakes_know(const struct handshakes *handshakes, uint64_t source, uint32_t now_s);

/* hello_look() of a ClientHello. */
enum hello_step handshakes_look(const struct handshakes *handshakes, const struct handshakes_datagram *hello);

/* hello_take() of a ClientHello that goes to this backend. */
enum hello_step handshakes_take(struct handshakes *handshakes, const struct handshakes_datagram *hello,
				uint16_t backend);

/* hello_reply() of a datagram from this backend: if it has a cookie, the rest of the handshake is hinted there. Changes
 * nothing if the handshake is not known. */
void handshakes_reply(struct handshakes *handshakes, const struct handshakes_datagram *reply, uint16_t backend);

/* Removes what is older than HANDSHAKES_HINT_S from the next HANDSHAKES_SWEPT entries. To be called so often that it
 * comes round in a few hours. One thread, beside those that do the rest. */
void handshakes_sweep(struct handshakes *handshakes, uint32_t now_s);

#endif

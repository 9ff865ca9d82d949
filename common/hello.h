/* What the hellos of one source say: a reader that resumes where the last datagram ended. It reads ClientHellos on
 * their way up, and HelloVerifyRequest, HelloRetryRequest and ServerHello on their way down, of DTLS 1.2 (RFC 6347,
 * sections 4.2.1 to 4.2.3) and DTLS 1.3 (RFC 9147, section 5). A record may hold several messages, and a message may
 * come in fragments. It is read as its fragments come in order; overlaps are fine. What comes out of order is left out
 * until it is repeated.
 *
 * It answers: may this ClientHello pass free of charge (hello_rate: limit.h); has the source shown that it gets what is
 * sent to it, by repeating a cookie; and which CID has the server given out, in extension 54 (RFC 9146, section 3) of
 * its ServerHello.
 *
 * Pure: no clock, no allocation. Any octets, in any order, are fine. They are never read beyond `len`; each is looked
 * at a bounded number of times, and every value of a struct hello is a valid one. A struct hello belongs to the caller,
 * who lets one thread at a time use it. Whoever can spoof a source can put what he likes into its struct hello, so
 * nothing of it but hello_confirmed() is evidence, and that only as far as the server's cookies are.
 */
#ifndef CIDLB_HELLO_H
#define CIDLB_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "siphash.h"

enum {
	HELLO_LIFE_S = 60,        /* so long a handshake is known after its ClientHello was taken */
	HELLO_FREE_TIMES = 4,     /* octets that pass free of charge: so many times those of the ClientHello */
	HELLO_CID_MAX = 20,       /* octets: LBCID_MAX_OCTETS. A longer CID counts as none */
	HELLO_MESSAGE_MAX = 8191, /* octets of a message that is read */
	HELLO_COUNTED_MAX = 4064, /* octets of a ClientHello, with headers, that count for what passes free */
};

/* Hashes with a secret of this process: nobody can choose a random or a cookie that looks like another. */
struct hello_key {
	struct siphash_key random;
	uint32_t cookie; /* the point at which the polynomial of a cookie's octets is evaluated */
};

struct hello_key hello_key_make(const uint8_t secret[static 16]);

/* How far a handshake has come. */
enum hello_stage {
	HELLO_STAGE_BEGUN,
	HELLO_STAGE_RETRY,     /* a HelloVerifyRequest or HelloRetryRequest went to the source */
	HELLO_STAGE_SECOND,    /* a second ClientHello followed */
	HELLO_STAGE_CONFIRMED, /* with the cookie that was sent */
};

/* The state of one source's handshake. All zero: nothing is known. The members are for hello.c, and for
 * lb/path/handshakes.c, which keeps all but what is under `reading`. */
struct hello {
	uint64_t random : 16;    /* hash of the ClientHello's version and random */
	uint64_t began_s : 16;   /* when it was taken, seconds, modulo 2^16 */
	uint64_t cookie : 24;    /* hash of the cookie that was sent last */
	uint64_t known : 1;      /* a ClientHello was taken */
	uint64_t cookie_set : 1; /* `cookie` is one, perhaps of the handshake before */
	uint64_t stage : 2;      /* enum hello_stage */
	uint64_t rrc : 1;        /* the ServerHello has extension 61 */
	/* reading: the message that is under way */
	uint64_t seq : 1;    /* lowest bit of its message_seq */
	uint64_t sender : 2; /* enum sender */
	/* end of the first word */
	uint64_t free : 9;     /* what may still pass free, in 32 octets. Not under `reading` */
	uint64_t field : 5;    /* enum field; 0: no message is under way */
	uint64_t at : 13;      /* octets of the message that were read */
	uint64_t left : 13;    /* octets left in the field */
	uint64_t running : 24; /* hash of the cookie so far, and what else a field leaves to the next */
};
_Static_assert(sizeof(struct hello) == 16, "a flow keeps one, and so do caches");

/* What a datagram from a device is to its handshake. */
enum hello_step {
	HELLO_NONE,   /* there is no epoch-0 ClientHello in it, or none that can be read */
	HELLO_BEGINS, /* a ClientHello, or the first fragment of one, of a handshake that is not known: costs one */
	/* Free. The handshake was taken at most HELLO_LIFE_S ago, and this is: a ClientHello or a first fragment with
	 * the same random, or a later fragment, as long as `free` lasts; the first ClientHello behind a retry, which
	 * may be much longer (with hybrid key shares of DTLS 1.3); or the first datagram with which the cookie that
	 * the source was sent is complete. */
	HELLO_GOES_ON,
	/* A later fragment of a handshake that is not known, or beyond what passes free: alone it is of no use. Or two
	 * ClientHellos in one datagram, which no device sends. */
	HELLO_LONE,
};

/* Changes nothing. `now_s`: seconds of any monotonic clock, the same for all calls with `hello`. What has rested for 18
 * hours (2^16 s) looks new again for HELLO_LIFE_S. */
enum hello_step hello_look(const struct hello *hello, const struct hello_key *key, const uint8_t *data, size_t len,
			   uint32_t now_s);

/* The datagram is sent on: remembers it. Returns what hello_look() would have said.
 * HELLO_BEGINS: this handshake takes the place of the one before. What was asked, confirmed and read is forgotten, but
 * not a ServerHello that is being read. The cookie stays while it is at most HELLO_LIFE_S old, so that a
 * ClientHello that others spoof does not turn away a device that is about to repeat it. HELLO_GOES_ON: charges what
 * passes free. The first ClientHello behind a retry, and the first cookie that is repeated, renew that: it is then
 * HELLO_FREE_TIMES their own announced length. The cookie also renews HELLO_LIFE_S. Else: changes nothing. */
enum hello_step hello_take(struct hello *hello, const struct hello_key *key, const uint8_t *data, size_t len,
			   uint32_t now_s);

/* True: a cookie was sent to this source in this handshake (HelloVerifyRequest, or extension 44 of HelloRetryRequest),
 * or a retry without one, and the cookie shortly before. */
static inline bool hello_asked(const struct hello *hello)
{
	return hello->stage >= HELLO_STAGE_RETRY && hello->cookie_set;
}

/* True: a ClientHello of this handshake repeated the cookie that went to this source. It stays true until the next
 * handshake is taken. */
static inline bool hello_confirmed(const struct hello *hello)
{
	return hello->stage == HELLO_STAGE_CONFIRMED;
}

/* True: the ServerHello, as far as it was read, has extension 61 (return routability check: RFC 9853, section 3). It
 * may come behind extension 54: so ask when the handshake is over. */
static inline bool hello_rrc(const struct hello *hello)
{
	return hello->rrc;
}

/* The CID that a ServerHello gives out: what the device will put into its records. Memory of the caller, kept with the
 * struct hello between calls. It is whole when hello_reply() has said HELLO_SAID_CID, until it says HELLO_SAID_BEGUN or
 * HELLO_SAID_NO_CID. In between it is being written, so whoever wants to keep a CID over a repeated ServerHello keeps a
 * copy. */
struct hello_cid {
	uint8_t len; /* octets that were read, 0..HELLO_CID_MAX */
	uint8_t octets[HELLO_CID_MAX];
};

/* What a datagram from a server says. If it says several things, the last one counts. */
enum hello_said {
	HELLO_SAID_NOTHING, /* nothing new */
	/* A HelloVerifyRequest or HelloRetryRequest ended. If it had a cookie, hello_asked() is true from now on. */
	HELLO_SAID_RETRY,
	HELLO_SAID_BEGUN, /* a ServerHello that is no retry: of its extension 54 nothing is known yet */
	/* Its extension 54 was read whole: the CID is in `cid`. More fragments say nothing new; a repetition says the
	 * same again. */
	HELLO_SAID_CID,
	/* The ServerHello ended without an extension 54, or with one that is empty (the server wants no CIDs),
	 * malformed, or longer than HELLO_CID_MAX. `cid->len` is 0. */
	HELLO_SAID_NO_CID,
};

/* Reads a datagram on its way to the device. Only records of epoch 0 are read: what is protected says nothing here. A
 * ServerHello is read whether or not its ClientHello was taken, as after a restart. A message that is longer than
 * HELLO_MESSAGE_MAX says nothing. A HelloVerifyRequest between the fragments of a ServerHello does not end the reading
 * of that; there it is read only if it is whole. */
enum hello_said hello_reply(struct hello *hello, const struct hello_key *key, const uint8_t *data, size_t len,
			    struct hello_cid *cid);

#endif

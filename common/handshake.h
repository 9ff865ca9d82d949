/* One source's handshake in mode nat, as it passes: which CID its server has given out, when it is over, and how much
 * the source may get before it has shown that it is reachable. Pure; reads datagrams through hello.h and dtls.h.
 *
 * A handshake is over once a downlink under application keys has followed an uplink that followed the ServerHello. If
 * the ServerHello gave out a CID, that uplink must bear it. Without any ServerHello it is a session from before. A
 * server that resumes a session sends its Finished right behind the ServerHello, to whoever replayed a ClientHello. So
 * each ServerHello waits for an uplink anew. When such a server repeats its flight, an uplink may come between two
 * datagrams of it, and so the first of them that is under keys shows nothing.
 *
 * While the source has shown nothing, it gets three times what it sent and an allowance (ownership.h). It has shown
 * that it is reachable once it repeated the cookie that it was sent. A server that asks for no cookie sends to
 * addresses that have shown nothing. That it does without a load balancer too, so it is counted and not held up.
 *
 * Owner: the flow table; the caller holds the flow's lock.
 */
#ifndef CIDLB_HANDSHAKE_H
#define CIDLB_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hello.h"
#include "ownership.h"
#include "resume.h"

/* All zero: nothing was seen. A copy by assignment is another handshake with the same past. */
struct handshake {
	struct hello hello;
	struct resume resume;     /* the caller's: what its server has given out */
	struct hello_cid reading; /* the CID of the ServerHello that is being read */
	struct hello_cid cid;     /* the CID of its sessions; len 0: none is known */
	struct ownership_account account;
	bool begun : 1;     /* a ClientHello went up */
	bool confirmed : 1; /* the source repeated a cookie */
	bool served : 1;    /* a ServerHello came */
	bool given : 1;     /* `cid` is that of the ServerHello. Else it is the only one that a flight has shown */
	bool refused : 1;   /* the ServerHello gives out no CID */
	bool followed : 1;  /* an uplink followed the ServerHello */
	bool over : 1;
	bool led : 1;      /* the caller's: its ClientHello offers to resume a session, and went where that leads */
	bool early : 1;    /* the server spoke under keys before any uplink followed its ServerHello */
	bool repeated : 1; /* … and its ServerHello came again, but what it said under keys did not yet */
};

struct handshake_datagram {
	const uint8_t *data;
	size_t len; /* octets */
	uint32_t now_s;
};

/* A datagram that begins with a ClientHello is sent on. Returns what it is to the handshake. */
enum hello_step handshake_hello(struct handshake *handshake, const struct hello_key *key,
				const struct handshake_datagram *up);

/* Any other datagram without a CID is sent on. */
void handshake_follow(struct handshake *handshake, const struct handshake_datagram *up);

/* Whether a datagram with this CID belongs to the handshake, and must leave through its endpoint. That is so if the CID
 * is that of its ServerHello, and until the handshake is over. A `flight` (epoch-0 handshake records before the CID)
 * belongs to it also then, because it is repeated until the last answer arrives. `guess`: a flight may belong to a
 * handshake whose ServerHello is not known, as after a restart. */
bool handshake_has(const struct handshake *handshake, const uint8_t *cid, uint8_t cid_len, bool flight, bool guess);

/* True: the ServerHello has given out this CID. */
bool handshake_gave(const struct handshake *handshake, const uint8_t *cid, uint8_t cid_len);

/* A datagram of which handshake_has() said yes is sent on. */
void handshake_show(struct handshake *handshake, const uint8_t *cid, uint8_t cid_len,
		    const struct handshake_datagram *up);

enum handshake_pass {
	HANDSHAKE_SENT,
	HANDSHAKE_REFLECTED, /* sent to an address that has shown nothing, beyond three times: no cookie was asked for
			      */
	HANDSHAKE_WITHHELD,
};

/* What a downlink changed. */
struct handshake_news {
	enum handshake_pass pass;
	bool served; /* a ServerHello came: the backend goes on with the handshake */
	bool gave;   /* with a CID, which was read now */
	bool over;   /* the handshake is over now */
};

struct handshake_news handshake_reply(struct handshake *handshake, const struct hello_key *key,
				      const struct handshake_datagram *down, const struct ownership_pair *to,
				      const struct ownership_purse *purse);

#endif

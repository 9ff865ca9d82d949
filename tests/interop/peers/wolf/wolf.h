/* What the server and the devices with wolfSSL share: PSK, and sessions over buffers. */
#ifndef CIDLB_TESTS_INTEROP_PEERS_WOLF_WOLF_H
#define CIDLB_TESTS_INTEROP_PEERS_WOLF_WOLF_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "tests/interop/peers/lines.h"

enum { WOLF_TIMEOUT_MS = 1000 };

struct wolf_session {
	unsigned number;
	bool established;
	struct sockaddr_in addr; /* of the other side, as far as was told */
	unsigned char cid[LINES_CID_OCTETS], hello_random[32];
	uint64_t expires_ms;
	const unsigned char *in; /* the datagram that is read just now */
	size_t in_len;
	int fd; /* its own; 0: none */
	WOLFSSL *ssl;
};

/* A context that reads sessions' `in` and knows the key. Exits on errors. */
WOLFSSL_CTX *wolf_context(WOLFSSL_METHOD *method, bool speaks13);

/* A session with a CID of `cid_len` octets, which is `cid`; NULL: without CIDs. Exits on errors. */
struct wolf_session *wolf_begin(WOLFSSL_CTX *ctx, const unsigned char *cid, unsigned cid_len);

/* Says what ended it, if it had begun. */
void wolf_end(struct wolf_session *session, int err);

/* Whether what was sent last of a handshake was sent again just now. */
bool wolf_repeats(struct wolf_session *session);

enum wolf_server { WOLF_PENDING_PEER, WOLF_CONNECTED, WOLF_13, WOLF_IDS };
int wolf_serve(unsigned port, unsigned id, enum wolf_server kind);
int wolf_devices(bool speaks13, bool takes_cids);

#endif

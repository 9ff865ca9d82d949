/* One DTLS 1.2 session of mbedTLS over the caller's buffers: no socket, no clock. PSK, with AES128-CCM-8 or another
 * suite that both have, or certificates, and CIDs of RFC 9146.
 *
 * The caller feeds received datagrams and tells the time. It gets outgoing datagrams and plaintext through callbacks. A
 * program may hold thousands of sessions in one thread. Sessions share a config, which outlives them. Times are in ms
 * of any monotonic clock of the caller's.
 *
 * Client:  session_start(), then session_input() and session_expire() until SESSION_ESTABLISHED.
 * Server:  starts SESSION_LISTENING: session_set_peer() and session_input() of any ClientHello. One without a valid
 *          cookie is answered by a HelloVerifyRequest and leaves no trace. So one listening session serves every new
 *          peer, until a cookie verifies and it becomes that peer's session (SESSION_HANDSHAKING).
 */
#ifndef CIDLB_SESSION_H
#define CIDLB_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SESSION_CID_MAX = 32,      /* octets; what mbedTLS is built for */
	SESSION_PSK_MAX = 32,      /* octets */
	SESSION_PLAIN_MAX = 16384, /* octets of plaintext in one record: RFC 5246, section 6.2.1 */
};

#define SESSION_NEVER UINT64_MAX

enum session_role { SESSION_CLIENT, SESSION_SERVER };

enum session_state {
	SESSION_LISTENING, /* server: no cookie verified, nothing kept */
	SESSION_HANDSHAKING,
	SESSION_ESTABLISHED,
	SESSION_CLOSED, /* close_notify sent or received */
	SESSION_FAILED, /* handshake refused or timed out, or a fatal alert */
};

/* Fills `out` with `len` unpredictable octets. Returns 0; anything else is an error. The same as lbcid_random. */
typedef int (*session_random)(void *ctx, uint8_t *out, size_t len);

/* Copied by session_config_new(). */
struct session_options {
	enum session_role role;
	const char *psk_identity;
	const uint8_t *psk_key;
	size_t psk_key_len; /* octets, 1..SESSION_PSK_MAX */
	/* PEM, in place of a PSK: a key, its certificate, and the certificates of those who issue the peer's. Each side
	 * verifies the other one, of which no name is asked. ECDHE_ECDSA with AES128-CCM-8 (RFC 7252, section 9.1.3.3).
	 * NULL: PSK. */
	const char *certificates;
	bool use_cid; /* offer or accept the connection_id extension */
	/* Client: offer every PSK suite, for any server. Otherwise only CCM_8, as constrained devices do. */
	bool all_suites;
	uint8_t cid_length; /* octets of our own CIDs; 0: the peer sends none, but we use the one that it hands out */
	/* First retransmission, and the interval after which the handshake is given up. 0: 1000, 60000. */
	uint32_t handshake_min_ms, handshake_max_ms;
	session_random random;
	void *random_ctx;
};

struct session_config;
struct session;

/* -EINVAL: an option out of range, or certificates that cannot be read. -EIO: the random source failed. -ENOMEM. */
int session_config_new(struct session_config **out, const struct session_options *options);
void session_config_free(struct session_config *config);

/* `send`: one outgoing datagram. `deliver`: the plaintext of one record. Both are called from within session_start(),
 * session_input(), session_expire(), session_write() and session_close(). Neither may free the session. Only `deliver`
 * may call session_write() on it. */
struct session_callbacks {
	void (*send)(void *ctx, const uint8_t *data, size_t len);
	void (*deliver)(void *ctx, const uint8_t *data, size_t len);
};

/* `own_cid`: config's cid_length octets that the peer is to put into its records. NULL if that is 0 or use_cid is
 * false. */
int session_new(struct session **out, struct session_config *config, const uint8_t *own_cid,
		const struct session_callbacks *callbacks, void *ctx);
void session_free(struct session *session); /* in any state; sends nothing; NULL is fine */

/* Listening server: the transport address of the peer, to which its cookie is bound. -ENOMEM. */
int session_set_peer(struct session *session, const uint8_t *id, size_t len);

/* Client: sends the ClientHello. */
enum session_state session_start(struct session *session, uint64_t now_ms);

/* Feeds one received datagram, whichever address it came from. Does not change `data`. Records that are malformed,
 * forged, replayed or under another CID are ignored. */
enum session_state session_input(struct session *session, const uint8_t *data, size_t len, uint64_t now_ms);

/* When session_expire() is due (handshake retransmission), or SESSION_NEVER. Ask again after every other call. */
uint64_t session_deadline(const struct session *session);
enum session_state session_expire(struct session *session, uint64_t now_ms);

/* Sends `len` octets as one record. -ENOTCONN: not established. -EMSGSIZE: more than SESSION_PLAIN_MAX. */
int session_write(struct session *session, const uint8_t *data, size_t len);

/* Sends close_notify if established. */
void session_close(struct session *session);

enum session_state session_state(const struct session *session);

/* Why the session is SESSION_FAILED, in words: the peer's fatal alert ("unknown_psk_identity"), or what mbedTLS found.
 * NULL: it has not failed. The text is static. */
const char *session_reason(const struct session *session);

/* The fatal alert by which the peer refused the handshake (RFC 5246, section 7.2), or -1. It came in clear, so anybody
 * may have sent it. */
int session_alert(const struct session *session);

/* Client: the handshake lacks only the server's Finished. So the server has agreed to everything but the key. */
bool session_awaits_finished(const struct session *session);

/* Whether the handshake agreed on CIDs: the peer's records carry ours, and ours carry the peer's. False unless
 * established. */
bool session_uses_cid(struct session *session);

/* Returns the octets of the CID that our records carry; 0: none. */
size_t session_peer_cid(struct session *session, uint8_t cid[static SESSION_CID_MAX]);

/* What session_check() says of a datagram before it is fed, for the rule of RFC 9146, section 6. */
enum session_check {
	SESSION_CHECK_FORGED, /* no protected record of this session, or one that does not verify or was seen before */
	SESSION_CHECK_OLD,    /* verifies, but a newer one came before: deliver it, but do not move the address */
	SESSION_CHECK_NEWEST, /* verifies, and its (epoch, sequence number) is greater than all before */
};

/* Judges the first protected record (epoch >= 1) of the datagram. Does not change the session. */
enum session_check session_check(struct session *session, const uint8_t *data, size_t len);

/* Hands the session over to another process. What is written holds the keys. Keep it from everybody, wipe it after use,
 * and load it only once: two sessions made of it would use each nonce twice. A saved session has ended. It is
 * SESSION_CLOSED and can send nothing any more.
 *
 * -ENOTCONN: not established. -ENOTSUP: mbedTLS cannot save it, or not yet; it goes on. Its suite is no AEAD, it is not
 * DTLS 1.2, or the peer has sent no application record and may still ask for our last handshake flight. -ENOSPC: *len
 * octets are needed; it goes on. -EIO: it is lost (SESSION_FAILED). */
int session_save(struct session *session, uint8_t *out, size_t size, size_t *len);

/* Has a session that was just made by session_new() go on where the saved one ended, with the same keys and CIDs and
 * the next sequence number. Records that it has seen are refused. It was made with the own CID of the saved one,
 * because mbedTLS does not keep that. -EBADMSG: not saved under such a config; -ENOMEM: only session_free() may follow.
 */
int session_load(struct session *session, const uint8_t *data, size_t len);

#endif

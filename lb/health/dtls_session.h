/* A DTLS session from the probe to one backend, over two ports: `home`, where it was answered last, and `away`, a new
 * one. */
#ifndef CIDLB_HEALTH_DTLS_SESSION_H
#define CIDLB_HEALTH_DTLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/session.h"
#include "health/probe_port.h"

struct dtls_session {
	struct probe *probe;
	struct session_config *config;
	struct session *session; /* NULL: none */
	struct probe_port ports[2];
	struct probe_port *home, *away;
	struct probe_port *at; /* the port that the session sends from: of the datagram that is being fed, or told by
				  dtls_session_write() */
	int err;               /* -errno: the last thing sent was not taken */
	size_t cid_len;        /* octets of what our records carry; 0: the session is bound to its port */
	uint8_t cid[SESSION_CID_MAX];
	void (*deliver)(struct dtls_session *dtls, const uint8_t *data, size_t len);
};

/* Credentials are those of probe->spec. Returns 0 or -errno. */
int dtls_session_init(struct dtls_session *dtls, struct probe *probe,
		      void (*deliver)(struct dtls_session *dtls, const uint8_t *data, size_t len));

/* Says close_notify and frees everything. Also to be called after a dtls_session_init() that failed. */
void dtls_session_free(struct dtls_session *dtls);

/* `away` becomes home; the old home is closed. */
void dtls_session_move(struct dtls_session *dtls);

/* A new session, from a new home. Returns 0 or -errno. */
int dtls_session_begin(struct dtls_session *dtls);

/* Forgets the session and closes both ports. Says nothing. */
void dtls_session_drop(struct dtls_session *dtls);

/* Takes what came to `port`, and returns the session's state. There must be a session. */
enum session_state dtls_session_input(struct dtls_session *dtls, struct probe_port *port, const uint8_t *data,
				      size_t len);

/* The session's timer. */
uint64_t dtls_session_left_us(const struct dtls_session *dtls); /* UINT64_MAX: none */
enum session_state dtls_session_expire(struct dtls_session *dtls);

/* Writes why a handshake failed or came to nothing, in words and with a hint. True: it was refused. */
bool dtls_session_explain(const struct dtls_session *dtls, char *text, size_t size);

/* Sends one record from `port`. Returns 0 or -errno. */
int dtls_session_write(struct dtls_session *dtls, struct probe_port *port, const uint8_t *data, size_t len);

/* Sends one record from where the session is, within deliver(). */
void dtls_session_reply(struct dtls_session *dtls, const uint8_t *data, size_t len);

#endif

/* A DTLS session from the probe to one backend, over two ports: `home`, where it was answered last, and `away`, a new
 * one. */
#ifndef CIDLB_PROBE_LINE_H
#define CIDLB_PROBE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/session.h"
#include "health/probe.h"

struct line {
	struct probe *probe;
	struct session_config *config;
	struct session *session; /* NULL: none */
	struct probe_port ports[2];
	struct probe_port *home, *away;
	struct probe_port *at; /* the port that the session sends from: of the datagram that is being fed, or told by
				  line_write() */
	int error;             /* an errno: the last thing sent was not taken */
	size_t cid_len;        /* octets of what our records carry; 0: the session is bound to its port */
	uint8_t cid[SESSION_CID_MAX];
	void (*deliver)(struct line *line, const uint8_t *data, size_t len);
};

/* Credentials are those of probe->spec. Returns 0 or -errno. */
int line_init(struct line *line, struct probe *probe,
	      void (*deliver)(struct line *line, const uint8_t *data, size_t len));

/* Says close_notify, and frees everything. Also after a line_init() that failed. */
void line_free(struct line *line);

/* `away` becomes home; the old home is closed. */
void line_move(struct line *line);

/* A new session, from a new home. Returns 0 or an errno. */
int line_begin(struct line *line);

/* Forgets the session and closes both ports. Says nothing. */
void line_drop(struct line *line);

/* What came to `port`. Returns the session's state; there must be one. */
enum session_state line_input(struct line *line, struct probe_port *port, const uint8_t *data, size_t len);

/* The session's timer. */
uint64_t line_left_us(const struct line *line); /* UINT64_MAX: none */
enum session_state line_expire(struct line *line);

/* Why there is no session, in words with a hint, of a handshake that failed or came to nothing. Returns true if it was
 * refused. */
bool line_explain(const struct line *line, char *text, size_t size);

/* As one record from `port`. Returns 0 or an errno. */
int line_write(struct line *line, struct probe_port *port, const uint8_t *data, size_t len);

/* From where the session is at, within deliver(). */
void line_reply(struct line *line, const uint8_t *data, size_t len);

#endif

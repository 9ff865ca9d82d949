/* The CoAP server of one session: requests in, responses and notifications out (RFC 7252, RFC 7641).
 *
 *   /time               seconds; observable: CON notifications every notify_ms
 *   /echo               POST or GET: the payload back
 *   /slow               an empty ACK at once, a separate CON response 300 ms later
 *   /.well-known/cidlb  a line of steering words, and what the server counted as JSON: service.h
 *
 * There is one observation and one slow response at a time. A further registration replaces the first. The responder
 * has no socket, and is told the time in ms.
 */
#ifndef CIDLB_BENCH_BACKEND_RESPONDER_H
#define CIDLB_BENCH_BACKEND_RESPONDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/lib/dice.h"
#include "bench/programs/backend/pack.h"
#include "bench/programs/backend/service.h"
#include "common/coap.h"

enum {
	RESPONDER_REPLIES = 4,
	RESPONDER_REPLY_OCTETS = 192,
	RESPONDER_CON_OCTETS = 48,
	RESPONDER_TRANSMISSIONS = 5, /* MAX_RETRANSMIT 4 and the first: RFC 7252, section 4.8 */
};

#define RESPONDER_NEVER UINT64_MAX

/* The answer to a message id (RFC 7252, section 4.5). */
struct reply {
	bool used;
	uint16_t id;
	uint16_t len; /* octets; 0: a repeated request is not answered */
	uint8_t octets[RESPONDER_REPLY_OCTETS];
};

/* A CON message until it is acknowledged (RFC 7252, section 4.2). */
struct confirmable {
	bool waiting;
	unsigned transmissions;
	uint16_t id;
	uint16_t len;        /* octets */
	uint64_t due_ms;     /* of the next transmission, or of giving up */
	uint32_t timeout_ms; /* doubles */
	uint8_t octets[RESPONDER_CON_OCTETS];
};

struct responder {
	const struct service *service;
	void (*write)(void *ctx, const uint8_t *data, size_t len);
	void *ctx;
	struct dice dice;
	uint16_t next_id;
	struct reply replies[RESPONDER_REPLIES];
	unsigned next_reply;
	bool observed; /* /time */
	uint8_t token_len;
	uint8_t token[COAP_TOKEN_MAX];
	uint32_t sequence; /* 24 bits */
	uint64_t notify_at_ms;
	struct confirmable notification;
	struct confirmable slow;
};

void responder_init(struct responder *responder, const struct service *service, uint64_t seed,
		    void (*write)(void *ctx, const uint8_t *data, size_t len), void *ctx);

/* Takes one message. What is not CoAP is rejected or ignored (RFC 7252, section 4.2). */
void responder_input(struct responder *responder, const uint8_t *data, size_t len, uint64_t now_ms);

/* Returns when responder_expire() is due, or RESPONDER_NEVER. */
uint64_t responder_deadline(const struct responder *responder);
void responder_expire(struct responder *responder, uint64_t now_ms);

/* Saves what has to go on in another process, and loads it into a responder that was just initialized. in->bad
 * afterwards: that was no such state, and the responder is good for nothing. */
void responder_save(const struct responder *responder, struct pack *out, uint64_t now_ms);
void responder_load(struct responder *responder, struct unpack *in, uint64_t now_ms);

#endif

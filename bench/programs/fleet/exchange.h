/* What a device does with CoAP: one confirmable exchange at a time (RFC 7252, section 4.2, NSTART 1) and at most one
 * observation (RFC 7641). Pure: requests, messages and the time go in, what to send comes out. Times are ms of any
 * monotonic clock.
 */
#ifndef CIDLB_BENCH_FLEET_EXCHANGE_H
#define CIDLB_BENCH_FLEET_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/coap.h"

enum {
	EXCHANGE_TRIES = 5, /* MAX_RETRANSMIT 4: RFC 7252, section 4.8 */
	EXCHANGE_REQUEST_MAX = 160,
	EXCHANGE_REPLY_OCTETS = COAP_HEADER_OCTETS,
};

#define EXCHANGE_NEVER UINT64_MAX

enum exchange_state {
	EXCHANGE_IDLE,
	EXCHANGE_SENT,  /* no ACK yet: repeated when deadline_ms comes */
	EXCHANGE_ACKED, /* the response will be a message of its own */
};

struct exchange {
	enum exchange_state state;
	uint8_t tries;     /* sent so far */
	uint16_t id;       /* message id */
	uint8_t token_len; /* of the last request, kept when idle: it marks late responses */
	uint8_t token[COAP_TOKEN_MAX];
	uint64_t deadline_ms; /* EXCHANGE_NEVER: idle */
	uint64_t span_ms;     /* from the last try to the next */
	uint8_t request[EXCHANGE_REQUEST_MAX];
	size_t request_len;
};

struct observation {
	bool on;
	uint8_t token_len;
	uint8_t token[COAP_TOKEN_MAX];
	uint32_t number;   /* Observe option of the newest notification */
	uint64_t heard_ms; /* when that came */
};

/* Starts an exchange; the caller sends exchange->request. span_ms: until the first repetition, ACK_TIMEOUT × 1..1.5. A
 * request that carries the observation's token and Observe 0 registers it. -EBUSY: one is under way. Else as
 * coap_encode(). */
int exchange_begin(struct exchange *exchange, const struct coap_message *request, uint64_t span_ms, uint64_t now_ms);

enum exchange_due {
	EXCHANGE_WAIT,     /* nothing is due */
	EXCHANGE_RESEND,   /* send exchange->request again */
	EXCHANGE_GIVEN_UP, /* five tries, or the wait for a separate response, were in vain */
};
enum exchange_due exchange_expire(struct exchange *exchange, uint64_t now_ms);

enum exchange_event {
	EXCHANGE_NOTHING,    /* an ACK, a duplicate, or nothing of ours */
	EXCHANGE_ANSWERED,   /* 2.xx: the exchange is over */
	EXCHANGE_REFUSED,    /* 4.xx, 5.xx or RST: the exchange is over */
	EXCHANGE_NOTIFIED,   /* a notification newer than all before */
	EXCHANGE_UNOBSERVED, /* the server ended the observation: RFC 7641, section 4.2 */
};

/* A message from the server, and what goes back at once. */
struct exchange_input {
	const uint8_t *data;
	size_t len;
	uint8_t reply[EXCHANGE_REPLY_OCTETS];
	size_t reply_len; /* 0: nothing goes back */
};

/* Takes one message from the server, and makes its reply. */
enum exchange_event exchange_take(struct exchange *exchange, struct observation *observation,
				  struct exchange_input *input, uint64_t now_ms);

/* Forgets what is under way: its session has ended. */
void exchange_reset(struct exchange *exchange);

#endif

/* The keyless question of the `dtls` probe: a ClientHello without cookie (RFC 6347, section 4.2.1; RFC 9147,
 * section 5.1) that nearly every server answers with 60 octets and no state. Pure. */
#ifndef CIDLB_HEALTH_PROBE_HELLO_H
#define CIDLB_HEALTH_PROBE_HELLO_H

#include <stddef.h>
#include <stdint.h>

enum {
	PROBE_HELLO_OCTETS = 148,
	PROBE_NUMBER_AT = 5,
	PROBE_HELLO_RANDOM_AT = 27,
	PROBE_HELLO_RANDOM_OCTETS = 32,
	PROBE_ABORT_OCTETS = 15,
};

/* One record, number 0, one fragment: no CID, no session id, no cookie. */
void probe_hello_write(uint8_t out[static PROBE_HELLO_OCTETS], const uint8_t random[static PROBE_HELLO_RANDOM_OCTETS]);

/* What a server said that may be alive. Any DTLS is life: a server without a common suite answers with an alert. */
enum probe_answer {
	PROBE_ANSWER_NONE,         /* no DTLS, or our own question come back */
	PROBE_ANSWER_RETRY,        /* HelloVerifyRequest or HelloRetryRequest: it keeps no state */
	PROBE_ANSWER_SERVER_HELLO, /* it has begun a session: probe_hello_abort() ends that */
	PROBE_ANSWER_ALERT,
	PROBE_ANSWER_OTHER, /* any other DTLS */
};

enum probe_answer probe_hello_read(const uint8_t *data, size_t len);

/* In words, for logs. */
const char *probe_answer_name(enum probe_answer answer);

/* The fatal alert after a ServerHello: record 1. */
extern const uint8_t probe_hello_abort[PROBE_ABORT_OCTETS];

/* Numbers a record anew. The numbers of one port have to rise. A server that keeps a session per address, as pion and
 * OpenSSL do, takes a repeated one for a replay (RFC 6347, section 4.1.2.6), and would be silent from the second probe
 * on. */
void probe_hello_number(uint8_t record[static PROBE_ABORT_OCTETS], uint64_t number);

#endif

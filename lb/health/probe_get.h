/* The question of the `coaps` probe, and what answers it: a CoAP GET (RFC 7252). Two may be open at once. Pure. */
#ifndef CIDLB_HEALTH_PROBE_GET_H
#define CIDLB_HEALTH_PROBE_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/coap.h"

enum {
	PROBE_GET_OCTETS = 128,
	PROBE_GET_TOKEN_OCTETS = 4,
	PROBE_GET_CODE_OCTETS = 40,
	PROBE_GET_WORDS_OCTETS = 1024,
};

/* From where a GET goes. Each is one message with an id and a token of its own; it is repeated as it is. */
enum probe_get_from { PROBE_GET_AWAY, PROBE_GET_HOME, PROBE_GETS };

struct probe_get {
	struct {
		uint16_t id;
		uint8_t token[PROBE_GET_TOKEN_OCTETS];
	} asked[PROBE_GETS];
	bool accepted; /* an empty ACK: the response comes later (RFC 7252, section 5.2.2) */
	bool answered; /* by a response, whatever its code, or a RST */
	enum probe_get_from to;
	char code[PROBE_GET_CODE_OCTETS];      /* "2.05 Content" */
	uint8_t words[PROBE_GET_WORDS_OCTETS]; /* payload of a 2.05 */
	size_t words_len;                      /* octets; 0: none, or too many to find the end of the first line */
};

/* New questions, not answered. `random`: PROBE_GET_RANDOM_OCTETS unpredictable octets. */
enum { PROBE_GET_RANDOM_OCTETS = PROBE_GETS * (PROBE_GET_TOKEN_OCTETS + 2) };
void probe_get_init(struct probe_get *get, const uint8_t random[static PROBE_GET_RANDOM_OCTETS]);

/* Returns its octets. `path`: shorter than COAP_PATH_MAX. */
size_t probe_get_write(const struct probe_get *get, enum probe_get_from from, const char *path,
		       uint8_t out[static PROBE_GET_OCTETS]);

/* Reads a message. What comes after the answer changes nothing. Returns the octets of what the peer waits for: an ACK
 * of its confirmable answer, a RST of anything else that is confirmable, or 0. */
size_t probe_get_read(struct probe_get *get, const uint8_t *data, size_t len, uint8_t reply[static COAP_HEADER_OCTETS]);

#endif

/* CoAP messages (RFC 7252), as far as the probe, the reference server and the fleet speak it: header, token, Observe
 * (RFC 7641), Uri-Path, Content-Format, payload.
 *
 * Pure. The payload of a decoded message points into the caller's datagram.
 */
#ifndef CIDLB_COAP_H
#define CIDLB_COAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum coap_type { COAP_CON, COAP_NON, COAP_ACK, COAP_RST };

#define COAP_CODE(class, detail) ((class) << 5 | (detail))

enum coap_code {
	COAP_EMPTY = 0,
	COAP_GET = COAP_CODE(0, 1),
	COAP_POST = COAP_CODE(0, 2),
	COAP_PUT = COAP_CODE(0, 3),
	COAP_DELETE = COAP_CODE(0, 4),
	COAP_CHANGED = COAP_CODE(2, 4),
	COAP_CONTENT = COAP_CODE(2, 5),
	COAP_BAD_OPTION = COAP_CODE(4, 2),
	COAP_NOT_FOUND = COAP_CODE(4, 4),
	COAP_METHOD_NOT_ALLOWED = COAP_CODE(4, 5),
};

enum {
	COAP_HEADER_OCTETS = 4,
	COAP_TOKEN_MAX = 8,
	COAP_PATH_MAX = 64, /* characters of "/a/b" that a message holds, with the final NUL */
	COAP_OBSERVE_MAX = 0xffffff,
	COAP_FORMAT_TEXT = 0,
	COAP_FORMAT_JSON = 50,
};

/* Observe is 0 in a register request and 1 in a deregister request. In a notification it is a sequence number. RFC
 * 7641, section 2. */
enum { COAP_OBSERVE_REGISTER = 0, COAP_OBSERVE_DEREGISTER = 1 };

struct coap_message {
	enum coap_type type;
	uint8_t code; /* enum coap_code, or any other octet */
	uint16_t id;
	uint8_t token_len; /* octets, 0..8 */
	uint8_t token[COAP_TOKEN_MAX];
	bool has_observe;
	uint32_t observe; /* 24 bits */
	bool has_format;
	uint16_t format;
	char path[COAP_PATH_MAX]; /* "/a/b"; "": no Uri-Path */
	uint16_t bad_option;      /* decoded: the first critical option not understood (answer 4.02), else 0 */
	const uint8_t *payload;
	size_t payload_len; /* octets; 0: none */
};

/* Reads a whole datagram. -EBADMSG: an option longer than it may be, or malformed by RFC 7252, section 3: version,
 * token length, reserved nibble 15, an option or marker cut short, an empty payload behind a marker, an Empty message
 * with more than a header. -ENOTSUP: well-formed, but the path does not fit, or a segment contains '/' or NUL. Whenever
 * there is a header of version 1, `out->type` and `out->id` are set, so that the caller can reject a CON. */
int coap_decode(struct coap_message *out, const uint8_t *data, size_t len);

/* Writes the message and sets its length. -EINVAL: a field is out of range. -ENOSPC: longer than `size`. */
int coap_encode(const struct coap_message *message, uint8_t *out, size_t size, size_t *len);

/* 2.xx, 4.xx or 5.xx. */
static inline bool coap_is_response(uint8_t code)
{
	return code >= COAP_CODE(2, 0) && code < COAP_CODE(6, 0);
}

/* 0.01 .. 0.31. */
static inline bool coap_is_request(uint8_t code)
{
	return code > COAP_EMPTY && code < COAP_CODE(1, 0);
}

#endif

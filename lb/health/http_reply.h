/* A reply of an HTTP/1 server, read as far as a probe needs it (RFC 9112): status, and a body of known end. Pure. */
#ifndef CIDLB_HEALTH_HTTP_REPLY_H
#define CIDLB_HEALTH_HTTP_REPLY_H

#include <stddef.h>
#include <stdint.h>

enum { HTTP_STATUS_OCTETS = 48 };

struct http_reply {
	unsigned status;               /* 200..999; 0: not known yet */
	char text[HTTP_STATUS_OCTETS]; /* "503 Service Unavailable", printable, shortened */
	const uint8_t *body;           /* in the data; HTTP_WHOLE only */
	size_t body_len;               /* octets */
};

enum http_reading {
	HTTP_MORE, /* is to come; `status` and `text` are set once the head is whole */
	HTTP_WHOLE,
	HTTP_BROKEN, /* no HTTP/1, or malformed */
};

enum http_input {
	HTTP_OPEN,
	HTTP_ENDED, /* nothing more will come */
};

/* Reads all that has come so far. A chunked body is joined in place, once it is whole. */
enum http_reading http_reply_read(struct http_reply *out, uint8_t *data, size_t len, enum http_input input);

#endif

/* The head of an HTTP request (RFC 9112), for a door that answers GET and HEAD and closes. Pure.
 *
 * It is strict, because a reader that is lenient may understand another request than a proxy before it. Lines end with
 * CRLF. There is at most one Host and one Content-Length, and exactly one Host in HTTP/1.1. Nothing is folded. */
#ifndef CIDLB_ADMIN_HTTP_REQUEST_H
#define CIDLB_ADMIN_HTTP_REQUEST_H

#include <stddef.h>

enum { HTTP_HEAD_OCTETS = 8192, HTTP_BODY_OCTETS = 1024 /* no page takes a body */ };

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER };

/* Octets of the head; valid as long as that. */
struct http_text {
	const char *at; /* NULL: absent */
	size_t len;
};

struct http_request {
	enum http_method method;
	struct http_text path; /* without its query */
	struct http_text host, origin;
};

/* Octets of the head, with the empty line that ends it, or 0: it is not whole yet. */
size_t http_head_len(const char *data, size_t len);

/* Reads a whole head. 0, or the HTTP status that refuses it: 400, 413, 501 or 505. */
int http_request_read(struct http_request *out, const char *head, size_t len);

#endif

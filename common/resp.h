/* Replies of a Redis or Valkey server, in version 2 of its protocol (RESP2, redis.io/docs/reference/protocol-spec).
 *
 * A reply is one item. An array is an item, and the items that it says follow it. Nothing is copied or allocated, and
 * no item is larger than what has arrived. Pure.
 */
#ifndef CIDLB_RESP_H
#define CIDLB_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

enum resp_type {
	RESP_STATUS, /* "+OK" */
	RESP_ERROR,  /* "-WRONGPASS …" */
	RESP_NUMBER,
	RESP_TEXT,
	RESP_ARRAY,
	RESP_NOTHING, /* a text or an array that is null */
};

enum {
	RESP_DEPTH = 8, /* arrays within arrays, at most */
	RESP_LINE_OCTETS = 512,
	RESP_MAX_OCTETS = 1 << 20, /* of one reply */
};

struct resp_item {
	enum resp_type type;
	int64_t number;        /* RESP_NUMBER; RESP_ARRAY: how many items follow it */
	const uint8_t *octets; /* RESP_STATUS, RESP_ERROR, RESP_TEXT: in memory of the caller */
	size_t len;
};

/* The octets of the reply that begins at `data`. 0: it is not whole yet. -EBADMSG: it is none, or beyond the limits. */
long resp_reply_octets(const uint8_t *data, size_t len);

/* Takes the next item of a reply that is whole. False: there is none left. */
bool resp_next(struct bytes *in, struct resp_item *out);

/* Takes an item, which must be an array, and tells how many follow. -1: it is something else. */
int64_t resp_next_array(struct bytes *in);

/* Takes an item, which must be a text of less than `room` octets, and ends it with a NUL. False: it is something else,
 * or has a NUL in it. */
bool resp_next_text(struct bytes *in, char *out, size_t room);

/* Passes over an item and what it consists of. False: there is none left. */
bool resp_skip(struct bytes *in);

#endif

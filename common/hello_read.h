/* The octets of one hello, read in order, in as many parts as they come. For hello.c; resume.c takes the messages of a
 * datagram apart with it.
 *
 * Pure. A reader is a small value; its owner may put it away between two parts of a message.
 */
#ifndef CIDLB_HELLO_READ_H
#define CIDLB_HELLO_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "hello.h"

/* msg_type (RFC 6347, section 4.3.2). */
enum { HELLO_CLIENT = 1, HELLO_SERVER = 2, HELLO_VERIFY = 3 };

/* Cookies are kept as a hash modulo this: a polynomial in a secret point (struct hello_key). */
enum { HELLO_HASH_PRIME = 16777213 };

/* Whose message it is. A ServerHello is taken for a HelloRetryRequest until its random says otherwise. */
enum hello_sender { SENDER_CLIENT, SENDER_VERIFY, SENDER_RETRY, SENDER_SERVER };

/* What the next octet belongs to. */
enum hello_field {
	FIELD_NONE, /* no message is under way */
	FIELD_HEAD, /* version, and but for HelloVerifyRequest the random */
	FIELD_SESSION_LENGTH,
	FIELD_SESSION,
	FIELD_COOKIE_LENGTH,
	FIELD_COOKIE,
	FIELD_SUITES_HIGH, /* octet of the length */
	FIELD_SUITES_LOW,
	FIELD_SUITES, /* of a server: its suite and compression method */
	FIELD_COMPRESSION_LENGTH,
	FIELD_COMPRESSION,
	FIELD_EXTENSIONS, /* the length of all */
	FIELD_TYPE_HIGH,
	FIELD_TYPE_LOW,
	FIELD_LENGTH_HIGH,
	FIELD_LENGTH_LOW,
	FIELD_BODY,        /* of an extension that is not wanted, or what makes no sense up to the end */
	FIELD_BODY_COOKIE, /* RFC 8446, section 4.2.2 */
	FIELD_CID_LENGTH,
	FIELD_CID,
};

struct hello_reader {
	enum hello_sender sender;
	enum hello_field field;
	uint8_t seq;
	uint16_t at, left; /* octets */
	uint32_t running;  /* a hash, or flags: see hello_read.c */
};

/* One message, or a fragment of one. */
struct hello_message {
	uint8_t type;
	uint8_t seq;     /* lowest bit of message_seq */
	uint32_t length; /* octets of the whole message */
	uint32_t offset;
	struct bytes body; /* the fragment */
};

/* What the octets that were read have brought. The caller sets all to zero before. */
struct hello_found {
	bool server;   /* the random of a ServerHello that is no retry ended */
	bool cookie;   /* a cookie ended, and is not empty */
	uint32_t hash; /* of it */
	bool cid;      /* extension 54 ended, and its CID is whole */
	bool rrc;      /* extension 61 */
	bool ended;    /* the message ended */
	bool without;  /* with `ended`, of a ServerHello that is no retry: it has no CID */
};

/* The epoch-0 handshake messages of a datagram, one after the other. False: there is none left, or what follows is not
 * to be read. `record` is what is left of a record; at first it is empty. */
bool hello_next(struct hello_message *message, struct bytes *datagram, struct bytes *record);

/* Reads what the message has of new octets. False: it has none, or they do not continue what was read. `point`: of
 * struct hello_key. `cid` may be NULL for messages of a client. */
bool hello_read(struct hello_reader *reader, const struct hello_message *message, uint32_t point,
		struct hello_found *found, struct hello_cid *cid);

#endif

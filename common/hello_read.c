#include "hello_read.h"

#include <string.h>

#include "dtls.h"

enum {
	EXTENSION_COOKIE = 44, /* RFC 8446, section 4.2.2 */
	EXTENSION_CID = 54,    /* RFC 9146, section 3 */
	EXTENSION_RRC = 61,    /* RFC 9853, section 3 */
	VERSION_OCTETS = 2,
	RANDOM_OCTETS = 32,
	SUITE_OCTETS = 3, /* the one suite and the one compression method of a server */
	HASH_BEGIN = 1,   /* so that zeros in front count, too */
};

/* What `running` says where it is no hash. */
enum { WANTED = 1 /* the extension whose length comes next is wanted */, CID_READ = 2 };

/* The random of a HelloRetryRequest (RFC 8446, section 4.1.3). */
static const uint8_t retry_random[RANDOM_OCTETS] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static bool is_server(const struct hello_reader *reader)
{
	return reader->sender == SENDER_RETRY || reader->sender == SENDER_SERVER;
}

/* What follows makes no sense: it is skipped up to the end of the message, which is not longer than this. */
static void get_lost(struct hello_reader *reader)
{
	reader->field = FIELD_BODY;
	reader->left = HELLO_MESSAGE_MAX;
}

/* The field that follows one which has ended. Where fields of known length follow, `left` is set. */
static void field_leave(struct hello_reader *reader)
{
	const bool server = is_server(reader);

	reader->left = 0;
	switch (reader->field) {
	case FIELD_HEAD:
		reader->field = reader->sender == SENDER_VERIFY ? FIELD_COOKIE_LENGTH : FIELD_SESSION_LENGTH;
		break;
	case FIELD_SESSION:
		reader->field = server ? FIELD_SUITES : FIELD_COOKIE_LENGTH;
		reader->left = SUITE_OCTETS;
		break;
	case FIELD_COOKIE:
		if (reader->sender == SENDER_VERIFY)
			get_lost(reader);
		else
			reader->field = FIELD_SUITES_HIGH;
		break;
	case FIELD_SUITES:
		reader->field = server ? FIELD_EXTENSIONS : FIELD_COMPRESSION_LENGTH;
		reader->left = 2;
		break;
	case FIELD_COMPRESSION:
		reader->field = FIELD_EXTENSIONS;
		reader->left = 2;
		break;
	default: /* FIELD_EXTENSIONS, and what an extension ends with */
		reader->field = FIELD_TYPE_HIGH;
		break;
	}
}

/* A field of `octets` begins. */
static void field_enter(struct hello_reader *reader, enum hello_field field, size_t octets)
{
	if (octets > HELLO_MESSAGE_MAX) {
		get_lost(reader);
		return;
	}
	reader->field = field;
	reader->left = (uint16_t)octets;
	if (octets == 0)
		field_leave(reader);
}

static void type_take(struct hello_reader *reader, struct hello_found *found, uint32_t type)
{
	const uint32_t wanted = reader->sender == SENDER_SERVER ? EXTENSION_CID : EXTENSION_COOKIE;

	if (reader->sender == SENDER_SERVER) {
		found->rrc |= type == EXTENSION_RRC;
		reader->running &= CID_READ;
	} else {
		reader->running = 0;
	}
	if (type == wanted)
		reader->running |= WANTED;
	reader->field = FIELD_LENGTH_HIGH;
}

/* A cookie stands behind a length of two octets. They are hashed with it. */
static void length_take(struct hello_reader *reader, size_t length)
{
	if (reader->running == WANTED && reader->sender != SENDER_SERVER && length > 2) {
		reader->running = HASH_BEGIN;
		field_enter(reader, FIELD_BODY_COOKIE, length);
	} else if (reader->running == WANTED && reader->sender == SENDER_SERVER && length > 1 &&
		   length <= 1 + HELLO_CID_MAX) {
		field_enter(reader, FIELD_CID_LENGTH, length);
	} else {
		field_enter(reader, FIELD_BODY, length);
	}
}

/* One octet of a type or of a length. The first of two waits in `left`. */
static void number_take(struct hello_reader *reader, struct hello_found *found, uint8_t octet)
{
	const uint32_t both = (uint32_t)(reader->left << 8 | octet);

	switch (reader->field) {
	case FIELD_SESSION_LENGTH:
		field_enter(reader, FIELD_SESSION, octet);
		break;
	case FIELD_COOKIE_LENGTH:
		reader->running = HASH_BEGIN;
		field_enter(reader, FIELD_COOKIE, octet);
		break;
	case FIELD_SUITES_LOW:
		field_enter(reader, FIELD_SUITES, both);
		break;
	case FIELD_COMPRESSION_LENGTH:
		field_enter(reader, FIELD_COMPRESSION, octet);
		break;
	case FIELD_TYPE_LOW:
		type_take(reader, found, both);
		break;
	case FIELD_LENGTH_LOW:
		length_take(reader, both);
		break;
	case FIELD_CID_LENGTH:
		field_enter(reader, octet + 1 == reader->left ? FIELD_CID : FIELD_BODY, reader->left - 1U);
		break;
	default: /* the first octet of two */
		reader->left = octet;
		reader->field++;
		break;
	}
}

static bool is_number(enum hello_field field)
{
	switch (field) {
	case FIELD_HEAD:
	case FIELD_SESSION:
	case FIELD_COOKIE:
	case FIELD_SUITES:
	case FIELD_COMPRESSION:
	case FIELD_EXTENSIONS:
	case FIELD_BODY:
	case FIELD_BODY_COOKIE:
	case FIELD_CID:
		return false;
	default:
		return true;
	}
}

/* The octets of version and random that begin at reader->at. */
static void head_take(struct hello_reader *reader, const uint8_t *octets, size_t n)
{
	for (size_t i = 0; reader->sender == SENDER_RETRY && i < n; i++) {
		const size_t at = reader->at + i;

		if (at >= VERSION_OCTETS && octets[i] != retry_random[at - VERSION_OCTETS])
			reader->sender = SENDER_SERVER;
	}
}

/* A polynomial in a secret point, modulo a prime: who does not know the point finds no two cookies that look alike, and
 * the next fragment can go on where this one ends. */
static void cookie_take(struct hello_reader *reader, uint32_t point, const uint8_t *octets, size_t n)
{
	uint64_t hash = reader->running;

	for (size_t i = 0; i < n; i++)
		hash = (hash * point + octets[i]) % HELLO_HASH_PRIME;
	reader->running = (uint32_t)hash;
}

static void cid_take(struct hello_cid *cid, const uint8_t *octets, size_t n)
{
	for (size_t i = 0; i < n && cid->len < HELLO_CID_MAX; i++)
		cid->octets[cid->len++] = octets[i];
}

/* The last octet of a field was read. */
static void content_end(struct hello_reader *reader, struct hello_found *found, struct hello_cid *cid)
{
	switch (reader->field) {
	case FIELD_HEAD:
		reader->running = 0;
		if (reader->sender != SENDER_SERVER)
			break;
		found->server = true;
		if (cid)
			cid->len = 0;
		break;
	case FIELD_COOKIE:
	case FIELD_BODY_COOKIE:
		found->cookie = true;
		found->hash = reader->running;
		reader->running = 0;
		break;
	case FIELD_CID:
		found->cid = true;
		reader->running = CID_READ;
		break;
	default:
		break;
	}
	field_leave(reader);
}

static size_t content_take(struct hello_reader *reader, struct hello_found *found, uint32_t point,
			   const struct bytes *in, struct hello_cid *cid)
{
	const size_t n = in->left < reader->left ? in->left : reader->left;

	if (reader->field == FIELD_HEAD)
		head_take(reader, in->at, n);
	else if (reader->field == FIELD_COOKIE || reader->field == FIELD_BODY_COOKIE)
		cookie_take(reader, point, in->at, n);
	else if (reader->field == FIELD_CID && cid)
		cid_take(cid, in->at, n);
	reader->left = (uint16_t)(reader->left - n);
	if (reader->left == 0)
		content_end(reader, found, cid);
	return n;
}

/* Each turn takes at least one octet, because no field with content is entered with nothing left. */
static void octets_take(struct hello_reader *reader, struct bytes in, uint32_t point, struct hello_found *found,
			struct hello_cid *cid)
{
	while (in.left > 0) {
		size_t taken = 1;

		if (is_number(reader->field))
			number_take(reader, found, *in.at);
		else
			taken = content_take(reader, found, point, &in, cid);
		bytes_take(&in, taken);
		reader->at = (uint16_t)(reader->at + taken);
	}
}

bool hello_next(struct hello_message *message, struct bytes *datagram, struct bytes *record)
{
	const uint8_t *header;
	uint32_t octets;

	while (record->left == 0) {
		header = bytes_take(datagram, DTLS_HEADER_OCTETS);
		if (!header || header[0] < DTLS_CHANGE_CIPHER_SPEC || header[0] > DTLS_RRC ||
		    header[0] == DTLS_TLS12_CID || header[1] != 0xfe)
			return false;
		record->left = bytes_u16(header + DTLS_HEADER_OCTETS - 2);
		record->at = bytes_take(datagram, record->left);
		if (!record->at)
			return false;
		if (header[0] != DTLS_HANDSHAKE || bytes_u16(header + 3) != 0)
			record->left = 0;
	}
	header = bytes_take(record, DTLS_HELLO_OCTETS);
	if (!header)
		return false;
	octets = bytes_u24(header + 9);
	*message = (struct hello_message){
		.type = header[0],
		.seq = header[5] & 1,
		.length = bytes_u24(header + 1),
		.offset = bytes_u24(header + 6),
		.body = { bytes_take(record, octets), octets },
	};
	return message->body.at && message->offset + octets <= message->length;
}

static uint8_t message_type(enum hello_sender sender)
{
	switch (sender) {
	case SENDER_CLIENT:
		return HELLO_CLIENT;
	case SENDER_VERIFY:
		return HELLO_VERIFY;
	default:
		return HELLO_SERVER;
	}
}

/* True: the reader now stands at the first new octet of the message, and `body` begins there. */
static bool follow(struct hello_reader *reader, const struct hello_message *message, struct bytes *body)
{
	*body = message->body;
	if (message->length > HELLO_MESSAGE_MAX || message->type < HELLO_CLIENT || message->type > HELLO_VERIFY)
		return false;
	if (message->offset == 0) {
		*reader = (struct hello_reader){ .field = FIELD_HEAD, .seq = message->seq };
		reader->sender = message->type == HELLO_CLIENT   ? SENDER_CLIENT
				 : message->type == HELLO_VERIFY ? SENDER_VERIFY
								 : SENDER_RETRY;
		reader->left = message->type == HELLO_VERIFY ? VERSION_OCTETS : VERSION_OCTETS + RANDOM_OCTETS;
		return true;
	}
	return reader->field != FIELD_NONE && message->type == message_type(reader->sender) &&
	       message->seq == reader->seq && message->offset <= reader->at &&
	       bytes_take(body, reader->at - message->offset) && body->left > 0;
}

bool hello_read(struct hello_reader *reader, const struct hello_message *message, uint32_t point,
		struct hello_found *found, struct hello_cid *cid)
{
	struct bytes body;

	if (!follow(reader, message, &body))
		return false;
	octets_take(reader, body, point, found, cid);
	if (reader->at == message->length) {
		found->ended = true;
		found->without = reader->sender == SENDER_SERVER && !(reader->running & CID_READ);
		if (found->without && cid)
			cid->len = 0;
		reader->field = FIELD_NONE;
	}
	return true;
}

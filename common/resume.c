#include "resume.h"

#include "bytes.h"
#include "dtls.h"
#include "hello_read.h"

/* msg_type (RFC 5246, section 7.4; RFC 5077, section 3.3; RFC 6066, section 8). */
enum {
	NEW_SESSION_TICKET = 4,
	CERTIFICATE = 11,
	SERVER_KEY_EXCHANGE = 12,
	CERTIFICATE_REQUEST = 13,
	SERVER_HELLO_DONE = 14,
	CERTIFICATE_STATUS = 22,
};

enum {
	HEAD_OCTETS = 2 + 32, /* version and random */
	LIFETIME_OCTETS = 4,
	EXTENSION_TICKET = 35, /* RFC 5077, section 3.2 */
};

/* What is hashed: of another kind it is another hash. */
enum kind { KIND_ID = 1, KIND_TICKET = 2 };

static uint64_t hash_of(const struct siphash_key *key, enum kind kind, size_t length, struct bytes octets)
{
	uint8_t hashed[3 + RESUME_TICKET_OCTETS] = { (uint8_t)kind, (uint8_t)(length >> 8), (uint8_t)length };

	memcpy(hashed + 3, octets.at, octets.left);
	return siphash24(key, hashed, 3 + octets.left);
}

/* The session id that comes next. False: there is no whole one. */
static bool read_id(uint64_t *out, const struct siphash_key *key, struct bytes *in)
{
	const uint8_t *length = bytes_take(in, 1);
	struct bytes id = { 0 };

	if (!length || *length > RESUME_ID_MAX)
		return false;
	id.left = *length;
	id.at = bytes_take(in, id.left);
	if (id.at && id.left > 0)
		*out = hash_of(key, KIND_ID, id.left, id);
	return id.at;
}

/* A ticket of so many octets that begins here; 0: there is none, or too little of it. */
static uint64_t read_ticket(const struct siphash_key *key, size_t length, struct bytes in)
{
	if (in.left > length)
		in.left = length;
	if (in.left > RESUME_TICKET_OCTETS)
		in.left = RESUME_TICKET_OCTETS;
	if (length == 0 || (in.left < length && in.left < RESUME_TICKET_OCTETS))
		return 0;
	return hash_of(key, KIND_TICKET, length, in);
}

/* Skips a vector that has a length of `octets` octets in front. */
static bool skip_vector(struct bytes *in, size_t octets)
{
	const uint8_t *length = bytes_take(in, octets);

	return length && bytes_take(in, octets == 1 ? *length : bytes_u16(length));
}

static void read_extensions(uint64_t *ticket, const struct siphash_key *key, struct bytes in)
{
	const uint8_t *head;

	if (!bytes_take(&in, 2))
		return;
	while ((head = bytes_take(&in, 4))) {
		const size_t length = bytes_u16(head + 2);

		if (bytes_u16(head) == EXTENSION_TICKET) {
			*ticket = read_ticket(key, length, in);
			return;
		}
		if (!bytes_take(&in, length))
			return;
	}
}

bool resume_read_offer(struct resume_names *out, const struct siphash_key *key, const uint8_t *data, size_t len)
{
	struct bytes datagram = { data, len }, record = { 0 };
	struct hello_message message = { 0 };

	*out = (struct resume_names){ 0 };
	while (message.type != HELLO_CLIENT || message.offset != 0)
		if (!hello_next(&message, &datagram, &record))
			return false;
	/* The cookie, the suites and the compression methods stand before the extensions. */
	if (bytes_take(&message.body, HEAD_OCTETS) && read_id(&out->session_id, key, &message.body) &&
	    skip_vector(&message.body, 1) && skip_vector(&message.body, 2) && skip_vector(&message.body, 1))
		read_extensions(&out->ticket, key, message.body);
	return out->session_id || out->ticket;
}

static void take_server_hello(struct resume *resume, const struct siphash_key *key, struct bytes body)
{
	*resume = (struct resume){ .served = true };
	if (bytes_take(&body, HEAD_OCTETS))
		(void)read_id(&resume->given.session_id, key, &body);
}

static void take_ticket(struct resume *resume, const struct siphash_key *key, struct bytes body)
{
	const uint8_t *length = bytes_take(&body, LIFETIME_OCTETS) ? bytes_take(&body, 2) : NULL;

	if (length)
		resume->given.ticket = read_ticket(key, bytes_u16(length), body);
}

static void take_message(struct resume *resume, const struct siphash_key *key, const struct hello_message *message)
{
	switch (message->type) {
	case HELLO_SERVER:
		if (message->offset == 0)
			take_server_hello(resume, key, message->body);
		break;
	case NEW_SESSION_TICKET:
		if (resume->served && message->offset == 0)
			take_ticket(resume, key, message->body);
		break;
	case CERTIFICATE:
	case SERVER_KEY_EXCHANGE:
	case CERTIFICATE_REQUEST:
	case SERVER_HELLO_DONE:
	case CERTIFICATE_STATUS:
		resume->full = resume->served;
		break;
	default:
		break;
	}
}

/* The number of a record in the first epoch that has keys, or UINT64_MAX: it is of another. */
static uint64_t number_of(const uint8_t *record)
{
	if (bytes_u16(record + 3) != 1)
		return UINT64_MAX;
	return (uint64_t)bytes_u24(record + 5) << 24 | bytes_u24(record + 8);
}

/* True: only who knows that the device has the keys sends such a record. With a CID of the device's own it hides what
 * it is, but from the beginning it cannot come before Finished. */
static bool record_shows_keys(const struct resume *resume, const uint8_t *record)
{
	if (number_of(record) >= RESUME_FRESH)
		return false;
	if (record[0] == DTLS_HANDSHAKE || record[0] == DTLS_TLS12_CID)
		return resume->full;
	return record[0] == DTLS_APPLICATION_DATA;
}

static bool is_record(const uint8_t *record)
{
	return record && record[0] >= DTLS_CHANGE_CIPHER_SPEC && record[0] <= DTLS_RRC && record[1] == 0xfe;
}

static bool shows_keys(const struct resume *resume, struct bytes in)
{
	const uint8_t *record;

	while (is_record(record = bytes_take(&in, DTLS_HEADER_OCTETS))) {
		if (record_shows_keys(resume, record))
			return true;
		if (record[0] == DTLS_TLS12_CID || !bytes_take(&in, bytes_u16(record + DTLS_HEADER_OCTETS - 2)))
			return false;
	}
	return false;
}

bool resume_reply(struct resume *resume, const struct siphash_key *key, const uint8_t *data, size_t len,
		  struct resume_names *out)
{
	struct bytes datagram = { data, len }, record = { 0 };
	struct hello_message message;

	while (hello_next(&message, &datagram, &record))
		take_message(resume, key, &message);
	if (!resume->served || !shows_keys(resume, (struct bytes){ data, len }))
		return false;
	*out = resume->given;
	if (!resume->full)
		out->session_id = 0;
	*resume = (struct resume){ 0 };
	return true;
}

bool resume_is_settled(const uint8_t *data, size_t len)
{
	return len >= DTLS_HEADER_OCTETS && is_record(data) && bytes_u16(data + 3) > 0 &&
	       number_of(data) >= RESUME_FRESH;
}

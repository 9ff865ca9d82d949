#include "admin/trace_mask.h"

#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"

enum {
	RECORD_OCTETS = 13, /* of its header: type, version, epoch, number, length */
	MESSAGE_OCTETS = 12,
	TYPE_HANDSHAKE = 22,
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	HELLO_VERIFY_REQUEST = 3,
	SERVER_HELLO_DONE = 14,
	HELLO_FIXED_OCTETS = 34, /* version and random */
	SERVER_NAME = 0,
	PRE_SHARED_KEY = 41,
};

static size_t lesser(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t mask(const uint8_t *at, size_t len)
{
	memset((uint8_t *)(uintptr_t)at, 0, len);
	return len;
}

/* Takes a vector whose length is in its first `width` octets, 1 or 2. False: it is cut short. */
static bool skip_vector(struct bytes *in, size_t width)
{
	const uint8_t *len = bytes_take(in, width);

	return len && bytes_take(in, width == 1 ? *len : bytes_u16(len));
}

static size_t mask_extensions(struct bytes in)
{
	size_t masked = 0;

	for (const uint8_t *head; (head = bytes_take(&in, 4));) {
		const size_t len = lesser(bytes_u16(head + 2), in.left);
		const uint16_t type = bytes_u16(head);
		const uint8_t *body = bytes_take(&in, len);

		if (type == SERVER_NAME || type == PRE_SHARED_KEY)
			masked += mask(body, len);
	}
	return masked;
}

/* What cannot be read is masked from there on. */
static size_t mask_client_hello(struct bytes in)
{
	const bool whole = bytes_take(&in, HELLO_FIXED_OCTETS) && skip_vector(&in, 1) /* session id */ &&
			   skip_vector(&in, 1) /* cookie */ && skip_vector(&in, 2) /* suites */ &&
			   skip_vector(&in, 1) /* compression */ && bytes_take(&in, 2) /* length of the extensions */;

	return whole ? mask_extensions(in) : mask(in.at, in.left);
}

/* One message of a record. `body` is what is there of it. */
static size_t mask_message(const uint8_t *head, struct bytes body)
{
	const bool is_fragment = bytes_u24(head + 6) > 0 || bytes_u24(head + 9) < bytes_u24(head + 1);

	switch (head[0]) {
	case SERVER_HELLO:
	case HELLO_VERIFY_REQUEST:
	case SERVER_HELLO_DONE:
		return 0;
	case CLIENT_HELLO:
		if (!is_fragment)
			return mask_client_hello(body);
		break;
	default:
		break;
	}
	return mask(body.at, body.left);
}

static size_t mask_record(struct bytes record)
{
	size_t masked = 0;

	for (const uint8_t *head; (head = bytes_take(&record, MESSAGE_OCTETS));) {
		const size_t len = lesser(bytes_u24(head + 9), record.left);

		masked += mask_message(head, (struct bytes){ bytes_take(&record, len), len });
	}
	return masked + mask(record.at, record.left);
}

size_t trace_mask(uint8_t *data, size_t len)
{
	struct bytes in = { data, len };
	size_t masked = 0;

	for (const uint8_t *head; (head = bytes_take(&in, RECORD_OCTETS));) {
		const size_t octets = lesser(bytes_u16(head + 11), in.left);
		const struct bytes body = { bytes_take(&in, octets), octets };

		/* Behind other records there may be anything, and no length of theirs can be trusted. */
		if (head[0] < 20 || head[0] > TYPE_HANDSHAKE || head[1] != 0xfe)
			return masked;
		if (head[0] == TYPE_HANDSHAKE && bytes_u16(head + 3) == 0)
			masked += mask_record(body);
	}
	return masked;
}

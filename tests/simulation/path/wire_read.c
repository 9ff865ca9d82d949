#include "tests/simulation/path/wire.h"

#include <string.h>

#include "tests/simulation/path/wire_priv.h"

static uint64_t read_number(const uint8_t *at, size_t octets)
{
	uint64_t number = 0;

	while (octets-- > 0)
		number = number << 8 | *at++;
	return number;
}

bool wire_read_plain(const struct wire *wire, struct wire_message *message, uint16_t *identity)
{
	if (wire->len < PLAIN_OCTETS || wire->data[0] != 0x40)
		return false;
	message->op = wire->data[1];
	message->number = (uint32_t)read_number(wire->data + 2, 4);
	message->want = (uint16_t)read_number(wire->data + 6, 2);
	*identity = (uint16_t)read_number(wire->data + 8, 2);
	return true;
}

/* Reads on in an array; a read beyond its end is noted, and gives zeros. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool short_of;
};

static const uint8_t *take(struct reader *in, size_t octets)
{
	static const uint8_t zeros[RANDOM] = { 0 };
	const uint8_t *at = in->at;

	if (octets > in->left) {
		in->short_of = true;
		return zeros;
	}
	in->at += octets;
	in->left -= octets;
	return at;
}

static uint64_t take_number(struct reader *in, size_t octets)
{
	return read_number(take(in, octets), octets);
}

/* A vector with its length in front. */
static struct reader take_vector(struct reader *in, size_t length_octets)
{
	const size_t len = take_number(in, length_octets);
	struct reader inner = { in->at, len, len > in->left };

	if (inner.short_of) {
		in->short_of = true;
		inner.left = 0;
		return inner;
	}
	(void)take(in, len);
	return inner;
}

static bool read_unified(struct reader *in, uint8_t first, size_t cid_len, struct wire_record *out)
{
	out->v13 = true;
	out->type = WIRE_DATA;
	out->epoch = first & 3;
	if (first & 0x10) {
		if (cid_len == 0 || cid_len > in->left)
			return false;
		out->cid = take(in, cid_len);
	}
	out->sequence = take_number(in, first & 8 ? 2 : 1);
	out->len = first & 4 ? take_number(in, 2) : in->left;
	return true;
}

bool wire_read(const struct wire *wire, size_t *at, size_t cid_len, struct wire_record *out)
{
	struct reader in = { wire->data + *at, wire->len - *at, false };
	const uint8_t first = (uint8_t)take_number(&in, 1);

	*out = (struct wire_record){ .type = first };
	if (first >> 5 == 1) {
		if (!read_unified(&in, first, cid_len, out))
			return false;
	} else {
		(void)take_number(&in, 2);
		out->epoch = (uint16_t)take_number(&in, 2);
		out->sequence = take_number(&in, 6);
		if (out->type == WIRE_CID_TYPE) {
			if (cid_len == 0 || cid_len > in.left)
				return false;
			out->cid = take(&in, cid_len);
		}
		out->len = take_number(&in, 2);
	}
	if (in.short_of || out->len > in.left)
		return false;
	out->body = in.at;
	*at = (size_t)(in.at - wire->data) + out->len;
	return true;
}

bool wire_read_part(const struct wire_record *record, size_t *at, struct wire_part *out)
{
	struct reader in = { record->body + *at, record->len - *at, false };

	if (record->v13 || record->type != WIRE_HANDSHAKE || record->epoch != 0 || *at == record->len)
		return false;
	out->type = (uint8_t)take_number(&in, 1);
	out->whole = take_number(&in, 3);
	out->message_seq = (uint16_t)take_number(&in, 2);
	out->offset = take_number(&in, 3);
	out->len = take_number(&in, 3);
	if (in.short_of || out->len > in.left)
		return false;
	out->body = in.at;
	*at = (size_t)(in.at - record->body) + out->len;
	return true;
}

bool wire_open(const struct wire_record *record, uint64_t key, struct wire_message *out)
{
	uint64_t tag;

	if ((record->epoch == 0 && !record->v13) || record->len < BODY_OCTETS + MAC_OCTETS)
		return false;
	memcpy(&tag, record->body + BODY_OCTETS, sizeof tag);
	if (tag != wire_mac(key, wire_nonce(record->v13, record->epoch, record->sequence), record->body))
		return false;
	out->op = record->body[0];
	out->number = (uint32_t)read_number(record->body + 1, 4);
	out->want = (uint16_t)read_number(record->body + 5, 2);
	return true;
}

static void read_extensions(struct reader *in, bool client, struct wire_hello *out)
{
	struct reader list = take_vector(in, 2);

	while (list.left && !list.short_of) {
		const uint64_t type = take_number(&list, 2);
		struct reader body = take_vector(&list, 2), inner;

		if (type == EXTENSION_VERSIONS) {
			inner = body;
			if (client)
				inner = take_vector(&body, 1);
			out->v13 = take_number(&inner, 2) == 0xfefc;
		} else if (type == EXTENSION_COOKIE) {
			inner = take_vector(&body, 2);
			out->has_cookie = inner.left == WIRE_COOKIE;
			memcpy(&out->cookie, take(&inner, WIRE_COOKIE), WIRE_COOKIE);
		} else if (type == EXTENSION_CID) {
			inner = take_vector(&body, 1);
			out->has_cid = inner.left <= WIRE_CID_MAX;
			out->cid.len = out->has_cid ? (uint8_t)inner.left : 0;
			memcpy(out->cid.octets, take(&inner, out->cid.len), out->cid.len);
		}
	}
}

static void read_ticket(struct reader *in, struct wire_hello *out)
{
	struct reader ticket = take_vector(in, 1);

	if (ticket.left == WIRE_TICKET)
		memcpy(&out->ticket, take(&ticket, WIRE_TICKET), WIRE_TICKET);
}

bool wire_read_client_hello(const struct wire_part *part, struct wire_hello *out)
{
	struct reader in = { part->body, part->len, false }, cookie;

	*out = (struct wire_hello){ 0 };
	if (part->type != WIRE_CLIENT_HELLO || part->len != part->whole)
		return false;
	(void)take(&in, 2);
	memcpy(&out->random, take(&in, RANDOM), sizeof out->random);
	read_ticket(&in, out);
	cookie = take_vector(&in, 1);
	out->has_cookie = cookie.left == WIRE_COOKIE;
	if (out->has_cookie)
		memcpy(&out->cookie, take(&cookie, WIRE_COOKIE), WIRE_COOKIE);
	(void)take_vector(&in, 2);
	(void)take_vector(&in, 1);
	read_extensions(&in, true, out);
	return !in.short_of;
}

bool wire_read_server_hello(const struct wire_part *part, struct wire_hello *out)
{
	struct reader in = { part->body, part->len, false };
	const uint8_t *random;

	*out = (struct wire_hello){ 0 };
	if (part->type != WIRE_SERVER_HELLO || part->len != part->whole)
		return false;
	(void)take(&in, 2);
	random = take(&in, RANDOM);
	out->retry = memcmp(random, wire_retry_random, RANDOM) == 0;
	memcpy(&out->random, random, sizeof out->random);
	read_ticket(&in, out);
	(void)take(&in, 3);
	read_extensions(&in, false, out);
	return !in.short_of;
}

bool wire_read_verify_request(const struct wire_part *part, uint64_t *cookie)
{
	struct reader in = { part->body, part->len, false }, octets;
	struct wire_hello hello;

	if (part->type == WIRE_SERVER_HELLO) {
		if (!wire_read_server_hello(part, &hello) || !hello.retry)
			return false;
		*cookie = hello.cookie;
		return true;
	}
	if (part->type != WIRE_VERIFY_REQUEST)
		return false;
	(void)take(&in, 2);
	octets = take_vector(&in, 1);
	memcpy(cookie, take(&octets, WIRE_COOKIE), WIRE_COOKIE);
	return !octets.short_of;
}

uint16_t wire_read_key_exchange(const struct wire_part *part)
{
	return part->type == WIRE_KEY_EXCHANGE && part->len == 4 ? (uint16_t)read_number(part->body + 2, 2)
								 : UINT16_MAX;
}

static bool begins_hello(const struct wire_record *record)
{
	struct wire_part part;
	size_t at = 0;

	return wire_read_part(record, &at, &part) && part.type == WIRE_CLIENT_HELLO && part.message_seq == 0 &&
	       part.offset == 0;
}

static bool has_hello(const struct wire_record *record)
{
	struct wire_part part;
	size_t at = 0;

	while (wire_read_part(record, &at, &part))
		if (part.type == WIRE_CLIENT_HELLO)
			return true;
	return false;
}

static void shape_cid(struct wire_shape *shape, const struct wire_record *record, size_t cid_len)
{
	if (shape->has_cid) {
		shape->mixed |= memcmp(shape->cid.octets, record->cid, cid_len) != 0;
		return;
	}
	shape->has_cid = true;
	shape->cid.len = (uint8_t)cid_len;
	memcpy(shape->cid.octets, record->cid, cid_len);
}

/* What any receiver takes for a record of its kind (RFC 6347, section 4.1; RFC 9147, sections 4 and 4.2.3). */
static bool is_sound(const uint8_t *at, const struct wire_record *record)
{
	struct wire_part part;
	size_t inside = 0;

	if (record->v13)
		return record->len >= 16;
	if (at[1] != 0xfe || record->len == 0 || (record->type == WIRE_CID_TYPE && at[2] != 0xfd))
		return false;
	if (record->type < WIRE_CHANGE_CIPHER || record->type > 27)
		return false;
	if (record->epoch == 0 && (record->type == WIRE_DATA || record->type == WIRE_CID_TYPE))
		return false;
	return record->epoch != 0 || record->type != WIRE_HANDSHAKE || wire_read_part(record, &inside, &part);
}

struct wire_shape wire_shape(const struct wire *wire, size_t cid_len)
{
	struct wire_shape shape = { .flight = true };
	struct wire_record record;
	size_t at = 0, from;
	bool sound = true;

	for (from = 0; at < wire->len && wire_read(wire, &at, cid_len, &record); from = at) {
		const bool plain = !record.v13 && record.epoch == 0;

		sound &= is_sound(wire->data + from, &record);
		shape.records++;
		shape.cid_records += record.cid != NULL;
		if (record.cid)
			shape_cid(&shape, &record, cid_len);
		else if (shape.has_cid)
			shape.mixed |= !record.v13;
		if (!plain)
			continue;
		if (has_hello(&record)) {
			shape.hello_first |= shape.records == 1;
			shape.hello_begins |= shape.records == 1 && begins_hello(&record);
			shape.hello = true;
		}
		shape.plain_behind |= shape.has_cid;
		shape.plain_before |= !shape.has_cid;
		shape.flight &=
			(record.type == WIRE_HANDSHAKE && !has_hello(&record)) || record.type == WIRE_CHANGE_CIPHER;
	}
	shape.whole = sound && at == wire->len;
	return shape;
}

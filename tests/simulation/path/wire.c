#include "tests/simulation/path/wire.h"

#include <string.h>

#include "common/bytes.h"
#include "common/dtls.h"
#include "common/siphash.h"

enum { CLIENT_HELLO = 1, SERVER_HELLO = 2, HELLO_VERIFY_REQUEST = 3, CLIENT_KEY_EXCHANGE = 16 };
enum {
	BODY_OCTETS = 7,
	MAC_OCTETS = 8,
	RANDOM_AT = 2,
	RANDOM_OCTETS = 32,
	COOKIE_AT = 35,
	COOKIE_OCTETS = 8,
	PLAIN_OCTETS = 10
};

static void add(struct wire *wire, const void *octets, size_t len)
{
	memcpy(wire->data + wire->len, octets, len);
	wire->len += len;
}

static void add_number(struct wire *wire, uint64_t number, size_t octets)
{
	while (octets-- > 0)
		wire->data[wire->len++] = (uint8_t)(number >> octets * 8);
}

static uint64_t read_number(const uint8_t *at, size_t octets)
{
	uint64_t number = 0;

	while (octets-- > 0)
		number = number << 8 | *at++;
	return number;
}

static void add_header(struct wire *wire, uint8_t type, uint16_t epoch, uint64_t sequence, size_t len)
{
	add_number(wire, type, 1);
	add_number(wire, 0xfefd, 2);
	add_number(wire, epoch, 2);
	add_number(wire, sequence, 6);
	add_number(wire, len, 2);
}

static void add_handshake(struct wire *wire, uint8_t message, const uint8_t *body, size_t len)
{
	add_header(wire, DTLS_HANDSHAKE, 0, 0, DTLS_HELLO_OCTETS + len);
	add_number(wire, message, 1);
	add_number(wire, len, 3);
	add_number(wire, 0, 2);
	add_number(wire, 0, 3);
	add_number(wire, len, 3);
	add(wire, body, len);
}

void wire_add_hello(struct wire *wire, uint64_t random, const uint64_t *cookie)
{
	uint8_t body[88] = { 0xfe, 0xfd };
	size_t cookie_len = cookie ? COOKIE_OCTETS : 0;

	memcpy(body + RANDOM_AT, &random, sizeof random);
	body[COOKIE_AT] = (uint8_t)cookie_len;
	if (cookie)
		memcpy(body + COOKIE_AT + 1, cookie, COOKIE_OCTETS);
	add_handshake(wire, CLIENT_HELLO, body, sizeof body);
}

void wire_add_verify_request(struct wire *wire, uint64_t cookie)
{
	uint8_t body[3 + COOKIE_OCTETS] = { 0xfe, 0xfd, COOKIE_OCTETS };

	memcpy(body + 3, &cookie, sizeof cookie);
	add_handshake(wire, HELLO_VERIFY_REQUEST, body, sizeof body);
}

void wire_add_server_hello(struct wire *wire, uint64_t random, const struct wire_cid *cid)
{
	uint8_t body[RANDOM_AT + RANDOM_OCTETS + sizeof *cid] = { 0xfe, 0xfd };

	memcpy(body + RANDOM_AT, &random, sizeof random);
	memcpy(body + RANDOM_AT + RANDOM_OCTETS, cid, sizeof *cid);
	add_handshake(wire, SERVER_HELLO, body, sizeof body);
}

void wire_add_key_exchange(struct wire *wire, uint16_t identity)
{
	const uint8_t body[] = { 0, 2, (uint8_t)(identity >> 8), (uint8_t)identity };

	add_handshake(wire, CLIENT_KEY_EXCHANGE, body, sizeof body);
}

void wire_add_change_cipher(struct wire *wire)
{
	add_header(wire, DTLS_CHANGE_CIPHER_SPEC, 0, 0, 1);
	add_number(wire, 1, 1);
}

static uint64_t mac(uint64_t key, uint64_t sequence, const uint8_t *body)
{
	const struct siphash_key keys = { key, sequence };

	return siphash24(&keys, body, BODY_OCTETS);
}

void wire_add_protected(struct wire *wire, uint8_t type, const struct wire_cid *cid, uint64_t key, uint64_t sequence,
			const struct wire_message *message, size_t octets)
{
	const size_t header = DTLS_HEADER_OCTETS + (cid ? cid->len : 0);
	uint8_t *body;
	size_t end = wire->len + octets;
	uint64_t tag;

	if (cid && cid->len) {
		add_number(wire, DTLS_TLS12_CID, 1);
		add_number(wire, 0xfefd, 2);
		add_number(wire, 1, 2);
		add_number(wire, sequence, 6);
		add(wire, cid->octets, cid->len);
		add_number(wire, octets - header, 2);
	} else {
		add_header(wire, type, 1, sequence, octets - header);
	}
	body = wire->data + wire->len;
	add_number(wire, message->op, 1);
	add_number(wire, message->number, 4);
	add_number(wire, message->want, 2);
	tag = mac(key, sequence, body);
	add(wire, &tag, sizeof tag);
	memset(wire->data + wire->len, 0, end - wire->len);
	wire->len = end;
}

/* The first octet of a CoAP header; no DTLS record begins with it. */
void wire_add_plain(struct wire *wire, const struct wire_message *message, uint16_t identity, size_t octets)
{
	size_t end = wire->len + octets;

	add_number(wire, 0x40, 1);
	add_number(wire, message->op, 1);
	add_number(wire, message->number, 4);
	add_number(wire, message->want, 2);
	add_number(wire, identity, 2);
	memset(wire->data + wire->len, 0, end - wire->len);
	wire->len = end;
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

bool wire_read(const struct wire *wire, size_t *at, size_t cid_len, struct wire_record *out)
{
	struct bytes in = { wire->data + *at, wire->len - *at };
	const uint8_t *header = bytes_take(&in, DTLS_CID_AT), *length;

	*out = (struct wire_record){ 0 };
	if (!header)
		return false;
	out->type = header[0];
	out->epoch = bytes_u16(header + 3);
	out->sequence = read_number(header + 5, 6);
	if (out->type == DTLS_TLS12_CID && !(out->cid = bytes_take(&in, cid_len)))
		return false;
	length = bytes_take(&in, 2);
	if (!length)
		return false;
	out->len = bytes_u16(length);
	out->body = bytes_take(&in, out->len);
	if (!out->body)
		return false;
	*at = wire->len - in.left;
	if (out->type != DTLS_HANDSHAKE || out->epoch != 0)
		return true;
	if (out->len < DTLS_HELLO_OCTETS)
		return false;
	out->handshake = out->body[0];
	out->body += DTLS_HELLO_OCTETS;
	out->len -= DTLS_HELLO_OCTETS;
	return true;
}

bool wire_open(const struct wire_record *record, uint64_t key, struct wire_message *out)
{
	uint64_t tag;

	if (record->epoch != 1 || record->len < BODY_OCTETS + MAC_OCTETS)
		return false;
	memcpy(&tag, record->body + BODY_OCTETS, sizeof tag);
	if (tag != mac(key, record->sequence, record->body))
		return false;
	out->op = record->body[0];
	out->number = (uint32_t)read_number(record->body + 1, 4);
	out->want = (uint16_t)read_number(record->body + 5, 2);
	return true;
}

bool wire_read_hello(const struct wire_record *record, uint64_t *random, bool *has_cookie, uint64_t *cookie)
{
	if (record->handshake != CLIENT_HELLO || record->len < COOKIE_AT + 1 + COOKIE_OCTETS)
		return false;
	memcpy(random, record->body + RANDOM_AT, sizeof *random);
	*has_cookie = record->body[COOKIE_AT] == COOKIE_OCTETS;
	memcpy(cookie, record->body + COOKIE_AT + 1, sizeof *cookie);
	return true;
}

uint64_t wire_read_verify_request(const struct wire_record *record)
{
	uint64_t cookie;

	memcpy(&cookie, record->body + 3, sizeof cookie);
	return cookie;
}

void wire_read_server_hello(const struct wire_record *record, uint64_t *random, struct wire_cid *cid)
{
	memcpy(random, record->body + RANDOM_AT, sizeof *random);
	memcpy(cid, record->body + RANDOM_AT + RANDOM_OCTETS, sizeof *cid);
}

uint16_t wire_read_key_exchange(const struct wire_record *record)
{
	return bytes_u16(record->body + 2);
}

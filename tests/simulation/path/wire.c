#include "tests/simulation/path/wire.h"

#include <string.h>

#include "tests/simulation/path/wire_priv.h"

enum { CERTIFICATE_OCTETS = 700, PADDING = 24 };

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

static void add_header(struct wire *wire, uint8_t type, uint16_t epoch, uint64_t sequence, size_t len)
{
	add_number(wire, type, 1);
	add_number(wire, 0xfefd, 2);
	add_number(wire, epoch, 2);
	add_number(wire, sequence, 6);
	add_number(wire, len, 2);
}

static void add_part(struct wire *wire, const struct wire_part *part)
{
	add_number(wire, part->type, 1);
	add_number(wire, part->whole, 3);
	add_number(wire, part->message_seq, 2);
	add_number(wire, part->offset, 3);
	add_number(wire, part->len, 3);
	add(wire, part->body + part->offset, part->len);
}

static void add_message(struct wire *wire, uint8_t type, uint16_t message_seq, const struct wire *body)
{
	add_header(wire, WIRE_HANDSHAKE, 0, message_seq, PART_HEADER + body->len);
	add_part(wire, &(struct wire_part){ type, message_seq, body->len, 0, body->len, body->data });
}

static void add_random(struct wire *wire, uint64_t random)
{
	add(wire, &random, sizeof random);
	memset(wire->data + wire->len, 0x5a, RANDOM - sizeof random);
	wire->len += RANDOM - sizeof random;
}

static void add_octets(struct wire *wire, size_t length_octets, const void *octets, size_t len)
{
	add_number(wire, len, length_octets);
	add(wire, octets, len);
}

static void add_cid_extension(struct wire *wire, const struct wire_cid *cid)
{
	add_number(wire, EXTENSION_CID, 2);
	add_number(wire, cid->len + 1U, 2);
	add_octets(wire, 1, cid->octets, cid->len);
}

/* The length in front of what has been added since `at`. */
static void close_vector(struct wire *wire, size_t at)
{
	const size_t len = wire->len - at - 2;

	wire->data[at] = (uint8_t)(len >> 8);
	wire->data[at + 1] = (uint8_t)len;
}

static size_t open_vector(struct wire *wire)
{
	wire->len += 2;
	return wire->len - 2;
}

static void add_ticket(struct wire *wire, uint64_t ticket)
{
	add_octets(wire, 1, &ticket, ticket ? WIRE_TICKET : 0);
}

static void add_cookie_extension(struct wire *wire, uint64_t cookie)
{
	add_number(wire, EXTENSION_COOKIE, 2);
	add_number(wire, 2 + WIRE_COOKIE, 2);
	add_octets(wire, 2, &cookie, WIRE_COOKIE);
}

static void write_client_hello(struct wire *body, const struct wire_hello *hello)
{
	static const uint8_t zeros[PADDING] = { 0 };
	size_t at;

	add_number(body, 0xfefd, 2);
	add_random(body, hello->random);
	add_ticket(body, hello->ticket);
	add_octets(body, 1, &hello->cookie, hello->has_cookie && !hello->v13 ? WIRE_COOKIE : 0);
	add_number(body, 2, 2);
	add_number(body, hello->v13 ? 0x1301 : 0xc0a8, 2);
	add_number(body, 0x0100, 2);
	at = open_vector(body);
	if (hello->v13) {
		add_number(body, EXTENSION_VERSIONS, 2);
		add_number(body, 3, 2);
		add_number(body, 0x02fefc, 3);
	}
	if (hello->v13 && hello->has_cookie)
		add_cookie_extension(body, hello->cookie);
	if (hello->has_cid)
		add_cid_extension(body, &hello->cid);
	add_number(body, EXTENSION_PADDING, 2);
	add_octets(body, 2, zeros, sizeof zeros);
	close_vector(body, at);
}

static void write_server_hello(struct wire *body, const struct wire_hello *hello)
{
	size_t at;

	add_number(body, 0xfefd, 2);
	if (hello->retry)
		add(body, wire_retry_random, RANDOM);
	else
		add_random(body, hello->random);
	add_ticket(body, hello->ticket);
	add_number(body, hello->v13 ? 0x1301 : 0xc0a8, 2);
	add_number(body, 0, 1);
	at = open_vector(body);
	if (hello->v13) {
		add_number(body, EXTENSION_VERSIONS, 2);
		add_number(body, 2, 2);
		add_number(body, 0xfefc, 2);
	}
	if (hello->retry)
		add_cookie_extension(body, hello->cookie);
	if (hello->has_cid)
		add_cid_extension(body, &hello->cid);
	close_vector(body, at);
}

void wire_add_client_hello(struct wire *wire, const struct wire_hello *hello)
{
	struct wire body = { 0 };

	write_client_hello(&body, hello);
	add_message(wire, WIRE_CLIENT_HELLO, hello->has_cookie, &body);
}

void wire_add_hello_fragment(struct wire *wire, uint64_t random, size_t len)
{
	struct wire body = { 0 };

	write_client_hello(&body, &(struct wire_hello){ .random = random });
	add_header(wire, WIRE_HANDSHAKE, 0, 0, PART_HEADER + len);
	add_part(wire, &(struct wire_part){ WIRE_CLIENT_HELLO, 0, body.len, 0, len, body.data });
}

void wire_add_verify_request(struct wire *wire, bool v13, uint64_t cookie)
{
	struct wire body = { 0 };

	if (v13) {
		write_server_hello(&body, &(struct wire_hello){ .v13 = true, .retry = true, .cookie = cookie });
		add_message(wire, WIRE_SERVER_HELLO, 0, &body);
		return;
	}
	add_number(&body, 0xfefd, 2);
	add_octets(&body, 1, &cookie, WIRE_COOKIE);
	add_message(wire, WIRE_VERIFY_REQUEST, 0, &body);
}

static void add_noise_part(struct wire *wire, uint8_t type, uint16_t message_seq, size_t len)
{
	struct wire body = { .len = len };

	add_part(wire, &(struct wire_part){ type, message_seq, len, 0, len, body.data });
}

static size_t part_octets(size_t len)
{
	return PART_HEADER + len;
}

/* In DTLS 1.3 the rest of the flight is encrypted, and the caller's. */
void wire_add_server_hello(struct wire wires[static 2], const struct wire_hello *hello, enum wire_cut cut)
{
	const size_t certificate = hello->v13 || hello->ticket ? 0 : CERTIFICATE_OCTETS;
	struct wire body = { 0 };
	size_t half;

	write_server_hello(&body, hello);
	half = body.len - 6;
	wires[1].len = 0;
	if (cut == WIRE_ONE_RECORD && certificate) {
		add_header(wires, WIRE_HANDSHAKE, 0, 1,
			   part_octets(body.len) + part_octets(certificate) + part_octets(0));
		add_part(wires, &(struct wire_part){ WIRE_SERVER_HELLO, 1, body.len, 0, body.len, body.data });
		add_noise_part(wires, WIRE_CERTIFICATE, 2, certificate);
		add_noise_part(wires, WIRE_HELLO_DONE, 3, 0);
		return;
	}
	if (cut == WIRE_FRAGMENTS) {
		add_header(wires, WIRE_HANDSHAKE, 0, 1, part_octets(half));
		add_part(wires, &(struct wire_part){ WIRE_SERVER_HELLO, 1, body.len, 0, half, body.data });
		wires++;
		add_header(wires, WIRE_HANDSHAKE, 0, 2, part_octets(body.len - half));
		add_part(wires,
			 &(struct wire_part){ WIRE_SERVER_HELLO, 1, body.len, half, body.len - half, body.data });
	} else {
		add_message(wires, WIRE_SERVER_HELLO, 1, &body);
	}
	if (!certificate)
		return;
	add_header(wires, WIRE_HANDSHAKE, 0, 3, part_octets(certificate) + part_octets(0));
	add_noise_part(wires, WIRE_CERTIFICATE, 2, certificate);
	add_noise_part(wires, WIRE_HELLO_DONE, 3, 0);
}

void wire_add_key_exchange(struct wire *wire, uint16_t identity)
{
	struct wire body = { 0 };

	add_number(&body, 2, 2);
	add_number(&body, identity, 2);
	add_message(wire, WIRE_KEY_EXCHANGE, 2, &body);
}

void wire_add_change_cipher(struct wire *wire)
{
	add_header(wire, WIRE_CHANGE_CIPHER, 0, 3, 1);
	add_number(wire, 1, 1);
}

void wire_add_noise(struct wire *wire, uint8_t type, uint64_t noise, size_t len)
{
	uint8_t octets[64];

	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = (uint8_t)(noise >> i % 8 * 8);
	if (type == WIRE_HANDSHAKE) {
		add_header(wire, type, 0, noise & 0xffff, PART_HEADER + len);
		add_part(wire, &(struct wire_part){ WIRE_KEY_EXCHANGE, 2, len + 20, 0, len, octets });
		return;
	}
	add_header(wire, type, 0, noise & 0xffff, len);
	add(wire, octets, len);
}

void wire_add_protected(struct wire *wire, const struct wire_seal *seal, const struct wire_message *message,
			size_t octets)
{
	const size_t end = wire->len + octets;
	const uint8_t cid_len = seal->cid ? seal->cid->len : 0;
	uint8_t *body;
	uint64_t tag;

	if (seal->v13) {
		add_number(wire, 0x2cU | (cid_len ? 0x10U : 0U) | (seal->epoch & 3U), 1);
		if (cid_len)
			add(wire, seal->cid->octets, cid_len);
		add_number(wire, seal->sequence, 2);
	} else {
		add_number(wire, cid_len ? WIRE_CID_TYPE : seal->type, 1);
		add_number(wire, 0xfefd, 2);
		add_number(wire, seal->epoch, 2);
		add_number(wire, seal->sequence, 6);
		if (cid_len)
			add(wire, seal->cid->octets, cid_len);
	}
	add_number(wire, end - wire->len - 2, 2);
	body = wire->data + wire->len;
	add_number(wire, message->op, 1);
	add_number(wire, message->number, 4);
	add_number(wire, message->want, 2);
	tag = wire_mac(seal->key,
		       wire_nonce(seal->v13, seal->v13 ? seal->epoch & 3U : seal->epoch,
				  seal->v13 ? seal->sequence & 0xffff : seal->sequence),
		       body);
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

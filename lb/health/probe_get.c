#include "health/probe_get.h"

#include <stdio.h>
#include <string.h>

#include "common/bytes.h"

void probe_get_init(struct probe_get *get, const uint8_t random[static PROBE_GET_RANDOM_OCTETS])
{
	memset(get, 0, sizeof *get);
	for (size_t i = 0; i < PROBE_GETS; i++, random += PROBE_GET_TOKEN_OCTETS + 2) {
		get->asked[i].id = bytes_u16(random);
		memcpy(get->asked[i].token, random + 2, PROBE_GET_TOKEN_OCTETS);
	}
}

size_t probe_get_write(const struct probe_get *get, enum probe_get_from from, const char *path,
		       uint8_t out[static PROBE_GET_OCTETS])
{
	struct coap_message message = {
		.type = COAP_CON, .code = COAP_GET, .id = get->asked[from].id, .token_len = PROBE_GET_TOKEN_OCTETS
	};
	size_t len;

	memcpy(message.token, get->asked[from].token, PROBE_GET_TOKEN_OCTETS);
	snprintf(message.path, sizeof message.path, "%s", path);
	return coap_encode(&message, out, PROBE_GET_OCTETS, &len) == 0 ? len : 0;
}

static void name_code(struct probe_get *get, uint8_t code)
{
	static const struct {
		uint8_t code;
		const char *name;
	} names[] = {
		{ COAP_CONTENT, " Content" },
		{ COAP_CODE(4, 0), " Bad Request" },
		{ COAP_CODE(4, 1), " Unauthorized" },
		{ COAP_CODE(4, 3), " Forbidden" },
		{ COAP_NOT_FOUND, " Not Found" },
		{ COAP_METHOD_NOT_ALLOWED, " Method Not Allowed" },
		{ COAP_CODE(5, 0), " Internal Server Error" },
		{ COAP_CODE(5, 3), " Service Unavailable" },
	};
	const char *name = "";

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].code == code)
			name = names[i].name;
	if (code == COAP_EMPTY)
		snprintf(get->code, sizeof get->code, "RST");
	else
		snprintf(get->code, sizeof get->code, "%d.%02d%s", code >> 5, code & 31, name);
}

/* Only the first line counts. Half a word could mean something else, so a line that is cut off is not kept. */
static void keep_words(struct probe_get *get, const struct coap_message *message)
{
	size_t len = message->payload_len < sizeof get->words ? message->payload_len : sizeof get->words;

	if (message->code != COAP_CONTENT || len == 0)
		return;
	memcpy(get->words, message->payload, len);
	if (len == message->payload_len || memchr(get->words, '\n', len) != NULL ||
	    memchr(get->words, '\r', len) != NULL)
		get->words_len = len;
}

static bool is_token(const struct probe_get *get, size_t i, const struct coap_message *message)
{
	return message->token_len == PROBE_GET_TOKEN_OCTETS &&
	       memcmp(message->token, get->asked[i].token, PROBE_GET_TOKEN_OCTETS) == 0;
}

/* RFC 7252, sections 4.2 and 5.3.2: a piggybacked response has the request's id too. */
static bool answers(const struct probe_get *get, size_t i, const struct coap_message *message)
{
	bool same_id = message->id == get->asked[i].id;

	if (message->code == COAP_EMPTY)
		return message->type == COAP_RST && same_id;
	return coap_is_response(message->code) && message->type != COAP_RST && is_token(get, i, message) &&
	       (message->type != COAP_ACK || same_id);
}

static void take(struct probe_get *get, size_t i, const struct coap_message *message)
{
	if (message->type == COAP_ACK && message->code == COAP_EMPTY && message->id == get->asked[i].id)
		get->accepted = true;
	if (get->answered || !answers(get, i, message))
		return;
	get->answered = true;
	get->to = (enum probe_get_from)i;
	name_code(get, message->code);
	keep_words(get, message);
}

size_t probe_get_read(struct probe_get *get, const uint8_t *data, size_t len, uint8_t reply[static COAP_HEADER_OCTETS])
{
	struct coap_message message, empty = { .type = COAP_RST, .code = COAP_EMPTY };

	if (coap_decode(&message, data, len) != 0)
		return 0;
	for (size_t i = 0; i < PROBE_GETS; i++) {
		take(get, i, &message);
		if (answers(get, i, &message))
			empty.type = COAP_ACK;
	}
	empty.id = message.id;
	return message.type == COAP_CON && coap_encode(&empty, reply, COAP_HEADER_OCTETS, &len) == 0 ? len : 0;
}

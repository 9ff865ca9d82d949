#include "bench/programs/fleet/reading.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void reading_observe(struct coap_message *request, const struct observation *observation)
{
	request->code = COAP_GET;
	strcpy(request->path, "/time");
	request->has_observe = true;
	request->observe = COAP_OBSERVE_REGISTER;
	request->token_len = observation->token_len;
	memcpy(request->token, observation->token, observation->token_len);
}

static void put_number(struct coap_message *request, uint32_t number)
{
	request->token_len = sizeof number;
	memcpy(request->token, &number, sizeof number);
}

void reading_get(struct coap_message *request, uint32_t number, const char *path)
{
	request->code = COAP_GET;
	strcpy(request->path, path);
	put_number(request, number);
}

static void put_text(struct coap_message *request, uint32_t number, const char *text)
{
	request->code = COAP_POST;
	strcpy(request->path, "/echo");
	request->has_format = true;
	request->format = COAP_FORMAT_JSON;
	put_number(request, number);
	request->payload = (const uint8_t *)text;
	request->payload_len = strlen(text);
}

void reading_post(struct coap_message *request, uint32_t number, unsigned device, char text[static READING_TEXT_OCTETS])
{
	snprintf(text, READING_TEXT_OCTETS, "{\"device\":%u,\"reading\":%" PRIu32 "}", device, number);
	put_text(request, number, text);
}

void reading_post_octets(struct coap_message *request, uint32_t number, size_t octets,
			 char text[static READING_TEXT_OCTETS])
{
	const size_t len = octets - READING_HEAD_OCTETS;

	memset(text, '0', len);
	text[len] = '\0';
	put_text(request, number, text);
}

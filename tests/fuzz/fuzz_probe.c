/* What servers answer to probes. Input: an octet (bit 0: HTTP or CoAP, bit 1: the connection ended), then the
 * answer. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "health/http_reply.h"
#include "health/probe_get.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_http(const uint8_t *data, size_t len, bool ended)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct http_reply reply;

	require(copy);
	memcpy(copy, data, len);
	enum http_reading reading = http_reply_read(&reply, copy, len, ended ? HTTP_ENDED : HTTP_OPEN);
	require(!ended || reading != HTTP_MORE);
	require(reply.status == 0 || (reply.status >= 200 && reply.status <= 999));
	require(memchr(reply.text, '\0', sizeof reply.text) != NULL);
	if (reading == HTTP_WHOLE) {
		require(reply.status != 0);
		require(reply.body >= copy && reply.body + reply.body_len <= copy + len);
	}
	free(copy);
}

/* Ids and tokens are 0, so that the fuzzer finds answers easily. */
static void check_coap(const uint8_t *data, size_t len)
{
	static const uint8_t random[PROBE_GET_RANDOM_OCTETS];
	uint8_t reply[COAP_HEADER_OCTETS];
	struct probe_get get;

	probe_get_init(&get, random);
	size_t replied = probe_get_read(&get, data, len, reply);
	require(replied == 0 || (replied == COAP_HEADER_OCTETS && memcmp(reply + 2, data + 2, 2) == 0));
	require(get.answered || (get.words_len == 0 && get.code[0] == '\0'));
	require(get.words_len <= len && get.words_len <= sizeof get.words);
	require(memchr(get.code, '\0', sizeof get.code) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	if (data[0] & 1)
		check_http(data + 1, len - 1, data[0] & 2);
	else
		check_coap(data + 1, len - 1);
	return 0;
}

/* Heads of HTTP requests, as admin.http reads them from anybody who reaches it. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void within(const struct http_text *text, const char *head, size_t len)
{
	require(!text->at || (text->at >= head && text->at + text->len <= head + len) || text->len == 1 /* "/" */);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len ? len : 1);
	struct http_request request;

	require(copy);
	memcpy(copy, data, len);
	const size_t head = http_head_len(copy, len);
	require(head <= len);
	require(http_head_len(copy, head) == head);
	if (head > 0 && http_request_read(&request, copy, head) == 0) {
		require(request.path.at && request.path.len > 0);
		within(&request.path, copy, head);
		within(&request.host, copy, head);
		within(&request.origin, copy, head);
	}
	free(copy);
	return 0;
}

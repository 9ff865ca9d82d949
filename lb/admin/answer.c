#include "admin/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/hex.h"

json_t *answer_refuse(const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

json_t *answer_text(const char *text)
{
	return text ? json_string(text) : json_null();
}

json_t *answer_address(const struct addr *addr)
{
	char text[ADDR_TEXT_OCTETS];

	return json_string(addr_format(addr, text));
}

json_t *answer_counter(const stats_counter *counter)
{
	return json_integer((json_int_t)stats_read(counter));
}

json_t *answer_hex(const uint8_t *octets, size_t count)
{
	const size_t size = HEX_TEXT_OCTETS(count);
	char *hex = malloc(size);
	json_t *text;

	if (!hex)
		return NULL;
	text = json_string(hex_write(hex, size, octets, count));
	free(hex);
	return text;
}

char *answer_line(json_t *answer)
{
	char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(answer);
	return text;
}

#include "health/http_reply.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/hex.h"

enum { LENGTH_UNKNOWN = -1, LENGTH_CHUNKED = -2, LENGTH_WRONG = -3, LENGTH_DIGITS = 9 };

struct span {
	const char *at;
	size_t len;
};

/* Takes the next line without its end, which is CRLF or LF. False: it is not whole. */
static bool take_line(struct span *in, struct span *line)
{
	const char *end = in->len > 0 ? memchr(in->at, '\n', in->len) : NULL;

	if (!end)
		return false;
	*line = (struct span){ in->at, (size_t)(end - in->at) };
	in->len -= line->len + 1;
	in->at = end + 1;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9112, section 4: "HTTP/1.x NNN", and a reason phrase that may be missing with its space. */
static bool read_status(struct http_reply *out, struct span line)
{
	const char *at = line.at;
	size_t n = 0;

	if (line.len < 12 || memcmp(at, "HTTP/1.", 7) != 0 || !is_digit(at[7]) || at[8] != ' ' || at[9] == '0' ||
	    !is_digit(at[9]) || !is_digit(at[10]) || !is_digit(at[11]) || (line.len > 12 && at[12] != ' '))
		return false;
	out->status = (unsigned)(at[9] - '0') * 100 + (unsigned)(at[10] - '0') * 10 + (unsigned)(at[11] - '0');
	for (size_t i = 9; i < line.len && n + 1 < sizeof out->text; i++)
		out->text[n++] = at[i] >= ' ' && at[i] <= '~' ? at[i] : '?';
	while (n > 0 && out->text[n - 1] == ' ')
		n--;
	out->text[n] = '\0';
	return true;
}

/* Finds the field's value without white space around it. False: it is another field. */
static bool field_value(struct span line, const char *name, struct span *value)
{
	size_t len = strlen(name);

	if (line.len <= len || strncasecmp(line.at, name, len) != 0 || line.at[len] != ':')
		return false;
	*value = (struct span){ line.at + len + 1, line.len - len - 1 };
	while (value->len > 0 && (*value->at == ' ' || *value->at == '\t')) {
		value->at++;
		value->len--;
	}
	while (value->len > 0 && (value->at[value->len - 1] == ' ' || value->at[value->len - 1] == '\t'))
		value->len--;
	return true;
}

static long read_length(struct span value)
{
	long length = 0;

	if (value.len == 0 || value.len > LENGTH_DIGITS)
		return LENGTH_WRONG;
	for (size_t i = 0; i < value.len; i++) {
		if (!is_digit(value.at[i]))
			return LENGTH_WRONG;
		length = length * 10 + (value.at[i] - '0');
	}
	return length;
}

/* Status line and fields up to the empty line. RFC 9112, section 6.3: chunked overrides a length. */
static enum http_reading read_head(struct http_reply *out, struct span *in, long *length)
{
	struct span line, value;

	*length = LENGTH_UNKNOWN;
	if (!take_line(in, &line))
		return HTTP_MORE;
	if (!read_status(out, line))
		return HTTP_BROKEN;
	while (take_line(in, &line)) {
		if (line.len == 0)
			return *length == LENGTH_WRONG ? HTTP_BROKEN : HTTP_WHOLE;
		if (field_value(line, "transfer-encoding", &value))
			*length = value.len == 7 && strncasecmp(value.at, "chunked", 7) == 0 ? LENGTH_CHUNKED
											     : LENGTH_WRONG;
		else if (*length != LENGTH_CHUNKED && field_value(line, "content-length", &value))
			*length = read_length(value);
	}
	return HTTP_MORE;
}

/* RFC 9112, section 7.1: the size in hex, extensions behind ';'. */
static long read_chunk_size(struct span line)
{
	long size = 0;
	size_t i = 0;

	for (; i < line.len && line.at[i] != ';' && line.at[i] != ' '; i++) {
		const int digit = hex_digit(line.at[i]);
		size = size * 16 + digit;
		if (digit < 0 || size > 0xffffff)
			return LENGTH_WRONG;
	}
	return i > 0 ? size : LENGTH_WRONG;
}

/* Walks the chunks. `joined`: where their data goes, or NULL. The trailer is not waited for. */
static enum http_reading read_chunks(struct span in, uint8_t *joined, size_t *joined_len)
{
	struct span line;

	*joined_len = 0;
	while (take_line(&in, &line)) {
		long size = read_chunk_size(line);
		if (size == LENGTH_WRONG)
			return HTTP_BROKEN;
		if (size == 0)
			return HTTP_WHOLE;
		if (in.len < (size_t)size)
			return HTTP_MORE;
		if (joined)
			memmove(joined + *joined_len, in.at, (size_t)size);
		*joined_len += (size_t)size;
		in.at += size;
		in.len -= (size_t)size;
		if (!take_line(&in, &line))
			return HTTP_MORE;
		if (line.len != 0)
			return HTTP_BROKEN;
	}
	return HTTP_MORE;
}

static enum http_reading read_body(struct http_reply *out, uint8_t *body, size_t len, long length,
				   enum http_input input)
{
	struct span in = { (const char *)body, len };
	enum http_reading reading;

	out->body = body;
	if (out->status == 204 || out->status == 304)
		return HTTP_WHOLE;
	if (length == LENGTH_CHUNKED) {
		reading = read_chunks(in, NULL, &out->body_len);
		if (reading == HTTP_WHOLE)
			read_chunks(in, body, &out->body_len);
		return reading;
	}
	out->body_len = length == LENGTH_UNKNOWN ? len : (size_t)length;
	if (length == LENGTH_UNKNOWN)
		return input == HTTP_ENDED ? HTTP_WHOLE : HTTP_MORE;
	return len >= (size_t)length ? HTTP_WHOLE : HTTP_MORE;
}

enum http_reading http_reply_read(struct http_reply *out, uint8_t *data, size_t len, enum http_input input)
{
	struct span in = { (const char *)data, len };
	enum http_reading reading;
	long length;

	do {
		memset(out, 0, sizeof *out);
		reading = read_head(out, &in, &length);
	} while (reading == HTTP_WHOLE && out->status < 200); /* RFC 9110, section 15.2: interim */
	if (reading != HTTP_WHOLE)
		out->status = 0;
	else
		reading = read_body(out, data + (in.at - (const char *)data), in.len, length, input);
	return reading == HTTP_MORE && input == HTTP_ENDED ? HTTP_BROKEN : reading;
}

#include "admin/http_request.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* What is seen of the headers so far. */
struct headers {
	unsigned hosts, lengths;
	bool coded; /* Transfer-Encoding */
	size_t body;
};

static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_len(const char *at, size_t len)
{
	size_t n = 0;

	while (n < len && is_token(at[n]))
		n++;
	return n;
}

/* Whether `text` is `word`, whatever the case of its letters. */
static bool text_is(const struct http_text *text, const char *word)
{
	return text->len == strlen(word) && strncasecmp(text->at, word, text->len) == 0;
}

size_t http_head_len(const char *data, size_t len)
{
	const char *end = data;

	while ((end = memchr(end, '\n', len - (size_t)(end - data)))) {
		const size_t at = (size_t)(++end - data);

		if (at < len && data[at] == '\n')
			return at + 1;
		if (at + 1 < len && data[at] == '\r' && data[at + 1] == '\n')
			return at + 2;
	}
	return 0;
}

/* Takes the next line, without its CRLF. False: it does not end with one, or has control characters. */
static bool line_next(struct http_text *out, const char **at, const char *end)
{
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));

	if (!newline || newline == *at || newline[-1] != '\r')
		return false;
	*out = (struct http_text){ *at, (size_t)(newline - 1 - *at) };
	*at = newline + 1;
	for (size_t i = 0; i < out->len; i++)
		if (((unsigned char)out->at[i] < ' ' && out->at[i] != '\t') || out->at[i] == 0x7f)
			return false;
	return true;
}

/* The target as a client sends it to a server, or to a proxy: RFC 9112, section 3.2. */
static bool target_read(struct http_request *out, struct http_text target)
{
	static const char scheme[] = "http://";
	const size_t skip = sizeof scheme - 1;

	if (target.len > skip && strncasecmp(target.at, scheme, skip) == 0) {
		const char *slash = memchr(target.at + skip, '/', target.len - skip);
		const char *end = target.at + target.len;

		out->host = (struct http_text){ target.at + skip, (size_t)((slash ? slash : end) - target.at) - skip };
		target = slash ? (struct http_text){ slash, (size_t)(end - slash) } : (struct http_text){ "/", 1 };
	}
	/* "*" is for OPTIONS. */
	if (target.len == 0 || (*target.at != '/' && !(target.len == 1 && *target.at == '*')))
		return false;
	const char *query = memchr(target.at, '?', target.len);
	out->path = (struct http_text){ target.at, query ? (size_t)(query - target.at) : target.len };
	return true;
}

/* Sets *minor, of the version. 0, or the status. */
static int request_line_read(struct http_request *out, const struct http_text *line, char *minor)
{
	static const char version[] = "HTTP/1.";
	const size_t word = token_len(line->at, line->len), tail = sizeof version;
	const struct http_text method = { line->at, word };
	size_t target_len;

	if (word == 0 || line->len < word + 2 + tail || line->at[word] != ' ')
		return 400;
	target_len = line->len - word - 2 - tail;
	const char *target = line->at + word + 1, *last = target + target_len + 1;
	if (target[target_len] != ' ' || memchr(target, ' ', target_len) || memchr(target, '\t', target_len))
		return 400;
	if (memcmp(last, "HTTP/", 5) != 0 || last[6] != '.')
		return 400;
	if (memcmp(last, version, sizeof version - 1) != 0 || (last[7] != '0' && last[7] != '1'))
		return 505;
	*minor = last[7];
	out->method = method.len == 3 && memcmp(method.at, "GET", 3) == 0    ? HTTP_GET
		      : method.len == 4 && memcmp(method.at, "HEAD", 4) == 0 ? HTTP_HEAD
									     : HTTP_OTHER;
	return target_read(out, (struct http_text){ target, target_len }) ? 0 : 400;
}

/* False: no number. A number too large for a body is as good as any other such number. */
static bool length_read(struct headers *headers, const struct http_text *value)
{
	headers->body = 0;
	for (size_t i = 0; i < value->len; i++) {
		if (value->at[i] < '0' || value->at[i] > '9')
			return false;
		if (headers->body <= HTTP_BODY_OCTETS)
			headers->body = headers->body * 10 + (size_t)(value->at[i] - '0');
	}
	return value->len > 0;
}

static bool header_read(struct http_request *out, struct headers *headers, const struct http_text *line)
{
	const struct http_text name = { line->at, token_len(line->at, line->len) };
	struct http_text value = { line->at + name.len + 1, 0 };

	if (name.len == 0 || name.len == line->len || line->at[name.len] != ':')
		return false;
	value.len = line->len - name.len - 1;
	for (; value.len > 0 && strchr(" \t", *value.at); value.at++)
		value.len--;
	while (value.len > 0 && strchr(" \t", value.at[value.len - 1]))
		value.len--;
	if (text_is(&name, "Host")) {
		headers->hosts++;
		if (!out->host.at) /* else the target has told it */
			out->host = value;
	} else if (text_is(&name, "Origin")) {
		out->origin = value;
	} else if (text_is(&name, "Content-Length")) {
		headers->lengths++;
		return length_read(headers, &value);
	} else if (text_is(&name, "Transfer-Encoding")) {
		headers->coded = true;
	}
	return true;
}

int http_request_read(struct http_request *out, const char *head, size_t len)
{
	const char *at = head, *end = head + len;
	struct headers headers = { 0 };
	struct http_text line;
	char minor = '0';
	int status;

	*out = (struct http_request){ .method = HTTP_OTHER };
	if (!line_next(&line, &at, end))
		return 400;
	status = request_line_read(out, &line, &minor);
	if (status)
		return status;
	for (;;) {
		if (!line_next(&line, &at, end))
			return 400;
		if (line.len == 0)
			break;
		if (!header_read(out, &headers, &line))
			return 400;
	}
	if (headers.hosts > 1 || (headers.hosts == 0 && minor != '0') || headers.lengths > 1)
		return 400;
	if (headers.coded)
		return headers.lengths || minor == '0' ? 400 : 501;
	return headers.body > HTTP_BODY_OCTETS ? 413 : 0;
}

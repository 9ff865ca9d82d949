#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	NAME_OCTETS = 128,   /* of event, pool and backend: what is longer is cut */
	REASON_OCTETS = 512, /* with the final NUL */
	ESCAPED_OCTETS = 6,  /* \u00XX, the longest escape */
	AROUND_OCTETS = 160, /* time, level, keys and punctuation */
	LINE_OCTETS = ESCAPED_OCTETS * (3 * NAME_OCTETS + REASON_OCTETS) + AROUND_OCTETS,
};

struct line {
	char text[LINE_OCTETS];
	size_t len;
};

static _Atomic enum log_format log_format = LOG_FORMAT_TEXT;

void log_set_format(enum log_format format)
{
	atomic_store_explicit(&log_format, format, memory_order_relaxed);
}

static void line_add(struct line *line, const char *text)
{
	size_t len = strlen(text);

	memcpy(line->text + line->len, text, len);
	line->len += len;
}

/* `plain_from`: the first octet that needs no escape; a word of a text line must not hold a space. */
static void line_add_escaped(struct line *line, const char *text, size_t max, char plain_from, const char *octet_format)
{
	for (size_t i = 0; i < max && text[i] != '\0'; i++) {
		char c = text[i];
		char escaped[ESCAPED_OCTETS + 1] = { c };

		if (c == '"' || c == '\\')
			snprintf(escaped, sizeof escaped, "\\%c", c);
		else if (c < plain_from || c > '~') /* with signed char, octets from 0x80 are below */
			snprintf(escaped, sizeof escaped, octet_format, (unsigned char)c);
		line_add(line, escaped);
	}
}

static void line_add_word(struct line *line, const char *key, const char *word)
{
	if (!word)
		return;
	line_add(line, key);
	line_add_escaped(line, word, NAME_OCTETS, '!', "\\x%02x");
}

static void line_add_member(struct line *line, const char *key, const char *value, size_t max)
{
	if (!value)
		return;
	line_add(line, ",\"");
	line_add(line, key);
	line_add(line, "\":\"");
	line_add_escaped(line, value, max, ' ', "\\u%04x");
	line_add(line, "\"");
}

static void format_time(char *out, size_t size)
{
	struct timespec now;
	struct tm tm;
	char seconds[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, size, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
}

void log_event(enum log_level level, const char *event, const char *pool, const char *backend, const char *reason, ...)
{
	static const char *const levels[] = { "info", "warning", "error" };
	struct line line = { .len = 0 };
	char text[REASON_OCTETS], now[48];
	va_list args;

	va_start(args, reason);
	vsnprintf(text, sizeof text, reason, args);
	va_end(args);
	format_time(now, sizeof now);

	if (atomic_load_explicit(&log_format, memory_order_relaxed) == LOG_FORMAT_JSON) {
		line_add(&line, "{\"time\":\"");
		line_add(&line, now);
		line_add(&line, "\"");
		line_add_member(&line, "level", levels[level], NAME_OCTETS);
		line_add_member(&line, "event", event, NAME_OCTETS);
		line_add_member(&line, "pool", pool, NAME_OCTETS);
		line_add_member(&line, "backend", backend, NAME_OCTETS);
		line_add_member(&line, "reason", text, REASON_OCTETS);
		line_add(&line, "}");
	} else {
		line_add(&line, now);
		line_add_word(&line, " ", levels[level]);
		line_add_word(&line, " ", event);
		line_add_word(&line, " pool=", pool);
		line_add_word(&line, " backend=", backend);
		line_add(&line, ": ");
		line_add_escaped(&line, text, REASON_OCTETS, ' ', "\\x%02x");
	}
	line_add(&line, "\n");
	/* A log that cannot be written has nobody to tell. */
	if (write(STDERR_FILENO, line.text, line.len) < 0)
		return;
}

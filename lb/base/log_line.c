#include "base/log_line.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_OCTETS = LOG_NAME_OCTETS, REASON_OCTETS = LOG_REASON_OCTETS, ESCAPED_OCTETS = LOG_ESCAPED_OCTETS };

_Static_assert(LOG_REASON_OCTETS <= LOG_FIELDS_OCTETS, "a reason is a field");

static _Atomic enum log_format log_format = LOG_FORMAT_TEXT;
static atomic_bool to_journal;

void log_set_format(enum log_format format)
{
	atomic_store_explicit(&log_format, format, memory_order_relaxed);
}

enum log_format log_get_format(void)
{
	return atomic_load_explicit(&log_format, memory_order_relaxed);
}

void log_find_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat file;
	char mine[48];

	if (!stream || fstat(STDERR_FILENO, &file) < 0)
		return;
	snprintf(mine, sizeof mine, "%ju:%ju", (uintmax_t)file.st_dev, (uintmax_t)file.st_ino);
	atomic_store_explicit(&to_journal, strcmp(stream, mine) == 0, memory_order_relaxed);
}

const char *log_line_priority(enum log_level level)
{
	static const char *const priorities[] = {
		[LOG_LEVEL_INFO] = "<6>", [LOG_LEVEL_WARNING] = "<4>", [LOG_LEVEL_ERROR] = "<3>"
	};

	return atomic_load_explicit(&to_journal, memory_order_relaxed) ? priorities[level] : "";
}

static void line_add(struct log_line *line, const char *text)
{
	size_t len = strlen(text);

	memcpy(line->text + line->len, text, len);
	line->len += len;
}

/* `plain_from`: the first octet that needs no escape; a word of a text line must not hold a space. */
static void line_add_escaped(struct log_line *line, const char *text, size_t max, char plain_from,
			     const char *octet_format)
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

static void line_add_word(struct log_line *line, const char *key, const char *word)
{
	if (!word)
		return;
	line_add(line, key);
	line_add_escaped(line, word, NAME_OCTETS, '!', "\\x%02x");
}

static void line_add_key(struct log_line *line, const char *key)
{
	line_add(line, ",\"");
	line_add(line, key);
	line_add(line, "\":");
}

static void line_add_member(struct log_line *line, const char *key, const char *value, size_t max)
{
	if (!value)
		return;
	line_add_key(line, key);
	line_add(line, "\"");
	line_add_escaped(line, value, max, ' ', "\\u%04x");
	line_add(line, "\"");
}

static void line_add_fields(struct log_line *line, const struct log_field *fields)
{
	size_t left = LOG_FIELDS_OCTETS;
	char number[24];

	for (size_t i = 0; i < LOG_FIELDS_MAX && fields[i].key; i++) {
		if (fields[i].text) {
			line_add_member(line, fields[i].key, fields[i].text, left);
			left -= strnlen(fields[i].text, left);
		} else {
			snprintf(number, sizeof number, "%" PRId64, fields[i].number);
			line_add_key(line, fields[i].key);
			line_add(line, number);
		}
	}
}

struct log_time log_time_now(void)
{
	struct log_time time;
	struct timespec now;
	struct tm tm;
	char seconds[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(time.text, sizeof time.text, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
	return time;
}

static void json_make(struct log_line *line, const struct log_said *said, const char *level)
{
	const struct log_what *what = said->what;

	line_add(line, "{\"time\":\"");
	line_add(line, said->time.text);
	line_add(line, "\"");
	line_add_member(line, "level", level, NAME_OCTETS);
	line_add_member(line, "event", what->event, NAME_OCTETS);
	line_add_member(line, "pool", what->pool, NAME_OCTETS);
	line_add_member(line, "backend", what->backend, NAME_OCTETS);
	if (what->fields)
		line_add_fields(line, what->fields);
	else
		line_add_member(line, "reason", said->words, REASON_OCTETS);
	line_add(line, "}");
}

static void text_make(struct log_line *line, const struct log_said *said, const char *level)
{
	line_add(line, said->time.text);
	line_add_word(line, " ", level);
	line_add_word(line, " ", said->what->event);
	line_add_word(line, " pool=", said->what->pool);
	line_add_word(line, " backend=", said->what->backend);
	line_add(line, ": ");
	line_add_escaped(line, said->words, REASON_OCTETS, ' ', "\\x%02x");
}

void log_line_make(struct log_line *line, const struct log_said *said, enum log_format format)
{
	static const char *const levels[] = { "info", "warning", "error" };
	const char *level = levels[said->what->level];

	line->len = 0;
	line_add(line, said->priority);
	if (format == LOG_FORMAT_JSON)
		json_make(line, said, level);
	else
		text_make(line, said, level);
	line_add(line, "\n");
}

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/read.h"

/* LINE of a report line. */
static long line_number(const struct conf_reader *reader, const char *line)
{
	return strtol(line + strlen(reader->file) + 1, NULL, 10);
}

/* Takes `line`, which is NULL for want of memory. Keeps the order of the file, because people correct it from top to
 * bottom. */
static void add_line(struct conf_reader *reader, char ***lines, size_t *count, char *line)
{
	char **grown = line ? realloc(*lines, (*count + 1) * sizeof *grown) : NULL;
	size_t at = *count;

	if (!grown) {
		free(line);
		reader->no_memory = true;
		return;
	}
	for (; at > 0 && line_number(reader, grown[at - 1]) > line_number(reader, line); at--)
		grown[at] = grown[at - 1];
	grown[at] = line;
	*lines = grown;
	++*count;
}

static void write_path(FILE *out, const config_setting_t *setting)
{
	const config_setting_t *parent = setting ? config_setting_parent(setting) : NULL;

	if (!parent)
		return;
	write_path(out, parent);
	if (!config_setting_name(setting))
		fprintf(out, "[%d]", config_setting_index(setting));
	else
		fprintf(out, "%s%s", config_setting_parent(parent) ? "." : "", config_setting_name(setting));
}

/* "FILE:LINE: PATH: MESSAGE". The root has no line of its own: what it lacks is reported at line 1. */
static char *format_line(const struct conf_reader *reader, struct conf_place place, const char *format, va_list args)
{
	const unsigned line = place.setting ? config_setting_source_line(place.setting) : 0;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "%s:%u: ", reader->file, line ? line : 1);
	write_path(out, place.setting);
	if (place.absent)
		fprintf(out, "%s%s", config_setting_parent(place.setting) ? "." : "", place.absent);
	fputs(": ", out);
	vfprintf(out, format, args);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

void conf_error(struct conf_reader *reader, struct conf_place place, const char *format, ...)
{
	struct conf_report *report = reader->report;
	va_list args;

	va_start(args, format);
	add_line(reader, &report->errors, &report->error_count, format_line(reader, place, format, args));
	va_end(args);
}

void conf_warn(struct conf_reader *reader, struct conf_place place, const char *format, ...)
{
	struct conf_report *report = reader->report;
	va_list args;

	va_start(args, format);
	add_line(reader, &report->warnings, &report->warning_count, format_line(reader, place, format, args));
	va_end(args);
}

void conf_advise(struct conf_reader *reader, struct conf_place place, const char *format, ...)
{
	struct conf_report *report = reader->report;
	va_list args;

	va_start(args, format);
	add_line(reader, &report->advice, &report->advice_count, format_line(reader, place, format, args));
	va_end(args);
}

void conf_error_line(struct conf_reader *reader, int line, const char *format, ...)
{
	struct conf_report *report = reader->report;
	char *message, *whole = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&message, format, args) < 0)
		message = NULL;
	va_end(args);
	if (message && asprintf(&whole, "%s:%d: %s", reader->file, line, message) < 0)
		whole = NULL;
	free(message);
	add_line(reader, &report->errors, &report->error_count, whole);
}

void conf_report_free(struct conf_report *report)
{
	for (size_t i = 0; i < report->error_count; i++)
		free(report->errors[i]);
	for (size_t i = 0; i < report->warning_count; i++)
		free(report->warnings[i]);
	for (size_t i = 0; i < report->advice_count; i++)
		free(report->advice[i]);
	free(report->errors);
	free(report->warnings);
	free(report->advice);
	*report = (struct conf_report){ 0 };
}

const char *conf_quote(char out[static CONF_QUOTE_OCTETS], const char *text)
{
	static const char ellipsis[] = "...\"";
	const size_t room = CONF_QUOTE_OCTETS - sizeof ellipsis;
	size_t n = 0;

	out[n++] = '"';
	while (*text && n < room) {
		const unsigned char c = (unsigned char)*text++;
		out[n++] = isprint(c) ? (char)c : '?';
	}
	strcpy(out + n, *text ? ellipsis : "\"");
	return out;
}

#include "ctl/live_table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static const json_t *cell_value(const json_t *row, const struct live_column *column)
{
	const json_t *value = json_object_get(row, column->key);

	return column->sub ? json_object_get(value, column->sub) : value;
}

const char *live_cell(char text[static LIVE_CELL_OCTETS], const json_t *value)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	if (!json_is_integer(value))
		return "-";
	snprintf(text, LIVE_CELL_OCTETS, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return text;
}

static void print_line(FILE *out, const char *const *cells, const int *widths, const bool *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		/* No blanks at the end of a line. */
		const int width = i + 1 == count && !numbers[i] ? 0 : numbers[i] ? widths[i] : -widths[i];

		fprintf(out, "%s%*s", i > 0 ? "  " : "", width, cells[i]);
	}
	fputc('\n', out);
}

static void print_notes(FILE *out, const json_t *row)
{
	const json_t *note;
	size_t index;

	json_array_foreach(json_object_get(row, "notes"), index, note)
		fprintf(out, "    %s\n", json_string_value(note));
}

static bool is_shown(const json_t *rows, const struct live_column *column)
{
	const json_t *row;
	size_t index;

	json_array_foreach(rows, index, row)
	{
		if (cell_value(row, column))
			return true;
	}
	return json_array_size(rows) == 0;
}

void live_table_print(FILE *out, const json_t *rows, const struct live_column *columns, size_t count)
{
	char texts[LIVE_COLUMNS_MAX][LIVE_CELL_OCTETS];
	const struct live_column *shown[LIVE_COLUMNS_MAX];
	const char *cells[LIVE_COLUMNS_MAX];
	int widths[LIVE_COLUMNS_MAX];
	bool numbers[LIVE_COLUMNS_MAX];
	size_t index, used = 0;
	const json_t *row;

	for (size_t i = 0; i < count; i++) {
		if (!is_shown(rows, &columns[i]))
			continue;
		cells[used] = columns[i].title;
		widths[used] = (int)strlen(columns[i].title);
		numbers[used] = json_is_integer(cell_value(json_array_get(rows, 0), &columns[i]));
		json_array_foreach(rows, index, row)
		{
			const int width = (int)strlen(live_cell(texts[used], cell_value(row, &columns[i])));

			widths[used] = width > widths[used] ? width : widths[used];
		}
		shown[used++] = &columns[i];
	}
	print_line(out, cells, widths, numbers, used);
	json_array_foreach(rows, index, row)
	{
		for (size_t i = 0; i < used; i++)
			cells[i] = live_cell(texts[i], cell_value(row, shown[i]));
		print_line(out, cells, widths, numbers, used);
		print_notes(out, row);
	}
}

void live_note(json_t *row, const char *format, ...)
{
	json_t *notes = json_object_get(row, "notes");
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (!notes) {
		notes = json_array();
		json_object_set_new(row, "notes", notes);
	}
	json_array_append_new(notes, json_string(text));
}

json_int_t live_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

const char *live_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

const char *live_age(char text[static LIVE_CELL_OCTETS], json_int_t s)
{
	static const struct {
		json_int_t s;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	size_t i = 0;

	while (units[i].s > 1 && s < units[i].s)
		i++;
	snprintf(text, LIVE_CELL_OCTETS, "%" JSON_INTEGER_FORMAT " %s", s / units[i].s, units[i].name);
	return text;
}

const char *live_octets(char text[static LIVE_CELL_OCTETS], json_int_t octets)
{
	static const char *const units[] = { "octets", "KiB", "MiB", "GiB" };
	size_t i = 0;

	while (octets >= 1024 && i + 1 < sizeof units / sizeof *units) {
		octets /= 1024;
		i++;
	}
	snprintf(text, LIVE_CELL_OCTETS, "%" JSON_INTEGER_FORMAT " %s", octets, units[i]);
	return text;
}

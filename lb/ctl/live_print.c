#include "live.h"

#include <stdbool.h>
#include <string.h>

enum { COLUMNS_MAX = 16, CELL_OCTETS = 128 };

/* A column shows the member `key`, or its member `sub`, of every object of a list. */
struct column {
	const char *title, *key, *sub;
};

static const json_t *cell_value(const json_t *row, const struct column *column)
{
	const json_t *value = json_object_get(row, column->key);

	return column->sub ? json_object_get(value, column->sub) : value;
}

static const char *cell_text(char text[static CELL_OCTETS], const json_t *value)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	if (!json_is_integer(value))
		return "-";
	snprintf(text, CELL_OCTETS, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
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

static void print_table(FILE *out, const json_t *rows, const struct column *columns, size_t count)
{
	char texts[COLUMNS_MAX][CELL_OCTETS];
	const char *cells[COLUMNS_MAX];
	int widths[COLUMNS_MAX];
	bool numbers[COLUMNS_MAX];
	const json_t *row;
	size_t index;

	for (size_t i = 0; i < count; i++) {
		cells[i] = columns[i].title;
		widths[i] = (int)strlen(columns[i].title);
		numbers[i] = json_is_integer(cell_value(json_array_get(rows, 0), &columns[i]));
		json_array_foreach(rows, index, row)
		{
			const int width = (int)strlen(cell_text(texts[i], cell_value(row, &columns[i])));

			widths[i] = width > widths[i] ? width : widths[i];
		}
	}
	print_line(out, cells, widths, numbers, count);
	json_array_foreach(rows, index, row)
	{
		for (size_t i = 0; i < count; i++)
			cells[i] = cell_text(texts[i], cell_value(row, &columns[i]));
		print_line(out, cells, widths, numbers, count);
	}
}

#define PRINT_TABLE(out, rows, columns) print_table(out, rows, columns, sizeof(columns) / sizeof(columns)[0])

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

static void print_duration(FILE *out, json_int_t s)
{
	if (s >= 86400)
		fprintf(out, "%" JSON_INTEGER_FORMAT " d ", s / 86400);
	if (s >= 3600)
		fprintf(out, "%" JSON_INTEGER_FORMAT " h ", s / 3600 % 24);
	if (s >= 60)
		fprintf(out, "%" JSON_INTEGER_FORMAT " min ", s / 60 % 60);
	fprintf(out, "%" JSON_INTEGER_FORMAT " s", s % 60);
}

/* Every verdict that there was, in the order of the answer. */
static void print_verdicts(FILE *out, json_t *verdicts)
{
	const char *name;
	json_t *count;
	bool any = false;

	fprintf(out, "verdicts ");
	json_object_foreach(verdicts, name, count)
	{
		if (json_integer_value(count) == 0)
			continue;
		fprintf(out, "%s %s %" JSON_INTEGER_FORMAT, any ? "," : "", name, json_integer_value(count));
		any = true;
	}
	fprintf(out, "%s\n", any ? "" : " none yet");
}

static void print_status(const json_t *status, FILE *out)
{
	static const struct column listeners[] = {
		{ "LISTENER", "name", NULL },     { "ADDRESS", "address", NULL },           { "POOL", "pool", NULL },
		{ "RECEIVED", "received", NULL }, { "KERNEL DROPS", "kernel_drops", NULL },
	};
	static const struct column pools[] = {
		{ "POOL", "name", NULL },          { "BACKENDS", "backends", NULL },
		{ "TAKE NEW", "accepting", NULL }, { "PROVEN FLOWS", "flows", "proven" },
		{ "ON TRIAL", "flows", "trial" },  { "REPLIES", "replies", NULL },
		{ "COPIES", "copies", NULL },      { "CONTESTS", "contests", NULL },
	};

	fprintf(out, "cidlb %s, up ", text_of(status, "version"));
	print_duration(out, number_of(status, "uptime_s"));
	fprintf(out, ", %" JSON_INTEGER_FORMAT " workers, %s\n", number_of(status, "workers"),
		json_is_true(json_object_get(status, "ready")) ? "ready" : "not every backend was probed yet");
	fprintf(out, "configuration %s, routing table %" JSON_INTEGER_FORMAT "\n\n", text_of(status, "file"),
		number_of(status, "generation"));
	PRINT_TABLE(out, json_object_get(status, "listeners"), listeners);
	fputc('\n', out);
	PRINT_TABLE(out, json_object_get(status, "pools"), pools);
	fputc('\n', out);
	print_verdicts(out, json_object_get(status, "verdicts"));
}

static void print_backends(const json_t *answer, FILE *out)
{
	static const struct column columns[] = {
		{ "POOL", "pool", NULL },       { "BACKEND", "name", NULL },    { "HEALTH", "health", NULL },
		{ "STATE", "state", NULL },     { "WEIGHT", "weight", NULL },   { "ID", "id", NULL },
		{ "ADDRESS", "address", NULL }, { "UP", "forwarded_up", NULL }, { "DOWN", "forwarded_down", NULL },
	};

	PRINT_TABLE(out, json_object_get(answer, "backends"), columns);
}

/* One flow is a device that somebody looks into: all that is known of it. */
static void print_flow(json_t *flow, FILE *out)
{
	char text[CELL_OCTETS];
	const char *key;
	json_t *value;

	json_object_foreach(flow, key, value) fprintf(out, "%-16s %s\n", key, cell_text(text, value));
}

static void print_flows(const json_t *answer, FILE *out)
{
	static const struct column columns[] = {
		{ "POOL", "pool", NULL },
		{ "KIND", "kind", NULL },
		{ "CID", "cid", NULL },
		{ "OWNER", "owner", NULL },
		{ "CLAIMANT", "claimant", NULL },
		{ "COPIES", "copies", NULL },
		{ "CONTESTS", "contests", NULL },
		{ "ENDPOINT", "endpoint", NULL },
		{ "BACKEND", "backend", NULL },
		{ "TRIAL", "trial", NULL },
		{ "FIRST, MS AGO", "first_ms_ago", NULL },
		{ "LAST UP", "last_up_ms_ago", NULL },
		{ "LAST DOWN", "last_down_ms_ago", NULL },
	};
	json_t *flows = json_object_get(answer, "flows");
	const json_int_t matched = number_of(answer, "matched"), shown = (json_int_t)json_array_size(flows);

	if (matched == 0)
		fprintf(out, "no flow\n");
	else if (matched == 1)
		print_flow(json_array_get(flows, 0), out);
	else
		PRINT_TABLE(out, flows, columns);
	if (shown < matched)
		fprintf(out, "%" JSON_INTEGER_FORMAT " more; --limit N shows up to 1000\n", matched - shown);
}

static void print_backend(const json_t *answer, FILE *out)
{
	const json_t *backend = json_object_get(answer, "backend");

	fprintf(out, "%s/%s: %s, %s, weight %" JSON_INTEGER_FORMAT "\n", text_of(backend, "pool"), text_of(backend, "name"),
		text_of(backend, "state"), text_of(backend, "health"), number_of(backend, "weight"));
}

static void print_reload(const json_t *answer, FILE *out)
{
	const json_t *line;
	size_t index;

	json_array_foreach(json_object_get(answer, "warnings"), index, line) fprintf(out, "warning: %s\n", json_string_value(line));
	fprintf(out, "reloaded\n");
}

void live_print(const char *command, const json_t *answer, FILE *out)
{
	if (strcmp(command, "status") == 0)
		print_status(answer, out);
	else if (strcmp(command, "backends") == 0)
		print_backends(answer, out);
	else if (strcmp(command, "flows") == 0)
		print_flows(answer, out);
	else if (strcmp(command, "reload") == 0)
		print_reload(answer, out);
	else
		print_backend(answer, out);
}

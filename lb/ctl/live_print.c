#include "ctl/live_print.h"

#include <stdbool.h>
#include <string.h>

#include "ctl/live_backends.h"
#include "ctl/live_table.h"

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

/* "flows 3, send 1", of those that are not 0. False: all are. */
static bool counts_text(char text[static LIVE_CELL_OCTETS], json_t *counts)
{
	const char *name;
	json_t *count;
	size_t used = 0;

	json_object_foreach(counts, name, count)
	{
		if (json_integer_value(count) != 0 && used < LIVE_CELL_OCTETS)
			used += (size_t)snprintf(text + used, LIVE_CELL_OCTETS - used, "%s%s %" JSON_INTEGER_FORMAT,
						 used ? ", " : "", name, json_integer_value(count));
	}
	return used > 0;
}

static void note_pool(json_t *row)
{
	const json_t *stateless = json_object_get(row, "stateless");
	const json_int_t contested = live_number(row, "ids_contested");
	const json_int_t forged = live_number(stateless, "check"), foreign = live_number(stateless, "source");
	char text[LIVE_CELL_OCTETS];

	if (json_is_object(stateless))
		live_note(row, "%s", live_text(stateless, "how"));
	if (forged || foreign)
		live_note(row,
			  "dropped at endpoints: check failed %" JSON_INTEGER_FORMAT
			  ", of no backend %" JSON_INTEGER_FORMAT,
			  forged, foreign);

	if (json_is_integer(json_object_get(row, "accepting")) && live_number(row, "accepting") == 0)
		live_note(row, "no backend takes new sessions");
	if (contested > 0)
		live_note(row, "%" JSON_INTEGER_FORMAT " server id%s claimed by several backends", contested,
			  contested == 1 ? "" : "s");
	if (counts_text(text, json_object_get(row, "refused_up")))
		live_note(row, "refused to backends: %s", text);
	if (counts_text(text, json_object_get(row, "refused_down")))
		live_note(row, "refused to devices: %s", text);
}

static void print_pools(const json_t *pools, FILE *out)
{
	static const struct live_column columns[] = {
		{ "POOL", "name", NULL },          { "BACKENDS", "backends", NULL },
		{ "TAKE NEW", "accepting", NULL }, { "PROVEN FLOWS", "flows", "proven" },
		{ "ON TRIAL", "flows", "trial" },  { "REPLIES", "replies", NULL },
		{ "COPIES", "copies", NULL },      { "CONTESTS", "contests", NULL },
		{ "ID MOVES", "id_moves", NULL },
	};
	json_t *rows = json_array(), *pool;
	size_t index;

	json_array_foreach(pools, index, pool)
	{
		json_t *row = json_copy(pool);

		note_pool(row);
		json_array_append_new(rows, row);
	}
	LIVE_TABLE_PRINT(out, rows, columns);
	json_decref(rows);
}

static void print_status(const json_t *status, FILE *out)
{
	static const struct live_column listeners[] = {
		{ "LISTENER", "name", NULL },     { "ADDRESS", "address", NULL },           { "POOL", "pool", NULL },
		{ "RECEIVED", "received", NULL }, { "KERNEL DROPS", "kernel_drops", NULL },
	};

	fprintf(out, "cidlb %s, up ", live_text(status, "version"));
	print_duration(out, live_number(status, "uptime_s"));
	fprintf(out, ", %" JSON_INTEGER_FORMAT " workers, %s\n", live_number(status, "workers"),
		json_is_true(json_object_get(status, "ready")) ? "ready" : "not every backend was probed yet");
	fprintf(out, "configuration %s, fingerprint %s, routing table %" JSON_INTEGER_FORMAT "\n\n",
		live_text(status, "file"), live_text(status, "fingerprint"), live_number(status, "generation"));
	LIVE_TABLE_PRINT(out, json_object_get(status, "listeners"), listeners);
	fputc('\n', out);
	print_pools(json_object_get(status, "pools"), out);
	fputc('\n', out);
	print_verdicts(out, json_object_get(status, "verdicts"));
}

/* One flow is a device that somebody looks into: all that is known of it. */
static void print_flow(json_t *flow, FILE *out)
{
	char text[LIVE_CELL_OCTETS];
	const char *key;
	json_t *value;

	json_object_foreach(flow, key, value) fprintf(out, "%-16s %s\n", key, live_cell(text, value));
}

static void print_flows(const json_t *answer, FILE *out)
{
	static const struct live_column columns[] = {
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
	json_t *flows = json_object_get(answer, "flows"), *name;
	size_t index;
	const json_int_t matched = live_number(answer, "matched"), shown = (json_int_t)json_array_size(flows);

	if (matched == 0)
		fprintf(out, "no flow\n");
	else if (matched == 1)
		print_flow(json_array_get(flows, 0), out);
	else
		LIVE_TABLE_PRINT(out, flows, columns);
	if (shown < matched)
		fprintf(out, "%" JSON_INTEGER_FORMAT " more; --limit N shows up to 1000\n", matched - shown);
	json_array_foreach(json_object_get(answer, "stateless"), index, name)
		fprintf(out, "pool %s runs without a table: it needs no flows\n", json_string_value(name));
}

static void print_backend(const json_t *answer, FILE *out)
{
	const json_t *backend = json_object_get(answer, "backend");

	fprintf(out, "%s/%s: %s, %s, weight %" JSON_INTEGER_FORMAT "\n", live_text(backend, "pool"),
		live_text(backend, "name"), live_text(backend, "state"), live_text(backend, "health"),
		live_number(backend, "weight"));
}

static void print_reload(const json_t *answer, FILE *out)
{
	const json_t *line;
	size_t index;

	json_array_foreach(json_object_get(answer, "warnings"), index, line)
		fprintf(out, "warning: %s\n", json_string_value(line));
	fprintf(out, "reloaded\n");
}

void live_print(const char *command, const json_t *answer, FILE *out)
{
	if (strcmp(command, "status") == 0)
		print_status(answer, out);
	else if (strcmp(command, "backends") == 0)
		live_print_backends(answer, out);
	else if (strcmp(command, "flows") == 0)
		print_flows(answer, out);
	else if (strcmp(command, "reload") == 0)
		print_reload(answer, out);
	else
		print_backend(answer, out);
}

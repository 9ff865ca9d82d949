#include "ctl/live_print.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/plural.h"
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

/* "learned 1200 of 1000000 CIDs, octets: 6, 8; forgotten 0, at two servers 0, of a fifth length 0" */
static void note_learned(json_t *row, const json_t *learned)
{
	char lengths[LIVE_CELL_OCTETS] = "";
	const json_t *length;
	size_t used = 0, index;

	json_array_foreach(json_object_get(learned, "lengths"), index, length) used +=
		(size_t)snprintf(lengths + used, sizeof lengths - used, "%s%" JSON_INTEGER_FORMAT,
				 used ? ", " : ", octets: ", json_integer_value(length));
	live_note(row,
		  "learned %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " CIDs%s; forgotten %" JSON_INTEGER_FORMAT
		  ", at two servers %" JSON_INTEGER_FORMAT ", of a fifth length %" JSON_INTEGER_FORMAT,
		  live_number(learned, "cids"), live_number(learned, "max_cids"), lengths,
		  live_number(learned, "evicted"), live_number(learned, "shared"), live_number(learned, "refused"));
}

/* "resumable 120 sessions, 40 addresses, of 100000; forgotten 0; led 80 handshakes" */
static void note_resumable(json_t *row, const json_t *resumable)
{
	if (live_number(resumable, "added") == 0 && live_number(resumable, "sessions") == 0)
		return;
	live_note(row,
		  "resumable %" JSON_INTEGER_FORMAT " sessions, %" JSON_INTEGER_FORMAT
		  " addresses, of %" JSON_INTEGER_FORMAT "; forgotten %" JSON_INTEGER_FORMAT
		  "; led %" JSON_INTEGER_FORMAT " handshakes",
		  live_number(resumable, "sessions"), live_number(resumable, "addresses"),
		  live_number(resumable, "max_resumable"), live_number(resumable, "evicted"),
		  live_number(resumable, "led"));
}

static void note_pool(json_t *row)
{
	const json_t *stateless = json_object_get(row, "stateless");
	const json_int_t contested = live_number(row, "ids_contested");
	const json_int_t forged = live_number(stateless, "check"), foreign = live_number(stateless, "source");
	char text[LIVE_CELL_OCTETS];

	if (json_is_object(stateless))
		live_note(row, "%s", live_text(stateless, "how"));
	if (json_is_object(json_object_get(row, "learned")))
		note_learned(row, json_object_get(row, "learned"));
	if (json_is_object(json_object_get(row, "resumable")))
		note_resumable(row, json_object_get(row, "resumable"));
	if (forged || foreign)
		live_note(row,
			  "dropped at endpoints: check failed %" JSON_INTEGER_FORMAT
			  ", of no backend %" JSON_INTEGER_FORMAT,
			  forged, foreign);

	if (json_is_integer(json_object_get(row, "accepting")) && live_number(row, "accepting") == 0)
		live_note(row, "no backend takes new sessions");
	if (contested > 0)
		live_note(row, "%" JSON_INTEGER_FORMAT " server id%s claimed by several backends", contested,
			  PLURAL(contested));
	if (counts_text(text, json_object_get(row, "refused_up")))
		live_note(row, "refused to backends: %s", text);
	if (counts_text(text, json_object_get(row, "refused_down")))
		live_note(row, "refused to devices: %s", text);
}

static void print_pools(const json_t *pools, FILE *out)
{
	static const struct live_column columns[] = {
		{ "POOL", "name", NULL },          { "BACKENDS", "backends", NULL },
		{ "TAKE NEW", "accepting", NULL }, { "CID FLOWS", "flows", "cid" },
		{ "ADDRESS", "flows", "address" }, { "HANDSHAKE", "flows", "handshake" },
		{ "REPLIES", "replies", NULL },    { "COPIES", "copies", NULL },
		{ "WITHHELD", "withheld", NULL },  { "OWN ENDPOINT", "own_endpoint", NULL },
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

/* "receive buffers: listener 4 MiB, endpoint 208 KiB, 4 MiB asked for" */
static void print_buffers(json_t *buffers, FILE *out)
{
	char text[LIVE_CELL_OCTETS];
	const char *kind;
	json_t *octets;

	if (!buffers)
		return;
	fprintf(out, "receive buffers: ");
	json_object_foreach(buffers, kind, octets)
	{
		if (strcmp(kind, "asked") != 0)
			fprintf(out, "%s %s, ", kind, live_octets(text, json_integer_value(octets)));
	}
	fprintf(out, "%s asked for\n", live_octets(text, live_number(buffers, "asked")));
}

/* "redis 10.0.0.5:6379: connected; pushed 12, waiting 0, dropped 0; read 40, foreign 0, malformed 0" */
static void print_redis(const json_t *redis, FILE *out)
{
	const char *reason = live_text(redis, "reason");

	if (!json_is_object(redis))
		return;
	fprintf(out, "redis %s: ", live_text(redis, "address"));
	if (json_is_true(json_object_get(redis, "connected")))
		fputs("connected", out);
	else
		fprintf(out, "not connected%s%s, behind ", *reason ? ": " : "", reason);
	if (!json_is_true(json_object_get(redis, "connected")))
		print_duration(out, live_number(redis, "behind_s"));
	fprintf(out,
		"; pushed %" JSON_INTEGER_FORMAT ", waiting %" JSON_INTEGER_FORMAT ", dropped %" JSON_INTEGER_FORMAT
		"; read %" JSON_INTEGER_FORMAT ", foreign %" JSON_INTEGER_FORMAT ", malformed %" JSON_INTEGER_FORMAT
		"\n",
		live_number(redis, "pushed"), live_number(redis, "waiting"), live_number(redis, "dropped"),
		live_number(redis, "taken"), live_number(redis, "foreign"), live_number(redis, "malformed"));
}

/* "fast path ens3 native, ens4 none (it is no Ethernet): 940 of 1000 datagrams, 890 of 950 replies" */
static void print_fast(const json_t *fast, FILE *out)
{
	const json_t *interface;
	const char *rests = live_text(fast, "rests");
	size_t i;

	if (!json_is_object(fast))
		return;
	fputs("fast path", out);
	json_array_foreach(json_object_get(fast, "interfaces"), i, interface)
	{
		const char *reason = live_text(interface, "reason");

		fprintf(out, "%s %s %s%s%s%s", i > 0 ? "," : "", live_text(interface, "name"),
			live_text(interface, "mode"), *reason ? " (" : "", reason, *reason ? ")" : "");
	}
	fprintf(out,
		": %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " datagrams, %" JSON_INTEGER_FORMAT
		" of %" JSON_INTEGER_FORMAT " replies%s%s\n",
		live_number(fast, "datagrams"), live_number(fast, "of_datagrams"), live_number(fast, "replies"),
		live_number(fast, "of_replies"), *rests ? "; it rests: " : "", rests);
}

static void print_status(const json_t *status, FILE *out)
{
	static const struct live_column listeners[] = {
		{ "LISTENER", "name", NULL },     { "ADDRESS", "address", NULL },           { "POOL", "pool", NULL },
		{ "RECEIVED", "received", NULL }, { "KERNEL DROPS", "kernel_drops", NULL },
	};

	const json_int_t workers = live_number(status, "workers");

	fprintf(out, "cidlb %s, up ", live_text(status, "version"));
	print_duration(out, live_number(status, "uptime_s"));
	fprintf(out, ", %" JSON_INTEGER_FORMAT " worker%s, %s\n", workers, PLURAL(workers),
		json_is_true(json_object_get(status, "ready")) ? "ready" : live_text(status, "unready"));
	fprintf(out, "configuration %s, fingerprint %s, routing table %" JSON_INTEGER_FORMAT "\n",
		live_text(status, "file"), live_text(status, "fingerprint"), live_number(status, "generation"));
	print_buffers(json_object_get(status, "receive_buffers"), out);
	print_redis(json_object_get(status, "redis"), out);
	print_fast(json_object_get(status, "fast"), out);
	fputc('\n', out);
	LIVE_TABLE_PRINT(out, json_object_get(status, "listeners"), listeners);
	fputc('\n', out);
	print_pools(json_object_get(status, "pools"), out);
	fputc('\n', out);
	print_verdicts(out, json_object_get(status, "verdicts"));
}

/* "40 ms ago", "3 h ago" */
static json_t *ago(const json_t *ms)
{
	char text[LIVE_CELL_OCTETS];
	const json_int_t value = json_integer_value(ms);

	if (!json_is_integer(ms))
		return json_string("never");
	return value < 1000 ? json_sprintf("%" JSON_INTEGER_FORMAT " ms ago", value)
			    : json_sprintf("%s ago", live_age(text, value / 1000));
}

/* "192.0.2.1:4000 (answered), 192.0.2.2:4000" */
static json_t *places_text(const json_t *places)
{
	json_t *text = json_array_size(places) ? json_string("") : json_string("none"), *place;
	size_t index;

	json_array_foreach((json_t *)(uintptr_t)places, index, place)
	{
		static const char *const says[] = { "answered", "known", "withheld" };
		json_t *longer =
			json_sprintf("%s%s%s", json_string_value(text), index ? ", " : "", live_text(place, "address"));

		json_decref(text);
		text = longer;
		for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
			if (!json_is_true(json_object_get(place, says[i])))
				continue;
			longer = json_sprintf("%s (%s)", json_string_value(text), says[i]);
			json_decref(text);
			text = longer;
		}
	}
	return text;
}

/* What a reader is shown of a flow: times as ages. */
static json_t *flow_row(const json_t *flow)
{
	static const char *const times[][2] = { { "first_ms_ago", "began" },
						{ "last_up_ms_ago", "last up" },
						{ "last_down_ms_ago", "last down" } };
	json_t *row = json_copy((json_t *)(uintptr_t)flow);

	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		const json_t *ms = json_object_get(flow, times[i][0]);

		if (ms)
			json_object_set_new(row, times[i][1], ago(ms));
		json_object_del(row, times[i][0]);
	}
	if (json_is_array(json_object_get(flow, "unproven")))
		json_object_set_new(row, "unproven", places_text(json_object_get(flow, "unproven")));
	return row;
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
		{ "POOL", "pool", NULL },           { "KIND", "kind", NULL },     { "CID", "cid", NULL },
		{ "DEVICE", "device", NULL },       { "COPIES", "copies", NULL }, { "ENDPOINT", "endpoint", NULL },
		{ "BACKEND", "backend", NULL },     { "CLASS", "class", NULL },   { "MOVES", "moves", NULL },
		{ "OCTETS", "octets", NULL },       { "BEGAN", "began", NULL },   { "LAST UP", "last up", NULL },
		{ "LAST DOWN", "last down", NULL },
	};
	json_t *flows = json_array(), *flow, *name;
	size_t index;
	json_array_foreach(json_object_get(answer, "flows"), index, flow) json_array_append_new(flows, flow_row(flow));
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
	json_decref(flows);
}

/* How long a change lasts that nobody wanted to be kept. */
static void print_unsaved(const json_t *answer, FILE *out)
{
	if (json_is_null(json_object_get(answer, "kept")))
		fputs("It lasts until cidlb ends: there is no state_file.\n", out);
}

static void print_backend(const json_t *answer, FILE *out)
{
	const json_t *backend = json_object_get(answer, "backend");

	fprintf(out, "%s/%s: %s, %s, weight %" JSON_INTEGER_FORMAT "\n", live_text(backend, "pool"),
		live_text(backend, "name"), live_text(backend, "state"), live_text(backend, "health"),
		live_number(backend, "weight"));
	print_unsaved(answer, out);
}

static void print_reload(const json_t *answer, FILE *out)
{
	const json_t *line;
	size_t index;

	json_array_foreach(json_object_get(answer, "warnings"), index, line)
		fprintf(out, "warning: %s\n", json_string_value(line));
	fprintf(out,
		json_array_size(json_object_get(answer, "changes")) ? "reloaded\n" : "reloaded: nothing changed\n");
	json_array_foreach(json_object_get(answer, "changes"), index, line)
		fprintf(out, "%s\n", json_string_value(line));
	json_array_foreach(json_object_get(answer, "waits"), index, line) fprintf(out, "%s\n", json_string_value(line));
}

/* Of a node that was told to leave or to join. */
static void print_left(const json_t *answer, FILE *out)
{
	if (json_is_true(json_object_get(answer, "left"))) {
		fprintf(out, "left: /readyz answers 503; whatever comes is served\n");
		print_unsaved(answer, out);
	} else if (json_is_true(json_object_get(answer, "ready"))) {
		fprintf(out, "joined\n");
	} else {
		fprintf(out, "joined, not ready: %s\n", live_text(answer, "unready"));
	}
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
	else if (strcmp(command, "leave") == 0 || strcmp(command, "join") == 0)
		print_left(answer, out);
	else
		print_backend(answer, out);
}

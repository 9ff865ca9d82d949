#include "ctl/live_backends.h"

#include <string.h>
#include <time.h>

#include "common/plural.h"
#include "ctl/live_table.h"

enum { IDS_SHOWN = 3 };

/* "02,05,09 +2" */
static json_t *ids_cell(const json_t *ids)
{
	char text[LIVE_CELL_OCTETS];
	size_t index, used = 0;
	const json_t *id;

	json_array_foreach(ids, index, id)
	{
		if (index == IDS_SHOWN || used >= sizeof text)
			break;
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", index ? "," : "",
					 json_string_value(id));
	}
	if (index == 0)
		return NULL;
	if (index < json_array_size(ids) && used < sizeof text)
		snprintf(text + used, sizeof text - used, " +%zu", json_array_size(ids) - index);
	return json_string(text);
}

static json_t *last_cid_cell(const json_t *last_s)
{
	char text[LIVE_CELL_OCTETS];

	if (!last_s)
		return NULL;
	return json_is_null(last_s) ? json_string("none seen")
				    : json_sprintf("%s ago", live_age(text, json_integer_value(last_s)));
}

/* "2.05 Content in 1.1 ms" */
static json_t *probe_cell(const json_t *backend)
{
	const char *reason = json_string_value(json_object_get(backend, "reason"));
	const double us = (double)live_number(backend, "latency_us");

	if (!reason || !reason[0])
		return json_is_false(json_object_get(backend, "probed")) ? json_string("not yet") : NULL;
	if (us <= 0)
		return json_string(reason);
	return us < 1e6 ? json_sprintf("%s in %.*f ms", reason, us < 1e4 ? 1 : 0, us / 1e3)
			: json_sprintf("%s in %.1f s", reason, us / 1e6);
}

/* "last CID 4 s ago", and how long it was watched if that is what counts. */
static size_t silence_text(char *text, size_t octets, const json_t *backend, const json_t *drain)
{
	const json_t *last_s = json_object_get(backend, "last_cid_s");
	const json_int_t watched_s = live_number(drain, "watched_s");
	char age[LIVE_CELL_OCTETS];
	int used;

	if (json_is_integer(last_s))
		used = snprintf(text, octets, "last CID %s ago", live_age(age, json_integer_value(last_s)));
	else
		used = snprintf(text, octets, "no CID seen");
	if (!json_is_integer(last_s) || json_integer_value(last_s) > watched_s)
		used += snprintf(text + used, octets - (size_t)used, ", drained and watched for %s",
				 live_age(age, watched_s));
	return (size_t)used;
}

const char *live_drain_text(char text[static LIVE_NOTE_OCTETS], const json_t *backend)
{
	const json_t *drain = json_object_get(backend, "drain"), *before = json_object_get(drain, "not_before");
	const json_int_t flows = live_number(backend, "flows");
	const time_t at = (time_t)json_integer_value(before);
	char age[LIVE_CELL_OCTETS];
	struct tm local;
	size_t used = 0;

	if (json_is_true(json_object_get(drain, "may_stop"))) {
		snprintf(text, LIVE_NOTE_OCTETS, "may be stopped: no CID for %s",
			 live_age(age, live_number(drain, "silent_s")));
		return text;
	}
	if (flows > 0)
		used = (size_t)snprintf(text, LIVE_NOTE_OCTETS, "%" JSON_INTEGER_FORMAT " flow%s left, ", flows,
					PLURAL(flows));
	used += silence_text(text + used, LIVE_NOTE_OCTETS - used, backend, drain);
	if (json_is_integer(before) && localtime_r(&at, &local))
		strftime(text + used, LIVE_NOTE_OCTETS - used, "; cannot tell before %F %T", &local);
	return text;
}

/* "90 s", rounded up. */
static const char *span_text(char text[static LIVE_CELL_OCTETS], json_int_t s)
{
	static const struct {
		json_int_t s;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	size_t i = 0;

	while (units[i].s > 1 && s < 2 * units[i].s)
		i++;
	snprintf(text, LIVE_CELL_OCTETS, "%" JSON_INTEGER_FORMAT " %s", (s + units[i].s - 1) / units[i].s,
		 units[i].name);
	return text;
}

static void note_forecast(json_t *row, const json_t *forecast)
{
	const json_int_t half_s = live_number(forecast, "half_s"), new = live_number(forecast, "new"),
			 late = live_number(forecast, "late");
	const time_t at = time(NULL) + (time_t)live_number(forecast, "by_s");
	char half[LIVE_CELL_OCTETS], all[LIVE_CELL_OCTETS], before[LIVE_CELL_OCTETS] = "-";
	struct tm local;

	if (half_s > 0 && localtime_r(&at, &local)) {
		strftime(before, sizeof before, "%F %T", &local);
		live_note(row,
			  "half of them speak every %s or sooner, all every %s; by %s each has spoken or is later than "
			  "ever",
			  span_text(half, half_s), span_text(all, live_number(forecast, "all_s")), before);
	}
	if (late > 0)
		live_note(row, "%" JSON_INTEGER_FORMAT " of them later than ever now", late);
	if (new > 0)
		live_note(row, "%" JSON_INTEGER_FORMAT " of them so new that their interval is not known", new);
}

/* "May I stop it now?" */
static void note_drain(json_t *row, const json_t *backend)
{
	const json_t *forecast = json_object_get(json_object_get(backend, "drain"), "forecast");
	char text[LIVE_NOTE_OCTETS];

	if (json_object_get(backend, "drain"))
		live_note(row, "%s", live_drain_text(text, backend));
	if (forecast)
		note_forecast(row, forecast);
}

static void note_finding(json_t *row, const json_t *backend, const char *key, const char *bad)
{
	const json_t *finding = json_object_get(backend, key);
	const char *reason = json_string_value(json_object_get(finding, "reason"));

	if (strcmp(live_text(finding, "finding"), bad) == 0)
		live_note(row, "%s: %s", key, reason ? reason : bad);
}

static void note_all(json_t *row, const json_t *backend)
{
	const char *name_reason = json_string_value(json_object_get(backend, "name_reason")),
		   *next_hop = json_string_value(json_object_get(backend, "next_hop")),
		   *steering = json_string_value(json_object_get(backend, "steering"));
	char age[LIVE_CELL_OCTETS];

	if (strcmp(live_text(backend, "health"), "down") == 0 && json_object_get(backend, "since_s"))
		live_note(row, "down for %s", live_age(age, live_number(backend, "since_s")));
	if (next_hop)
		live_note(row, "gets nothing: %s", next_hop);
	if (json_object_get(backend, "unanswered"))
		live_note(row, "%" JSON_INTEGER_FORMAT " new sessions in a row got no answer",
			  live_number(backend, "unanswered"));
	if (name_reason)
		live_note(row, "%s: %s", live_text(backend, "host"), name_reason);
	note_finding(row, backend, "rebinding", "no");
	note_finding(row, backend, "cid", "wrong");
	if (steering)
		live_note(row, "says of itself: %s", steering);
	note_drain(row, backend);
}

/* A cell without a value is none. */
static void cell_set(json_t *row, const char *key, json_t *value)
{
	if (value)
		json_object_set_new(row, key, value);
}

static json_t *row_make(const json_t *backend)
{
	json_t *row = json_object(), *address = json_object_get(backend, "address");

	cell_set(row, "name", json_sprintf("%s/%s", live_text(backend, "pool"), live_text(backend, "name")));
	cell_set(row, "address", json_is_null(address) ? json_string("unresolved") : json_incref(address));
	cell_set(row, "ids", ids_cell(json_object_get(backend, "ids")));
	cell_set(row, "last_cid", last_cid_cell(json_object_get(backend, "last_cid_s")));
	cell_set(row, "probe", probe_cell(backend));
	for (size_t i = 0; i < 7; i++) {
		static const char *const as_they_are[] = { "health", "state",     "weight", "host",
							   "flows",  "rebinding", "cid" };

		cell_set(row, as_they_are[i], json_incref(json_object_get(backend, as_they_are[i])));
	}
	note_all(row, backend);
	return row;
}

void live_print_backends(const json_t *answer, FILE *out)
{
	static const struct live_column columns[] = {
		{ "BACKEND", "name", NULL },      { "HEALTH", "health", NULL },
		{ "STATE", "state", NULL },       { "WEIGHT", "weight", NULL },
		{ "HOST", "host", NULL },         { "ADDRESS", "address", NULL },
		{ "IDS", "ids", NULL },           { "FLOWS", "flows", NULL },
		{ "LAST CID", "last_cid", NULL }, { "REBINDING", "rebinding", "finding" },
		{ "CID", "cid", "finding" },      { "PROBE", "probe", NULL },
	};
	json_t *rows = json_array();
	const json_t *backend;
	size_t index;

	json_array_foreach(json_object_get(answer, "backends"), index, backend)
		json_array_append_new(rows, row_make(backend));
	LIVE_TABLE_PRINT(out, rows, columns);
	json_decref(rows);
}

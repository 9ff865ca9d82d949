#include "ctl/live_backends.h"

#include <string.h>

#include "ctl/live_table.h"

enum { IDS_SHOWN = 3, QUIET_S = 60 /* without a CID datagram, and a backend that drains may be stopped */ };

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
	return json_is_null(last_s) ? json_string("never")
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

/* "May I stop it now?" */
static void note_drain(json_t *row, const json_t *backend)
{
	const json_t *flows = json_object_get(backend, "flows"), *last_s = json_object_get(backend, "last_cid_s");
	const json_int_t left = json_integer_value(flows);
	char since[LIVE_CELL_OCTETS], age[LIVE_CELL_OCTETS];

	if (strcmp(live_text(backend, "state"), "drain") != 0 || !json_is_integer(flows))
		return;
	if (json_is_integer(last_s))
		snprintf(since, sizeof since, "last CID datagram %s ago", live_age(age, json_integer_value(last_s)));
	else
		strcpy(since, "no CID datagram since cidlb started");
	if (left > 0)
		live_note(row, "%" JSON_INTEGER_FORMAT " flow%s left, %s", left, left == 1 ? "" : "s", since);
	else if (json_is_integer(last_s) && json_integer_value(last_s) < QUIET_S)
		live_note(row, "not quiet yet: no flow, but %s", since);
	else
		live_note(row, "may be stopped: no flow, %s", since);
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
		   *steering = json_string_value(json_object_get(backend, "steering"));
	char age[LIVE_CELL_OCTETS];

	if (strcmp(live_text(backend, "health"), "down") == 0 && json_object_get(backend, "since_s"))
		live_note(row, "down for %s", live_age(age, live_number(backend, "since_s")));
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

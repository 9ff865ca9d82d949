#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/plural.h"
#include "ctl/device.h"
#include "ctl/live_table.h"

enum { ANSWER_MS = 5000 /* so much later an answer may come */ };

/* "40 ms", "3 h" */
static const char *span(char text[static LIVE_CELL_OCTETS], json_int_t ms)
{
	if (ms >= 1000)
		return live_age(text, ms / 1000);
	snprintf(text, LIVE_CELL_OCTETS, "%" JSON_INTEGER_FORMAT " ms", ms);
	return text;
}

/* "3 times" */
static const char *times(char text[static LIVE_CELL_OCTETS], json_int_t count)
{
	snprintf(text, LIVE_CELL_OCTETS, "%" JSON_INTEGER_FORMAT " time%s", count, PLURAL(count));
	return text;
}

static bool is_session(const json_t *flow)
{
	return strcmp(live_text(flow, "kind"), "cid") == 0;
}

static bool is_handshake(const json_t *flow)
{
	return strcmp(live_text(flow, "class"), "handshake") == 0;
}

static const json_t *backend_of(const json_t *answer, const json_t *flow)
{
	const json_t *backend;
	size_t index;

	json_array_foreach(json_object_get(answer, "backends"), index, backend)
	{
		if (strcmp(live_text(backend, "name"), live_text(flow, "backend")) == 0 &&
		    strcmp(live_text(backend, "pool"), live_text(flow, "pool")) == 0)
			return backend;
	}
	return NULL;
}

static const char *name_of(const json_t *flow)
{
	if (is_session(flow))
		return "session";
	if (strcmp(live_text(flow, "kind"), "source") == 0)
		return "address of session";
	return is_handshake(flow) ? "handshake" : "address";
}

/* Of a flow, or of what else has a pool and a backend. */
static void print_server(const json_t *answer, const json_t *flow, FILE *out)
{
	const json_t *backend = backend_of(answer, flow);
	char age[LIVE_CELL_OCTETS];

	fprintf(out, "pool %s, server %s", live_text(flow, "pool"), live_text(flow, "backend"));
	if (!backend)
		fputs(", which is no longer configured", out);
	else if (strcmp(live_text(backend, "health"), "down") == 0)
		fprintf(out, ", which is down for %s (%s), %s", live_age(age, live_number(backend, "since_s")),
			live_text(backend, "reason"), live_text(backend, "state"));
	else
		fprintf(out, ", which is %s, %s", live_text(backend, "health"), live_text(backend, "state"));
	fputc('\n', out);
}

static void print_head(const json_t *answer, const json_t *flow, FILE *out)
{
	fprintf(out, "%s %s, ", name_of(flow),
		live_text(flow, json_is_string(json_object_get(flow, "cid")) ? "cid" : "device"));
	print_server(answer, flow, out);
}

/* Where it is, and where else its CID was shown. */
static void print_where(const json_t *flow, FILE *out)
{
	const json_t *place;
	bool any = json_is_string(json_object_get(flow, "device"));
	size_t index;

	fprintf(out, "  %s", any ? "at " : "seen at ");
	if (any)
		fprintf(out, "%s%s", live_text(flow, "device"), is_session(flow) ? ", where its handshake was" : "");
	json_array_foreach(json_object_get(flow, "unproven"), index, place)
	{
		fprintf(out, "%s%s", index > 0 ? ", " : any ? "; also seen at " : "", live_text(place, "address"));
		if (json_is_true(json_object_get(place, "withheld")))
			fputs(" (its last answer was withheld)", out);
		else
			fputs(json_is_true(json_object_get(place, "answered")) ? " (answered)" : " (not answered)",
			      out);
		any = true;
	}
	fprintf(out, "%s\n", any ? "" : "no address yet");
}

static void print_traffic(const json_t *flow, FILE *out)
{
	const json_t *down = json_object_get(flow, "last_down_ms_ago");
	const json_int_t moves = live_number(flow, "moves");
	char text[LIVE_CELL_OCTETS];

	fprintf(out, "  last up %s ago", span(text, live_number(flow, "last_up_ms_ago")));
	if (json_is_integer(down))
		fprintf(out, ", last down %s ago", span(text, json_integer_value(down)));
	else
		fputs(", never anything down", out);
	fprintf(out, "; began %s ago", span(text, live_number(flow, "first_ms_ago")));
	fprintf(out, "; %s both ways", live_octets(text, live_number(flow, "octets")));
	if (is_session(flow))
		fprintf(out, "; went on at another address %s", moves ? times(text, moves) : "never");
	fprintf(out, "\n  its server sees %s\n", live_text(flow, "endpoint"));
}

/* What that comes to. */
static void print_verdict(const json_t *answer, const json_t *flow, FILE *out)
{
	const json_t *down = json_object_get(flow, "last_down_ms_ago"), *backend = backend_of(answer, flow);
	const json_int_t up_ms = live_number(flow, "last_up_ms_ago"), withheld = live_number(flow, "withheld");
	char text[LIVE_CELL_OCTETS];

	if (withheld)
		fprintf(out,
			"  withheld: %s an address that had not proven itself would have got more than it may have "
			"(nat.unproven_rate)\n",
			times(text, withheld));
	if (strcmp(live_text(backend, "state"), "maint") == 0)
		fputs("  => its server is in maint: what it sends is dropped\n", out);
	else if (!json_is_integer(down))
		fprintf(out, "  => its server has not answered %s\n", is_handshake(flow) ? "yet" : "here");
	else if (json_integer_value(down) > up_ms + ANSWER_MS)
		fprintf(out, "  => it speaks, and its server does not answer: for %s now\n",
			span(text, json_integer_value(down)));
	else if (up_ms > ANSWER_MS)
		fprintf(out, "  => it was answered, and is silent for %s\n", span(text, up_ms));
	else
		fputs("  => it speaks, and is answered\n", out);
}

/* Verdicts and reasons as they are counted, in words. */
static const char *why_text(const char *why)
{
	static const struct {
		const char *why, *text;
	} texts[] = {
		{ "bad_source",
		  "nobody can be answered there: no address of a host, or one of cidlb's or of a server's" },
		{ "malformed", "no DTLS: cut short, or another version" },
		{ "type", "no DTLS: no record begins like that" },
		{ "epoch0_data", "application data or a CID before any key: no device sends that" },
		{ "mixed", "records beside a CID or a ClientHello that no device sends there" },
		{ "unknown_cid",
		  "its CID leads to no server, or has another length than configured (cidlbctl cid open)" },
		{ "maint", "its server is in maint" },
		{ "no_backend", "no server takes new sessions" },
		{ "limited", "more new handshakes than hello_rate lets pass" },
		{ "flows", "no flow, endpoint or port was left for it (nat.max_flows, nat.ports)" },
		{ "no_address", "its server has a name, and no address yet" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (strcmp(texts[i].why, why) == 0)
			return texts[i].text;
	return "refused";
}

static void print_drops(const json_t *answer, FILE *out)
{
	char count[LIVE_CELL_OCTETS], age[LIVE_CELL_OCTETS];
	const json_t *drop;
	size_t index;

	json_array_foreach(json_object_get(answer, "dropped"), index, drop)
		fprintf(out, "dropped %s, last %s ago, from %s at listener %s: %s: %s\n",
			times(count, live_number(drop, "times")), live_age(age, live_number(drop, "ago_s")),
			live_text(drop, "from"), live_text(drop, "listener"), live_text(drop, "why"),
			why_text(live_text(drop, "why")));
}

/* Of a pool that keeps no flows: where the CID leads, and how to see more. */
static void print_led(const json_t *answer, const json_t *row, const char *of, FILE *out)
{
	const json_t *backend = backend_of(answer, row);

	fprintf(out, "CID %s, ", of);
	print_server(answer, row, out);
	if (strcmp(live_text(backend, "state"), "maint") == 0)
		fputs("  => its server is in maint: what it sends is dropped\n", out);
	else if (strcmp(live_text(backend, "health"), "down") == 0)
		fputs("  => what it sends goes there all the same: no other server has its keys\n", out);
	fprintf(out, "  mode %s keeps nothing of a device. Does it speak, and from where? cidlbctl trace --cid %s\n",
		live_text(row, "forward"), of);
}

static void print_without_flows(const json_t *answer, const json_t *row, const char *of, FILE *out)
{
	static const struct {
		const char *cid, *text;
	} texts[] = {
		{ "unread", "does not read CIDs: a device's address says which server it has" },
		{ "misfit", "has no such CIDs: another length, or another config. cidlbctl cid open" },
		{ "unknown", "the CID leads to no server: no server has this id, or was seen to give it out" },
		{ "no_server", "no server takes sessions" },
	};
	const char *cid = live_text(row, "cid");

	if (strcmp(cid, "leads") == 0) {
		print_led(answer, row, of, out);
		return;
	}
	fprintf(out, "pool %s, mode %s, ", live_text(row, "pool"), live_text(row, "forward"));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (strcmp(texts[i].cid, cid) == 0) {
			fprintf(out, "%s\n", texts[i].text);
			return;
		}
	fprintf(out,
		"keeps nothing of a device. Its CID says which server it has: cidlbctl device HEX. Does it speak? "
		"cidlbctl trace --from %s\n",
		of);
}

static bool is_led(const json_t *rows)
{
	const json_t *row;
	size_t index;

	json_array_foreach(rows, index, row) if (strcmp(live_text(row, "cid"), "leads") == 0) return true;
	return false;
}

static void print_nothing(const json_t *answer, const char *of, FILE *out)
{
	const bool is_address = strpbrk(of, ".:") != NULL;
	char age[LIVE_CELL_OCTETS];

	fprintf(out, "%s: no flow, no handshake, and nothing of it was dropped since cidlb was started, %s ago\n", of,
		live_age(age, live_number(answer, "uptime_s")));
	if (is_address)
		fprintf(out, "does anything arrive? cidlbctl trace --from %s\n", of);
	else
		fprintf(out, "whose is it? cidlbctl cid open %s; does anything arrive? cidlbctl trace --cid %s\n", of,
			of);
}

void device_print(const json_t *answer, const char *of, FILE *out)
{
	const json_t *flows = json_object_get(answer, "flows"), *handshakes = json_object_get(answer, "handshakes"),
		     *without = json_object_get(answer, "without_flows"), *one;
	const json_int_t matched = live_number(answer, "matched"), more = matched - (json_int_t)json_array_size(flows);
	size_t index;

	json_array_foreach(flows, index, one)
	{
		print_head(answer, one, out);
		print_where(one, out);
		print_traffic(one, out);
		print_verdict(answer, one, out);
	}
	if (more > 0)
		fprintf(out, "%" JSON_INTEGER_FORMAT " more flow%s\n", more, PLURAL(more));
	json_array_foreach(handshakes, index, one) fprintf(out, "handshake under way, pool %s, server %s\n",
							   live_text(one, "pool"), live_text(one, "backend"));
	print_drops(answer, out);
	if (matched == 0 && json_array_size(handshakes) == 0 &&
	    json_array_size(json_object_get(answer, "dropped")) == 0 && !is_led(without))
		print_nothing(answer, of, out);
	json_array_foreach(without, index, one) print_without_flows(answer, one, of, out);
}

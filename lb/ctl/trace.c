#include "ctl/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/hex.h"
#include "common/plural.h"
#include "ctl/explain.h"
#include "ctl/live.h"
#include "ctl/pcap.h"
#include "path/trace.h"

enum { SECONDS_DEFAULT = 60, ANSWER_S = 10 };

/* One line of the answer. */
struct line {
	json_t *json;
	uint8_t data[TRACE_OCTETS];
	size_t kept;
	struct explain_record records[EXPLAIN_RECORDS];
	size_t record_count;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

static void line_read(struct line *line)
{
	const char *hex = text_of(line->json, "data");

	const size_t octets = hex_span(hex) / 2;

	line->kept = octets < TRACE_OCTETS ? octets : TRACE_OCTETS;
	(void)hex_read(line->data, sizeof line->data, hex, 2 * line->kept);
	line->record_count = explain_read_records(line->records, line->data, line->kept, 0);
}

static void print_time(const json_t *json, FILE *out)
{
	const json_int_t time_us = json_integer_value(json_object_get(json, "time_us"));
	const time_t s = (time_t)(time_us / 1000000);
	struct tm local;
	char text[16];

	strftime(text, sizeof text, "%H:%M:%S", localtime_r(&s, &local));
	fprintf(out, "%s.%06d ", text, (int)(time_us % 1000000));
}

static void print_up(const json_t *json, FILE *out)
{
	fprintf(out, "up    %s", text_of(json, "from"));
	if (json_is_true(json_object_get(json, "sent")))
		fprintf(out, " (%s) > %s > %s, %s", text_of(json, "role"), text_of(json, "endpoint"),
			text_of(json, "backend"), text_of(json, "verdict"));
	else
		fprintf(out, " > nowhere, %s", text_of(json, "verdict"));
}

static void print_down(const json_t *json, FILE *out)
{
	const json_t *to = json_object_get(json, "to"), *one;
	size_t index;

	fprintf(out, "down  %s > %s >", text_of(json, "backend"), text_of(json, "endpoint"));
	json_array_foreach(to, index, one)
	{
		fprintf(out, "%s %s (%s)", index > 0 ? " and" : "", text_of(one, "address"), text_of(one, "role"));
	}
	if (json_array_size(to) == 0)
		fputs(" nobody: all addresses are on their limit", out);
}

static bool is_up(const json_t *json)
{
	return strcmp(text_of(json, "direction"), "up") == 0;
}

static void print_text(const struct line *line, FILE *out)
{
	const json_int_t octets = json_integer_value(json_object_get(line->json, "octets"));

	print_time(line->json, out);
	if (is_up(line->json))
		print_up(line->json, out);
	else
		print_down(line->json, out);
	fprintf(out, ", %" JSON_INTEGER_FORMAT " octet%s", octets, PLURAL(octets));
	for (size_t i = 0; i < line->record_count; i++) {
		fputs(i > 0 ? "; " : ": ", out);
		explain_print_record(&line->records[i], out);
	}
	fputc('\n', out);
}

static int capture_one(FILE *pcap, const struct line *line, const char *from, const char *to)
{
	struct pcap_datagram datagram = {
		.time_us = (uint64_t)json_integer_value(json_object_get(line->json, "time_us")),
		.data = line->data,
		.len = (size_t)json_integer_value(json_object_get(line->json, "octets")),
		.kept = line->kept,
	};

	if (addr_parse(&datagram.from, from) || addr_parse(&datagram.to, to))
		return 0; /* the listener is configured no more */
	/* As on the wire. */
	addr_set_scope(datagram.from.ip, 0);
	addr_set_scope(datagram.to.ip, 0);
	return pcap_write(pcap, &datagram);
}

/* The device's side of cidlb: a downlink once for everybody who gets it. */
static int capture(FILE *pcap, const struct line *line)
{
	const json_t *one;
	size_t index;
	int err = 0;

	if (is_up(line->json))
		err = capture_one(pcap, line, text_of(line->json, "from"), text_of(line->json, "service"));
	json_array_foreach(json_object_get(line->json, "to"), index, one)
	{
		if (!err)
			err = capture_one(pcap, line, text_of(one, "service"), text_of(one, "address"));
	}
	if (!err && fflush(pcap))
		err = -errno;
	return err;
}

static void print_end(const json_t *json, FILE *out)
{
	const json_int_t missed = json_integer_value(json_object_get(json, "missed")),
			 shown = json_integer_value(json_object_get(json, "shown"));

	fprintf(out, "%" JSON_INTEGER_FORMAT " datagram%s", shown, PLURAL(shown));
	if (missed)
		fprintf(out, ", and %" JSON_INTEGER_FORMAT " that came too fast to be shown", missed);
	fputc('\n', out);
}

static void print_json(const json_t *json, FILE *out)
{
	json_dumpf(json, out, JSON_COMPACT | JSON_ENSURE_ASCII);
	fputc('\n', out);
}

/* Returns 0 or -errno. */
static int show(struct line *line, FILE *pcap, const struct ctl_options *options)
{
	const bool json = options->json;
	int err = 0;

	if (json_object_get(line->json, "end")) {
		if (!json)
			print_end(line->json, stdout);
	} else {
		line_read(line);
		if (pcap)
			err = capture(pcap, line);
		if (json)
			json_object_set_new(line->json, "records",
					    explain_records_json(line->records, line->record_count));
		else
			print_text(line, stdout);
	}
	if (json)
		print_json(line->json, stdout);
	if (err)
		fprintf(stderr, "cidlbctl: cannot write the capture: %s\n", strerror(-err));
	return !err && fflush(stdout) ? -errno : err;
}

/* From the answer to the end of the trace. */
static enum ctl_exit follow(FILE *stream, const json_t *answer, FILE *pcap, const struct ctl_options *options)
{
	struct line line;
	bool end = false;
	int err = 0;

	if (options->json) {
		print_json(answer, stdout);
		fflush(stdout);
	}
	while (!end && !err && (line.json = live_read(stream))) {
		end = json_is_true(json_object_get(line.json, "end"));
		err = show(&line, pcap, options);
		json_decref(line.json);
	}
	return end && !err ? CTL_OK : CTL_REFUSED;
}

static enum ctl_exit trace(const struct ctl_options *options, const json_t *request, unsigned seconds, FILE *pcap)
{
	FILE *stream = live_dial(options->socket, seconds + ANSWER_S);
	json_t *answer = stream ? live_ask(stream, request) : NULL;
	enum ctl_exit status = CTL_REFUSED;

	if (answer && !json_is_true(json_object_get(answer, "ok")))
		live_print_refusal(answer);
	else if (answer)
		status = follow(stream, answer, pcap, options);
	json_decref(answer);
	if (stream)
		fclose(stream);
	return status;
}

enum ctl_exit trace_run(char **words, const struct ctl_options *options)
{
	const long seconds = options->duration ? live_seconds(options->duration) : SECONDS_DEFAULT;
	enum ctl_exit status = CTL_REFUSED;
	FILE *pcap = NULL;
	json_t *request;
	int err = 0;

	(void)words;
	if (seconds < 0) {
		fprintf(stderr, "cidlbctl: --for takes seconds as in 60s, or minutes as in 5m, not %s\n",
			options->duration);
		return CTL_USAGE;
	}
	if (options->pcap) {
		pcap = fopen(options->pcap, "wb");
		err = pcap ? pcap_begin(pcap) : -errno;
	}
	if (err) {
		fprintf(stderr, "cidlbctl: %s: %s\n", options->pcap, strerror(-err));
	} else {
		request = json_pack("{s:s, s:s, s:I}", "command", "trace", options->cid ? "cid" : "from",
				    options->cid ? options->cid : options->from, "seconds", (json_int_t)seconds);
		status = trace(options, request, (unsigned)seconds, pcap);
		json_decref(request);
	}
	if (pcap && fclose(pcap) && status == CTL_OK) {
		fprintf(stderr, "cidlbctl: %s: %s\n", options->pcap, strerror(errno));
		status = CTL_REFUSED;
	}
	return status;
}

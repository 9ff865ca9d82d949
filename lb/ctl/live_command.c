#include "ctl/live_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ctl/live.h"
#include "ctl/live_print.h"
#include "ctl/live_sort.h"

enum { ANSWER_S = 10, RELOAD_S = 120 /* tables for millions of flows */ };

/* `what`: as the user knows it. */
static enum ctl_exit add_number(json_t *request, const char *key, const char *what, const char *text)
{
	json_int_t number;
	char *end;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0')
		return json_object_set_new(request, key, json_integer(number)) == 0 ? CTL_OK : CTL_REFUSED;
	fprintf(stderr, "cidlbctl: %s takes a number, not %s\n", what, text);
	return CTL_USAGE;
}

static enum ctl_exit show(const char *command, json_t *answer, const struct ctl_options *options)
{
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (strcmp(command, "backends") == 0)
		live_sort_backends(answer, options);

	if (options->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		fputc('\n', stdout);
	} else if (ok) {
		live_print(command, answer, stdout);
	}
	if (!ok)
		live_print_refusal(answer);
	else if (live_print_unkept(answer))
		return CTL_UNKEPT;
	return ok && fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
}

static enum ctl_exit exchange(const char *command, const json_t *request, const struct ctl_options *options)
{
	FILE *stream = live_dial(options->socket, strcmp(command, "reload") == 0 ? RELOAD_S : ANSWER_S);
	json_t *answer = stream ? live_ask(stream, request) : NULL;
	enum ctl_exit status = answer ? show(command, answer, options) : CTL_REFUSED;

	if (stream)
		fclose(stream);
	json_decref(answer);
	return status;
}

enum ctl_exit live_command_run(char **words, const struct ctl_options *options)
{
	json_t *request = json_pack("{s:s}", "command", words[0]);
	const long older_s = options->older ? live_seconds(options->older) : 0;
	enum ctl_exit status = CTL_OK;

	if (options->cid)
		json_object_set_new(request, "cid", json_string(options->cid));
	if (options->from)
		json_object_set_new(request, "from", json_string(options->from));
	if (options->limit)
		status = add_number(request, "limit", "--limit", options->limit);
	if (options->sort)
		json_object_set_new(request, "sort", json_string(options->sort));
	if (options->older && older_s <= 0) {
		fprintf(stderr, "cidlbctl: --older takes a time as in 90s, 30m or 24h, not %s\n", options->older);
		status = CTL_USAGE;
	} else if (options->older) {
		json_object_set_new(request, "older_s", json_integer(older_s));
	}
	if (words[1])
		json_object_set_new(request, "name", json_string(words[1]));
	if (words[1] && words[2])
		status = add_number(request, "weight", words[0], words[2]);
	if (status == CTL_OK)
		status = live_sort_check(words[0], options);
	if (status == CTL_OK)
		status = exchange(words[0], request, options);
	json_decref(request);
	return status;
}

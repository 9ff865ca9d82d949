#include "ctl/events.h"

#include <stdio.h>
#include <string.h>

#include "ctl/live.h"
#include "ctl/live_table.h"

enum { ANSWER_S = 10, FOR_EVER = 0 };

/* What happened to servers, server ids, the configuration and this node. The log has more. */
static bool is_shown(const char *event)
{
	static const char *const beginnings[] = { "backend_", "id_", "reload" };
	static const char *const names[] = { "started",       "stopped",  "left",       "joined",
					     "configuration", "drained",  "unanswered", "no_backend",
					     "next_hop",      "steering", "missed" };

	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
		if (strncmp(beginnings[i], event, strlen(beginnings[i])) == 0)
			return true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], event) == 0)
			return true;
	return false;
}

/* False: stdout takes no more. */
static bool print_event(const json_t *event)
{
	if (!is_shown(live_text(event, "event")))
		return true;
	json_dumpf(event, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	return fputc('\n', stdout) != EOF;
}

/* False: stdout takes no more. */
static bool print_events(const json_t *answer)
{
	const json_t *event;
	size_t index;
	bool good = true;

	json_array_foreach(json_object_get(answer, "events"), index, event) good = good && print_event(event);
	return fflush(stdout) == 0 && good;
}

static enum ctl_exit follow(FILE *stream)
{
	json_t *event;
	bool good = true;

	while (good && (event = live_read(stream))) {
		good = print_event(event) && fflush(stdout) == 0;
		json_decref(event);
	}
	return CTL_REFUSED;
}

enum ctl_exit events_run(char **words, const struct ctl_options *options)
{
	json_t *request = json_pack("{s:s, s:b}", "command", "events", "follow", (int)options->follow);
	FILE *stream = live_dial(options->socket, options->follow ? FOR_EVER : ANSWER_S);
	json_t *answer = stream ? live_ask(stream, request) : NULL;
	enum ctl_exit status = CTL_REFUSED;

	(void)words;
	if (answer && !json_is_true(json_object_get(answer, "ok")))
		live_print_refusal(answer);
	else if (answer && print_events(answer))
		status = options->follow ? follow(stream) : CTL_OK;
	json_decref(request);
	json_decref(answer);
	if (stream)
		fclose(stream);
	return status;
}

#include "admin/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/command_priv.h"
#include "control/settle.h"

enum { ARGUMENTS = 5 };

/* Arguments are read in this order. The answer refuses the first that is wrong. */
static const struct command {
	const char *name;
	const struct argument *arguments[ARGUMENTS + 1]; /* NULL after the last */
	json_t *(*run)(struct request *request);
} commands[] = {
	{ "status", { NULL }, command_status },
	{ "backends", { &argument_backend_or_none }, command_backends },
	{ "flows",
	  { &argument_cid_or_none, &argument_from_or_none, &argument_limit_or_none, &argument_older_or_none,
	    &argument_sort_or_none },
	  command_flows },
	{ "device", { &argument_cid_or_none, &argument_from_or_none }, command_device },
	{ "events", { &argument_follow_or_none }, command_events },
	{ "trace", { &argument_cid_or_none, &argument_from_or_none, &argument_seconds }, command_trace },
	{ "drain", { &argument_backend }, command_drain },
	{ "ready", { &argument_backend }, command_ready },
	{ "maint", { &argument_backend }, command_maint },
	{ "weight", { &argument_backend, &argument_weight }, command_weight },
	{ "reload", { NULL }, command_reload },
	{ "leave", { NULL }, command_leave },
	{ "join", { NULL }, command_join },
};

struct commands *commands_new(struct control *control, struct event_base *base)
{
	struct commands *of = calloc(1, sizeof *of);

	if (of)
		*of = (struct commands){ .control = control, .base = base };
	return of;
}

void commands_free(struct commands *of)
{
	if (!of)
		return;
	command_trace_end(of->trace);
	command_events_end(of);
	free(of);
}

static json_t *command_run(const struct command *command, struct request *request, const json_t *line)
{
	for (const struct argument *const *argument = command->arguments; *argument; argument++)
		if ((*argument)->read(request, json_object_get(line, (*argument)->key)))
			return answer_refuse("%s", request->refusal);
	return command->run(request);
}

static json_t *line_run(struct request *request, const json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "command"));

	if (!name)
		return answer_refuse("\"command\" is missing");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(name, commands[i].name) == 0)
			return command_run(&commands[i], request, line);
	return answer_refuse("no such command: %s", name);
}

char *commands_answer(void *ctx, struct admin_client *client, const char *line)
{
	struct commands *of = ctx;
	struct request request = { .commands = of, .control = of->control, .client = client };
	json_error_t error;
	json_t *read = json_loads(line, JSON_REJECT_DUPLICATES, &error), *answer;

	if (!read)
		return answer_line(answer_refuse("not JSON: %s", error.text));
	/* Answers show what is in force, even if it has changed in this turn. */
	(void)settle(of->control);
	answer = line_run(&request, read);
	json_decref(read);
	return answer_line(answer);
}

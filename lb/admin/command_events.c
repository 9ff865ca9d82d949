/* What happened lately, and what happens: the lines of the log as JSON. */
#include <stdlib.h>
#include <sys/queue.h>

#include "admin/command_priv.h"
#include "base/log_recent.h"

enum {
	LOOK_MS = 200,
	OWED_OCTETS = 1 << 20 /* that a client has not read; beyond them its lines wait, and the oldest go */
};

/* A client that follows. */
struct command_events {
	struct commands *commands;
	struct admin_client *client;
	struct event *timer;
	uint64_t at; /* log_recent_next() */
	LIST_ENTRY(command_events) others;
};

/* Without its newline, which the stream adds. */
static void line_send(struct command_events *events, struct log_line *line)
{
	line->text[line->len - 1] = '\0';
	(void)admin_socket_stream_line(events->client, line->text);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct command_events *events = ctx;
	struct log_line line;

	(void)fd;
	(void)what;
	while (admin_socket_stream_owed(events->client) < OWED_OCTETS) {
		const enum log_recent_found found = log_recent_next(&events->at, &line);

		if (found == LOG_RECENT_NONE)
			return;
		if (found == LOG_RECENT_MISSED)
			(void)admin_socket_stream_line(events->client, "{\"event\":\"missed\"}");
		line_send(events, &line);
	}
}

static void events_free(struct command_events *events)
{
	LIST_REMOVE(events, others);
	if (events->timer)
		event_free(events->timer);
	free(events);
}

static void on_gone(void *ctx)
{
	events_free(ctx);
}

void command_events_end(struct commands *commands)
{
	for (struct command_events *events; (events = LIST_FIRST(&commands->followers));) {
		on_timer(-1, 0, events);
		admin_socket_stream_end(events->client);
		events_free(events);
	}
}

/* False: out of memory. */
static bool follow(const struct request *request, uint64_t at)
{
	static const struct timeval period = { .tv_usec = LOOK_MS * 1000 };
	struct command_events *events = calloc(1, sizeof *events);

	if (!events)
		return false;
	*events = (struct command_events){ .commands = request->commands, .client = request->client, .at = at };
	LIST_INSERT_HEAD(&request->commands->followers, events, others);
	events->timer = event_new(request->commands->base, -1, EV_PERSIST, on_timer, events);
	if (!events->timer || event_add(events->timer, &period) < 0) {
		events_free(events);
		return false;
	}
	admin_socket_stream_begin(events->client, on_gone, events);
	return true;
}

json_t *command_events(struct request *request)
{
	json_t *rows = json_array();
	struct log_line line;
	uint64_t at = 0;

	while (log_recent_next(&at, &line) != LOG_RECENT_NONE)
		json_array_append_new(rows, json_loadb(line.text, line.len, 0, NULL));
	if (request->follow && (!request->client || !follow(request, at))) {
		json_decref(rows);
		return request->client ? NULL : answer_refuse("nobody to send events to");
	}
	return json_pack("{s:b, s:o}", "ok", 1, "events", rows);
}

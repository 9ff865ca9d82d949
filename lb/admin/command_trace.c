#include <stdlib.h>
#include <string.h>

#include "admin/command_priv.h"
#include "admin/trace_mask.h"
#include "path/trace.h"
#include "path/worker.h"

enum {
	DRAIN_MS = 100,
	OWED_OCTETS = 1 << 20 /* that a client has not read; beyond them the rings fill and count what is missed */
};

/* The running trace. There is one at a time. */
struct command_trace {
	struct commands *commands;
	struct control *control;
	struct admin_client *client;
	unsigned ring_count; /* one per worker */
	struct trace_ring **rings;
	struct event *timer;
	uint32_t until_ms; /* of the workers' clock */
	uint64_t shown;
};

static json_t *service_json(const struct control *control, uint16_t number, const uint8_t *local)
{
	struct addr service;

	return view_service_addr(control, number, local, &service) ? answer_address(&service) : json_null();
}

static json_t *up_json(const struct control *control, const struct trace_entry *entry)
{
	return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o}", "direction", "up", "verdict", verdict_name(entry->verdict),
			 "sent", (int)entry->has_flow, "from", answer_address(&entry->from), "role",
			 entry->has_flow ? json_string(trace_role_name(entry->role)) : json_null(), "service",
			 service_json(control, entry->service, entry->local));
}

static json_t *down_json(const struct control *control, const struct trace_entry *entry)
{
	json_t *to = json_array();

	for (unsigned i = 0; i < entry->to_count; i++) {
		const struct ownership_pair *peer = &entry->to[i].pair;

		json_array_append_new(to, json_pack("{s:o, s:s, s:o}", "address", answer_address(&peer->device), "role",
						    trace_role_name(entry->to[i].role), "service",
						    service_json(control, peer->service, NULL)));
	}
	return json_pack("{s:s, s:o}", "direction", "down", "to", to);
}

static json_t *entry_json(const struct control *control, const struct trace_entry *entry)
{
	json_t *line = entry->up ? up_json(control, entry) : down_json(control, entry);
	uint8_t data[TRACE_OCTETS];

	json_object_set_new(line, "time_us", json_integer((json_int_t)entry->time_us));
	json_object_set_new(line, "octets", json_integer((json_int_t)entry->len));
	if (entry->has_flow) {
		json_object_set_new(line, "endpoint", answer_address(&entry->endpoint));
		json_object_set_new(line, "backend", answer_text(view_backend_name(control, entry->backend)));
		json_object_set_new(line, "backend_address", answer_address(&entry->backend_addr));
	}
	memcpy(data, entry->data, entry->kept);
	json_object_set_new(line, "masked", json_integer((json_int_t)trace_mask(data, entry->kept)));
	json_object_set_new(line, "data", answer_hex(data, entry->kept));
	return line;
}

static void line_send(struct command_trace *trace, json_t *line)
{
	char *text = answer_line(line);

	if (text)
		(void)admin_socket_stream_line(trace->client, text);
	free(text);
}

/* The ring with the oldest entry, or NULL. */
static struct trace_ring *oldest(const struct command_trace *trace)
{
	struct trace_ring *found = NULL;

	for (unsigned i = 0; i < trace->ring_count; i++) {
		const struct trace_entry *entry = trace_peek(trace->rings[i]);

		if (entry && (!found || entry->time_us < trace_peek(found)->time_us))
			found = trace->rings[i];
	}
	return found;
}

/* Sends no more than the rings can hold, so that a flood cannot hold up the control thread. */
static void drain(struct command_trace *trace)
{
	struct trace_ring *ring;

	for (unsigned i = 0; i < TRACE_ENTRIES * trace->ring_count; i++) {
		if (admin_socket_stream_owed(trace->client) >= OWED_OCTETS || !(ring = oldest(trace)))
			return;
		line_send(trace, entry_json(trace->control, trace_peek(ring)));
		trace_drop(ring);
		trace->shown++;
	}
}

static void trace_free(struct command_trace *trace)
{
	for (unsigned i = 0; i < trace->ring_count; i++)
		trace_ring_free(trace->rings[i]);
	free(trace->rings);
	if (trace->timer)
		event_free(trace->timer);
	free(trace);
}

/* Once this returns, no worker writes to the rings any more. */
static void workers_leave(const struct command_trace *trace)
{
	control_trace_end(trace->control);
	trace->commands->trace = NULL;
}

void command_trace_end(struct command_trace *trace)
{
	uint64_t missed = 0;

	if (!trace)
		return;
	workers_leave(trace);
	drain(trace);
	for (unsigned i = 0; i < trace->ring_count; i++) {
		missed += trace_missed(trace->rings[i]);
		for (; trace_peek(trace->rings[i]); missed++)
			trace_drop(trace->rings[i]);
	}
	line_send(trace, json_pack("{s:b, s:I, s:I}", "end", 1, "shown", (json_int_t)trace->shown, "missed",
				   (json_int_t)missed));
	admin_socket_stream_end(trace->client);
	trace_free(trace);
}

static void on_gone(void *ctx)
{
	workers_leave(ctx);
	trace_free(ctx);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct command_trace *trace = ctx;

	(void)fd;
	(void)what;
	if ((int32_t)(worker_clock_ms() - trace->until_ms) >= 0)
		command_trace_end(trace);
	else
		drain(trace);
}

/* False: out of memory. */
static bool trace_begin(struct command_trace *trace, const struct request *request)
{
	static const struct timeval period = { .tv_usec = DRAIN_MS * 1000 };
	const unsigned workers = control_workers(trace->control);
	struct trace_of of = { .cid_len = request->cid_len, .from = request->from };

	memcpy(of.cid, request->cid, request->cid_len);
	trace->rings = calloc(workers + 1, sizeof(struct trace_ring *));
	for (; trace->rings && trace->ring_count < workers; trace->ring_count++) {
		trace->rings[trace->ring_count] = trace_ring_new(&of);
		if (!trace->rings[trace->ring_count])
			return false;
	}
	trace->timer = event_new(trace->commands->base, -1, EV_PERSIST, on_timer, trace);
	if (!trace->rings || !trace->timer || event_add(trace->timer, &period) < 0)
		return false;
	admin_socket_stream_begin(trace->client, on_gone, trace);
	control_trace(trace->control, trace->rings);
	trace->commands->trace = trace;
	return true;
}

json_t *command_trace(struct request *request)
{
	struct command_trace *trace;

	if (!request->cid_text == !request->from_text)
		return answer_refuse("a trace is of a CID or of an address");
	if (request->commands->trace)
		return answer_refuse("another trace is running; only one can run at a time");
	if (!request->client)
		return answer_refuse("nobody to send a trace to");
	trace = calloc(1, sizeof *trace);
	if (!trace)
		return NULL;
	*trace = (struct command_trace){ .commands = request->commands,
					 .control = request->control,
					 .client = request->client,
					 .until_ms = worker_clock_ms() + request->seconds * 1000 };
	if (!trace_begin(trace, request)) {
		trace_free(trace);
		return NULL;
	}
	return json_pack("{s:b, s:s, s:I}", "ok", 1, request->cid_text ? "cid" : "from",
			 request->cid_text ? request->cid_text : request->from_text, "seconds",
			 (json_int_t)request->seconds);
}

#include "admin/command.h"
#include "admin/command_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include <urcu-qsbr.h>

#include "base/tsan.h"

enum {
	SECONDS_MAX = 3600,
	DRAIN_MS = 100,
	OWED_OCTETS = 1 << 20 /* a client that does not read: the rings fill, and count */
};

/* The trace that runs: one at a time. */
struct command_trace {
	struct control *control;
	struct admin_client *client;
	struct trace_ring *rings[CONF_MAX_WORKERS];
	struct event *timer;
	uint32_t until_ms; /* of the workers' clock */
	uint64_t shown;
};

static json_t *service_json(const struct control *control, uint16_t number, const uint8_t *local)
{
	const struct service_addr service = service_addrs_get(control->service_addrs, number);

	for (size_t i = 0; i < control->conf->listener_count; i++) {
		struct addr address = control->conf->listeners[i].addr;

		if (control->listener_uids[i] != service.listener)
			continue;
		if (service.local || local)
			memcpy(address.ip, local ? local : service.local, sizeof address.ip);
		return command_address_json(&address);
	}
	return json_null();
}

static json_t *data_json(const struct trace_entry *entry)
{
	char hex[2 * TRACE_OCTETS + 1] = "";

	for (size_t i = 0; i < entry->kept; i++)
		sprintf(hex + 2 * i, "%02x", entry->data[i]);
	return json_string(hex);
}

static json_t *up_json(const struct control *control, const struct trace_entry *entry)
{
	return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o}", "direction", "up", "verdict", verdict_name(entry->verdict),
			 "sent", (int)entry->has_flow, "from", command_address_json(&entry->from), "role",
			 entry->has_flow ? json_string(trace_role_name(entry->role)) : json_null(), "service",
			 service_json(control, entry->service, entry->local));
}

static json_t *down_json(const struct control *control, const struct trace_entry *entry)
{
	json_t *to = json_array();

	for (unsigned i = 0; i < entry->to_count; i++) {
		const struct ownership_peer *peer = &entry->to[i].peer;

		json_array_append_new(to, json_pack("{s:o, s:s, s:o}", "address", command_address_json(&peer->device),
						    "role", trace_role_name(entry->to[i].role), "service",
						    service_json(control, peer->service, NULL)));
	}
	return json_pack("{s:s, s:o}", "direction", "down", "to", to);
}

static json_t *entry_json(const struct control *control, const struct trace_entry *entry)
{
	json_t *line = entry->up ? up_json(control, entry) : down_json(control, entry);

	json_object_set_new(line, "time_us", json_integer((json_int_t)entry->time_us));
	json_object_set_new(line, "octets", json_integer((json_int_t)entry->len));
	if (entry->has_flow) {
		json_object_set_new(line, "endpoint", command_address_json(&entry->endpoint));
		json_object_set_new(line, "backend", command_backend_name(control, entry->backend));
		json_object_set_new(line, "backend_address", command_address_json(&entry->backend_addr));
	}
	json_object_set_new(line, "data", data_json(entry));
	return line;
}

static void line_send(struct command_trace *trace, json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	if (text)
		(void)admin_socket_stream_line(trace->client, text);
	free(text);
	json_decref(line);
}

/* The ring with the oldest entry, or NULL. */
static struct trace_ring *oldest(const struct command_trace *trace)
{
	struct trace_ring *found = NULL;

	for (unsigned i = 0; i < trace->control->worker_count; i++) {
		const struct trace_entry *entry = trace_peek(trace->rings[i]);

		if (entry && (!found || entry->time_us < trace_peek(found)->time_us))
			found = trace->rings[i];
	}
	return found;
}

/* At most what was there when it began, so that a flood cannot hold the control thread. */
static void drain(struct command_trace *trace)
{
	struct trace_ring *ring;

	for (unsigned i = 0; i < TRACE_ENTRIES * trace->control->worker_count; i++) {
		if (admin_socket_stream_owed(trace->client) >= OWED_OCTETS || !(ring = oldest(trace)))
			return;
		line_send(trace, entry_json(trace->control, trace_peek(ring)));
		trace_drop(ring);
		trace->shown++;
	}
}

static void rings_free(struct command_trace *trace)
{
	for (unsigned i = 0; i < CONF_MAX_WORKERS; i++)
		trace_ring_free(trace->rings[i]);
}

static void trace_free(struct command_trace *trace)
{
	rings_free(trace);
	if (trace->timer)
		event_free(trace->timer);
	free(trace);
}

/* No worker writes to the rings any more. */
static void workers_leave(const struct command_trace *trace)
{
	for (unsigned i = 0; i < trace->control->worker_count; i++)
		worker_set_trace(trace->control->workers[i], NULL);
	synchronize_rcu();
	tsan_acquire(&trace->control->publisher);
	trace->control->trace = NULL;
}

void command_trace_end(struct command_trace *trace)
{
	uint64_t missed = 0;

	if (!trace)
		return;
	workers_leave(trace);
	drain(trace);
	for (unsigned i = 0; i < trace->control->worker_count; i++) {
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
static bool trace_begin(struct command_trace *trace, const uint8_t *cid, size_t cid_len)
{
	static const struct timeval period = { .tv_usec = DRAIN_MS * 1000 };
	struct control *control = trace->control;

	for (unsigned i = 0; i < control->worker_count; i++) {
		trace->rings[i] = trace_ring_new(cid, cid_len);
		if (!trace->rings[i])
			return false;
	}
	trace->timer = event_new(control->base, -1, EV_PERSIST, on_timer, trace);
	if (!trace->timer || event_add(trace->timer, &period) < 0)
		return false;
	admin_socket_stream_begin(trace->client, on_gone, trace);
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_set_trace(control->workers[i], trace->rings[i]);
	control->trace = trace;
	return true;
}

json_t *command_trace(struct control *control, struct admin_client *client, const json_t *request)
{
	const json_t *cid = json_object_get(request, "cid"), *seconds = json_object_get(request, "seconds");
	const json_int_t duration = json_integer_value(seconds);
	uint8_t octets[LBCID_MAX_OCTETS];
	struct command_trace *trace;
	size_t cid_len;

	if (!json_is_string(cid) || !command_read_cid(octets, &cid_len, json_string_value(cid)))
		return command_refuse("a CID is 1..20 octets in hex");
	if (!json_is_integer(seconds) || duration < 1 || duration > SECONDS_MAX)
		return command_refuse("a trace lasts 1..%d seconds", SECONDS_MAX);
	if (control->trace)
		return command_refuse("another trace runs: one at a time");
	if (!client)
		return command_refuse("nobody to send a trace to");
	trace = calloc(1, sizeof *trace);
	if (!trace)
		return NULL;
	*trace = (struct command_trace){ .control = control,
					 .client = client,
					 .until_ms = worker_clock_ms() + (uint32_t)duration * 1000 };
	if (!trace_begin(trace, octets, cid_len)) {
		trace_free(trace);
		return NULL;
	}
	return json_pack("{s:b, s:s, s:I}", "ok", 1, "cid", json_string_value(cid), "seconds", duration);
}

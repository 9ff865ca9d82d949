/* What the commands share. */
#ifndef CIDLB_ADMIN_COMMAND_PRIV_H
#define CIDLB_ADMIN_COMMAND_PRIV_H

#include <sys/queue.h>

#include <event2/event.h>
#include <jansson.h>

#include "admin/answer.h"
#include "admin/command.h"
#include "admin/socket.h"
#include "control/control.h"
#include "control/view.h"
#include "flows/flows_view.h"

struct command_events;
struct command_trace;

struct commands {
	struct control *control;
	struct event_base *base;
	struct command_trace *trace; /* NULL: none runs */
	LIST_HEAD(, command_events) followers;
};

/* One request, with its arguments read and checked. */
struct request {
	struct commands *commands;
	struct control *control;
	struct admin_client *client; /* NULL: nobody to send a trace to */
	bool has_backend;
	struct view_backend backend; /* "name" */
	uint16_t weight;
	const char *cid_text; /* as it was given; NULL: it was not */
	uint8_t cid[LBCID_MAX_OCTETS];
	size_t cid_len;
	const char *from_text; /* as it was given; NULL: it was not */
	struct addr from;      /* port 0: any */
	size_t limit;
	uint32_t older_s; /* 0: any */
	enum flows_order order;
	uint32_t seconds;
	bool follow;
	char refusal[512];
};

/* An argument of a command. */
struct argument {
	const char *key;
	/* `value` is NULL if it is missing. 0, or -EINVAL: request->refusal says what is wrong. */
	int (*read)(struct request *request, const json_t *value);
};

extern const struct argument argument_backend, argument_backend_or_none, argument_weight, argument_cid_or_none,
	argument_follow_or_none, argument_from_or_none, argument_limit_or_none, argument_older_or_none,
	argument_seconds, argument_sort_or_none;

/* Each returns the whole answer as a new object. NULL: out of memory. */
json_t *command_status(struct request *request);
json_t *command_backends(struct request *request);
json_t *command_drain(struct request *request);
json_t *command_ready(struct request *request);
json_t *command_maint(struct request *request);
json_t *command_weight(struct request *request);
json_t *command_reload(struct request *request);
json_t *command_leave(struct request *request);
json_t *command_join(struct request *request);
json_t *command_device(struct request *request);
json_t *command_events(struct request *request);
json_t *command_flows(struct request *request);
json_t *command_trace(struct request *request);

/* A row of `flows`. */
json_t *command_flow_json(const struct control *control, const struct flow_description *flow, uint32_t now_ms);

/* The names of pools without a table. They have no flows, except perhaps from before a reload. */
json_t *command_stateless_json(const struct view *view);

/* A row of `backends`. sum: the counters of all workers; NULL: the row shows none. */
json_t *command_backend_json(const struct view_backend *backend, const struct stats *sum);

/* Lets those go who follow events. */
void command_events_end(struct commands *commands);

/* Ends a trace (NULL: none) and tells its client. */
void command_trace_end(struct command_trace *trace);

#endif

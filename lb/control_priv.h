/* The state of the control thread, shared by control*.c. */
#ifndef CIDLB_CONTROL_PRIV_H
#define CIDLB_CONTROL_PRIV_H

#include <time.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "admin.h"
#include "conf.h"
#include "flows.h"
#include "health.h"
#include "icmp.h"
#include "plan.h"
#include "pool.h"
#include "publish.h"
#include "registry.h"
#include "services.h"
#include "shortage.h"
#include "sockets.h"
#include "unix.h"
#include "worker.h"

/* What was too little, and is tried or looked at again. */
struct control_watch {
	unsigned ticks;
	bool publish_due; /* the published table is not up to date */
	bool targets_due; /* not every backend is probed */
	struct shortage flows[STATS_POOLS], evicted[STATS_POOLS], sends[STATS_POOLS], drops[STATS_LISTENERS];
	struct shortage endpoint_drops, descriptors;
};

struct control {
	struct conf *conf;
	struct plan plan; /* of conf */
	struct registry *listener_addrs, *pool_names, *backend_names;
	uint16_t listener_uids[CONF_MAX_LISTENERS];  /* by index in conf->listeners */
	struct backend_state states[STATS_BACKENDS]; /* by stable number */
	uint16_t weights[STATS_BACKENDS];            /* in force, by stable number */
	struct publisher publisher;
	struct flows *flows;
	struct services *services;
	struct limit *limit;
	struct icmp_alarm *alarm;
	struct sockets *sockets;
	struct worker *workers[CONF_MAX_WORKERS];
	unsigned worker_count;
	struct event_base *base;
	struct event *events[6];
	size_t event_count;
	struct health *health;
	struct admin *admin;
	struct addr http; /* where admin listens */
	struct unix_door *door;
	struct command_trace *trace; /* NULL: none runs */
	time_t started_s;            /* monotonic */
	struct control_watch watch;
	unsigned explain_in; /* ticks until a sampled datagram may be explained again */
};

/* control_apply.c: makes `conf` what runs, or changes nothing and logs why. Takes conf over if it succeeds. Returns 0 or -1. */
int control_apply(struct control *control, struct conf *conf);
/* Publishes states and weights as they are. Returns 0 or -ENOMEM (logged): the published table stays until the next tick tries again. */
int control_publish(struct control *control);
/* Probes the backends of the running configuration; where that fails (logged), the next tick tries again. */
void control_probe(struct control *control);

/* control.c: reads conf->file again. Fills `report`, and logs it. Returns 0, or -1: the running configuration stays as it was. */
int control_reload(struct control *control, struct conf_report *report);

/* control_watch.c: once per tick. */
void control_watch(struct control *control);

/* control_view.c */
bool control_ready(void *ctx);
/* The workers' counters added up; to be freed. NULL: out of memory. */
struct stats *control_stats(const struct control *control);
void control_metrics(void *ctx, struct evbuffer *out);
/* Logs what a worker sampled, if anything and if not done lately. Once per tick. */
void control_explain(struct control *control);

#endif

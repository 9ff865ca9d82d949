/* The state of the control thread, shared by control*.c. */
#ifndef CIDLB_CONTROL_PRIV_H
#define CIDLB_CONTROL_PRIV_H

#include <time.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "admin/http.h"
#include "admin/socket.h"
#include "base/log_quota.h"
#include "common/claims.h"
#include "common/pool.h"
#include "conf/conf.h"
#include "control/saved.h"
#include "control/shortage.h"
#include "control/sockets.h"
#include "control/stateless.h"
#include "control/table_spec.h"
#include "control/uids.h"
#include "flows/flows.h"
#include "health/health.h"
#include "health/resolve.h"
#include "io/icmp.h"
#include "path/service_addrs.h"
#include "path/table.h"
#include "path/worker.h"

/* What was too little, and is tried or looked at again. */
struct control_watch {
	unsigned ticks;
	bool publish_due; /* the published table is not up to date */
	bool targets_due; /* not every backend is probed */
	bool names_due;   /* not every name is asked for */
	struct shortage endpoint_drops, descriptors;
};

/* What is known of a pool by its stable number, and of a listener: all of it is forgotten when the number is taken
 * back. */
struct control_pool {
	struct claims claims;
	uint64_t id_moves;         /* ids that went to another backend */
	struct log_quota id_lines; /* what is logged of claims, which backends decide */
	struct shortage flows, evicted, sends, forged;
};

struct control_listener {
	struct shortage drops;
};

/* What is known of one backend beside its state. */
struct control_backend {
	char reason[HEALTH_REASON_OCTETS]; /* what the last probe saw; "": none has ended */
	time_t since_s;                    /* monotonic: its health is what it is since then */
	uint32_t took_us;                  /* the last probe */
	uint64_t probes[2];                /* that failed, that succeeded */
	bool has_findings;
	struct health_findings findings;
	char words[64];                          /* the beginning of what it said of itself */
	char unknown_word[STEERING_WORD_OCTETS]; /* the last that was logged */
	char name_reason[HEALTH_REASON_OCTETS];  /* why its name gives no address now; "": it does */
};

struct control {
	struct conf *conf;
	struct table_spec plan; /* of conf */
	struct uids *listener_addrs, *pool_names, *backend_names;
	uint16_t listener_uids[CONF_MAX_LISTENERS];         /* by index in conf->listeners */
	struct backend_state states[STATS_BACKENDS];        /* by stable number */
	uint16_t weights[STATS_BACKENDS];                   /* configured or commanded, by stable number */
	struct control_backend backends[STATS_BACKENDS];    /* by stable number */
	struct control_pool pools[STATS_POOLS];             /* by stable number */
	struct control_listener listeners[STATS_LISTENERS]; /* by stable number */
	struct saved *saved;
	struct resolve *resolve; /* NULL: no backend has a name */
	struct publisher publisher;
	struct flows *flows;
	struct service_addrs *service_addrs;
	struct limit *limit;
	struct icmp_alarm *alarm;
	struct sockets *sockets;
	struct worker *workers[CONF_MAX_WORKERS];
	unsigned worker_count;
	struct event_base *base;
	struct event *events[6];
	size_t event_count;
	struct health *health;
	struct admin_http *admin;
	struct addr http; /* where admin listens */
	struct admin_socket *door;
	struct command_trace *trace; /* NULL: none runs */
	time_t started_s;            /* monotonic */
	struct control_watch watch;
	unsigned explain_in; /* ticks until a sampled datagram may be explained again */
};

/* control_apply.c: makes `conf` what runs, or changes nothing and logs why. Takes conf over if it succeeds. Returns 0
 * or -1. */
int control_apply(struct control *control, struct conf *conf);
/* Settles the claims, and publishes states, weights, ids and addresses as they are. Returns 0 or -ENOMEM (logged): the
 * published table stays until the next tick tries again. */
int control_publish(struct control *control);

/* control_probe.c: probes the backends of the running configuration that have an address; where that fails (logged),
 * the next tick tries again. */
void control_probe(struct control *control);
void control_on_probe(void *ctx, uint16_t uid, const struct health_result *result); /* health_report */

/* control_names.c: fills in the last good addresses of backends with names; one that never had any keeps the address
 * 0. */
void control_addresses_plan(const struct control *control, const struct conf *conf, struct table_spec *plan);
/* Asks the DNS for the names of the running configuration; where that fails (logged), the next tick tries again. */
void control_names(struct control *control);
void control_on_name(void *ctx, const struct resolve_name *name,
		     const struct resolve_answer *answer); /* resolve_report */

/* control_ids.c: at the start, who owned the ids that have moved. Returns 0 or -ENOMEM. */
int control_ids_recall(struct control *control, const struct conf *conf, const struct table_spec *plan);
/* Gives the plan of `conf` the server ids as they were claimed. Returns 0 or -ENOMEM. */
int control_ids_plan(const struct control *control, const struct conf *conf, struct table_spec *plan);
/* Takes in what the backends of the running configuration claim now. *moved: an id went to another backend. Returns 0
 * or -ENOMEM. */
int control_ids_settle(struct control *control, bool *moved);
/* How many changes of ids went without a line of their own. Once per tick. */
void control_ids_watch(struct control *control);
/* As control_ids_settle(), and publishes if an id has moved. */
void control_ids_follow(struct control *control);
/* How many ids of a pool are claimed by several. */
size_t control_ids_contested(const struct control *control, uint16_t pool);
const char *control_id_format(const struct server_id *id, char hex[static 2 * LBCID_MAX_ID_OCTETS + 1]);

/* control.c: reads conf->file again. Fills `report`, and logs it. Returns 0, or -1: the running configuration stays as
 * it was. */
int control_reload(struct control *control, struct conf_report *report);

/* control_watch.c: once per tick. */
void control_watch(struct control *control);

/* control_recycle.c: takes back the stable numbers of what was configured once and has no flow any more. */
void control_recycle(struct control *control);

/* A backend of the running configuration. */
struct control_place {
	size_t at; /* in plan.backends */
	const struct conf_pool *pool;
	const struct conf_backend *conf;
	struct snapshot_backend *plan;
};

/* control_view.c: the backend at `at`, which is less than plan.backend_count. */
struct control_place control_place_at(struct control *control, size_t at);
/* The backend with a stable number. False: it is configured no more. */
bool control_locate(struct control *control, uint16_t uid, struct control_place *out);
/* Monotonic seconds. */
time_t control_clock_s(void);
bool control_ready(void *ctx);
/* The workers' counters added up; to be freed. NULL: out of memory. */
struct stats *control_stats(const struct control *control);
void control_metrics(void *ctx, struct evbuffer *out);
/* Logs what a worker sampled, if anything and if not done lately. Once per tick. */
void control_explain(struct control *control);

#endif

/* The state of the control thread. For the files of control/ only; others ask control.h and view.h.
 *
 * Owner and only thread: the control thread. What is kept by stable number (uids.h) stays with its listener, pool or
 * backend over reloads. It is forgotten when the number is taken back.
 */
#ifndef CIDLB_CONTROL_STATE_H
#define CIDLB_CONTROL_STATE_H

#include <event2/event.h>

#include "base/log_quota.h"
#include "common/claims.h"
#include "common/limit.h"
#include "common/pool.h"
#include "conf/conf.h"
#include "control/apply.h"
#include "control/control.h"
#include "control/numbers.h"
#include "control/saved.h"
#include "control/settle.h"
#include "control/shortage.h"
#include "control/sockets.h"
#include "control/table_spec.h"
#include "flows/flows.h"
#include "health/health.h"
#include "health/resolve.h"
#include "io/icmp.h"
#include "path/service_addrs.h"
#include "path/table.h"
#include "path/worker.h"

struct control_pool {
	struct claims claims;
	uint64_t id_moves;         /* ids that went to another backend */
	struct log_quota id_lines; /* for log lines about claims, which backends can trigger */
	struct shortage flows, evicted, sends, forged;
};

struct control_listener {
	struct shortage drops;
};

/* What is known of one backend besides its state. */
struct control_backend {
	char reason[HEALTH_REASON_OCTETS]; /* what the last probe saw; "": none has ended */
	int64_t since_s;                   /* monotonic: since when it has its present health */
	uint32_t took_us;                  /* duration of the last probe */
	uint64_t probes[2];                /* those that failed, those that succeeded */
	bool has_moved; /* its address is new, and its probes are still those of the address before */
	bool has_findings;
	struct health_findings findings;
	char words[64];                          /* the beginning of what it said of itself */
	char unknown_word[STEERING_WORD_OCTETS]; /* the last one that was logged */
	char name_reason[HEALTH_REASON_OCTETS];  /* why its name gives no address now; "": it does */
};

enum { CONTROL_EVENTS = 2 };

struct control {
	struct event_base *base; /* borrowed from the daemon */
	/* What runs. */
	struct conf *conf;                          /* NULL: nothing yet */
	struct table_spec spec;                     /* of conf, with what is in force */
	uint16_t listener_uids[CONF_MAX_LISTENERS]; /* by index in conf->listeners */
	/* What is known, by stable number. */
	struct numbers numbers;
	struct backend_state states[STATS_BACKENDS];
	uint16_t weights[STATS_BACKENDS]; /* configured or commanded */
	struct control_backend backends[STATS_BACKENDS];
	struct control_pool pools[STATS_POOLS];
	struct control_listener listeners[STATS_LISTENERS];
	/* The parts, from control_new() on. */
	struct saved *saved;
	struct flows *flows;
	struct service_addrs *service_addrs;
	struct limit *limit;
	struct sockets *sockets;
	struct icmp_alarm *alarm;
	struct health *health;
	struct worker *workers[CONF_MAX_WORKERS];
	unsigned worker_count;
	struct resolve *resolve; /* NULL: no backend has a name */
	struct publisher publisher;
	struct apply_part parts[APPLY_REGISTERED]; /* those of other folders */
	size_t part_count;
	struct settle settle;
	struct event *events[CONTROL_EVENTS];
	size_t event_count;
	/* Looked at now and then. */
	int64_t started_s; /* monotonic */
	unsigned ticks;
	struct shortage endpoint_drops;
	unsigned hint_in; /* ticks until a sampled datagram may be explained again */
};

#endif

/* The state of the control thread. For the files of control/ only; others ask control.h and view.h.
 *
 * Owner and only thread: the control thread. What is kept by stable number (uids.h) stays with its listener, pool or
 * backend over reloads. It is forgotten when the number is taken back.
 */
#ifndef CIDLB_CONTROL_STATE_H
#define CIDLB_CONTROL_STATE_H

#include <event2/event.h>

#include "base/host_addrs.h"
#include "base/log_quota.h"
#include "common/claims.h"
#include "common/limit.h"
#include "common/pool.h"
#include "conf/conf.h"
#include "control/apply.h"
#include "control/beside.h"
#include "control/control.h"
#include "control/dsr.h"
#include "control/learned_tables.h"
#include "control/numbers.h"
#include "control/probe_times.h"
#include "control/reach.h"
#include "control/saved.h"
#include "control/settle.h"
#include "control/shortage.h"
#include "control/sockets.h"
#include "control/table_spec.h"
#include "control/unanswered.h"
#include "control/view.h"
#include "flows/flows.h"
#include "health/health.h"
#include "health/resolve.h"
#include "io/icmp.h"
#include "io/port_opener.h"
#include "path/service_addrs.h"
#include "path/table.h"
#include "path/worker.h"

struct control_pool {
	struct claims claims;
	uint64_t id_moves;       /* ids that went to another backend */
	uint64_t claims_refused; /* answers with a claim that its backend may not make */
	uint64_t probes[2];      /* those that failed, those that succeeded */
	struct probe_times probe_times;
	uint64_t probe_sessions_lost;
	struct log_quota id_lines; /* for log lines about claims, which backends can trigger */
	struct log_quota unanswered_lines;
	struct log_quota hop_lines;
	bool no_backend; /* none can take new sessions, or could not at the last look */
	struct shortage flows, evicted[FLOW_CLASSES], sends, forged, elsewhere, withheld, reflected, limited;
	struct learned_table *learned[LEARNED_KINDS]; /* NULL: it has never learned such */
	struct shortage learned_evicted, learned_refused;
	uint64_t rrc; /* handshakes with such servers when it was last looked at */
};

struct control_listener {
	struct shortage drops;
	uint64_t limited; /* ClientHellos beyond hello_rate, when it was last looked at */
};

/* What of an answer's words counts. */
enum control_said { SAID_ALL, SAID_PARTLY, SAID_NOTHING /* it has a word that is none of the agent check's */ };

/* What is known of one backend besides its state. */
struct control_backend {
	char reason[HEALTH_REASON_OCTETS]; /* what the last probe saw; "": none has ended */
	int64_t since_s;                   /* monotonic: since when it has its present health */
	uint32_t took_us;                  /* duration of the last probe */
	uint64_t probes[2];                /* those that failed, those that succeeded */
	struct reach_known reach;
	struct unanswered unanswered;
	struct shortage silent;           /* sessions, right behind their handshakes */
	uint64_t silent_before, answered; /* such sessions and others, as they were when it last answered one */
	struct shortage foreign;          /* CIDs that it gives out and that are not its own */
	struct dsr_way way;               /* of its probes in mode dsr */
	const char *no_hop;     /* why mode dsr cannot send to it, a constant; NULL: it can, or was not asked */
	uint32_t no_hop_looks;  /* that found nothing else in a row */
	bool drains;            /* by the published table */
	bool told_drained;      /* the log says that it may be stopped */
	int64_t drains_since_s; /* monotonic: since when it drains and cidlb watches (drain.h) */
	bool has_moved;         /* its address is new, and its probes are still those of the address before */
	bool has_findings;
	struct health_findings findings;
	char words[64];                         /* the beginning of what it said of itself */
	enum control_said said;                 /* of the words of its last answer */
	struct server_id refused_id;            /* of its last answer; of length 0: there was none */
	char name_reason[HEALTH_REASON_OCTETS]; /* why its name gives no address now; "": it does */
};

/* What only a start takes on, as the configuration of the start had it. NULL: it had none. */
struct control_began {
	char *user, *state_file, *socket;
	uint32_t rcvbuf_octets;
	struct conf_fast fast;
};

enum { CONTROL_EVENTS = 2 };

struct control {
	struct event_base *base; /* borrowed from the daemon */
	struct control_began began;
	bool left; /* ready.h */
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
	struct stats *sum; /* of the workers' counters, when watch_tick() looked */
	struct saved *saved;
	struct flows *flows;
	struct service_addrs *service_addrs;
	struct limit *limit;
	struct allowances *allowances;
	struct handshakes *handshakes;
	struct host_addrs host; /* as a wildcard listener has them */
	bool host_unknown;      /* they could not be read, which is logged once */
	struct sockets *sockets;
	struct icmp_alarm *alarm;
	struct port_opener *opener;
	struct health *health;
	struct worker *workers[CONF_MAX_WORKERS];
	unsigned worker_count;
	struct resolve *resolve; /* NULL: no backend has a name */
	struct reach reach;
	struct dsr dsr;
	struct publisher publisher;
	struct apply_part parts[APPLY_REGISTERED]; /* those of other folders */
	size_t part_count;
	view_redis_look *redis_look; /* NULL: nobody knows of any sharing */
	void *redis_ctx;
	struct beside beside;               /* all NULL: there is none */
	char refusal[APPLY_REFUSAL_OCTETS]; /* of the last configuration; "": it was applied */
	struct settle settle;
	struct event *slots_turn; /* slots.h */
	struct event *events[CONTROL_EVENTS];
	size_t event_count;
	/* Looked at now and then. */
	int64_t started_s;  /* monotonic */
	int64_t started_at; /* Unix time */
	bool reload_refused;
	int64_t applied_at; /* Unix time: when the running configuration was */
	bool has_run;       /* the workers were started */
	unsigned ticks;
	struct shortage endpoint_drops;
	unsigned hint_in; /* ticks until a sampled datagram may be explained again */
};

#endif

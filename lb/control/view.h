/* What runs, for whoever asks. The doors get values, and know neither the configuration nor the state of the control
 * thread.
 *
 * Names and other texts are borrowed. They are valid until a configuration is applied. Control thread.
 */
#ifndef CIDLB_CONTROL_VIEW_H
#define CIDLB_CONTROL_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stats.h"
#include "common/addr.h"
#include "common/learned.h"
#include "common/pool.h"
#include "common/snapshot.h"
#include "conf/conf.h"
#include "control/learned_file.h"
#include "control/probe_times.h"
#include "control/ready.h"
#include "control/sockets.h"
#include "control/stateless.h"
#include "flows/flows.h"
#include "health/health.h"

struct control;

/* `uid` and `pool` are stable numbers (uids.h). */
struct view_listener {
	uint16_t uid, pool;
	const char *name, *pool_name;
	struct addr addr;
};

struct view_pool {
	uint16_t uid;
	const char *name;
	const char *forward;             /* as in the configuration */
	bool tunnel, dsr;                /* modes without flows */
	bool stateless;                  /* mode nat without a table */
	char how[STATELESS_TEXT_OCTETS]; /* stateless: in words */
	size_t backend_count;
	size_t accepting; /* of these: view_accepting() */
	struct flows_count flows;
	/* Each of these flows but those under a handshake is a session. Not so where each address of a session has a
	 * flow, or nothing has. */
	bool counts_sessions;
	bool has_cids;                                /* of these sessions, those of a CID have their moves counted */
	bool dtls;                                    /* so there are handshakes */
	bool limits_hellos;                           /* hello_rate has a limit */
	uint32_t max_flows;                           /* 0: the pool has no flows */
	const struct learned *learned[LEARNED_KINDS]; /* NULL: the pool does not learn such */
	uint32_t learned_room[LEARNED_KINDS];         /* so many are kept */
	uint64_t id_moves, ids_contested, claims_refused;
	uint64_t probes[2]; /* those that failed, those that succeeded */
	const struct probe_times *probe_times;
	uint64_t probe_sessions_lost;
	/* Of its backends, those included that it had before. */
	uint64_t icmp_errors, wrong_interface, foreign_cids, silent;
};

struct view_backend {
	uint16_t uid;
	const char *name, *pool_name;
	const char *host; /* the name that the DNS is asked for; NULL: none */
	struct addr addr; /* wildcard: not known yet */
	struct backend_state state;
	uint16_t weight;                      /* in force */
	const struct snapshot_pool_spec *ids; /* ids->ids[i] leads there if its backend is `at` */
	size_t at;                            /* index in its pool */
	const char *reason;                   /* what the last probe saw; "": none has ended */
	int64_t health_s;                     /* how long it has had its present health */
	uint64_t probes[2];                   /* those that failed, those that succeeded */
	uint32_t probe_us;                    /* duration of the last one */
	bool has_findings;
	struct health_findings findings;
	const char *words;       /* the beginning of what it said of itself */
	const char *name_reason; /* why its name gives no address now; "": it does */
	const char *next_hop;    /* why mode dsr cannot send to it; NULL: it can, or is another mode */
	uint64_t unanswered;     /* new sessions in a row that got no answer, if they are told of; else 0 */
	uint64_t flows;          /* beyond class handshake */
	uint64_t silent;         /* flows_silent() */
	int64_t watched_s;       /* how long it has drained while cidlb watched; 0 if it does not drain */
	int64_t silent_s;        /* how much of that no CID has led there */
	int64_t window_s;        /* how much of it is enough (drain.h) */
	bool may_stop;           /* it drains, and nobody is left */
	uint64_t cid_at_s;       /* when a CID last led there, Unix time; 0: never */
	int64_t cid_ago_s;       /* how long ago that is */
};

/* Learned CIDs that are shared with other nodes. */
enum { VIEW_REDIS_REASON_OCTETS = 96 };
struct view_redis {
	bool configured; /* else all is zero */
	bool connected;
	char address[ADDR_TEXT_OCTETS];
	char reason[VIEW_REDIS_REASON_OCTETS]; /* why it is not connected; "": not known yet */
	uint64_t waiting, pushed, dropped, taken, foreign, malformed, behind_s;
};

/* The fast path: what it counts is in view.sum as well. */
enum { VIEW_FAST_REASON_OCTETS = 160, VIEW_FAST_PASSES = 8 };

struct view_fast_interface {
	char name[IF_NAMESIZE];
	bool attached;
	const char *mode;                     /* "native", "generic", "none" */
	char reason[VIEW_FAST_REASON_OCTETS]; /* why it is not attached; "": it is */
};

struct view_fast {
	bool configured;   /* else all is zero */
	const char *rests; /* why everything is passed up now; NULL: it is not */
	struct view_fast_interface interfaces[CONF_MAX_INTERFACES];
	size_t interface_count;
	uint64_t verdicts[STATS_LISTENERS][VERDICTS];
	const char *passed_names[VIEW_FAST_PASSES]; /* NULL ends them */
	uint64_t passed[STATS_LISTENERS][VIEW_FAST_PASSES];
	uint64_t replies;
};

struct view {
	const struct stats *sum; /* of all workers */
	const struct view_listener *listeners;
	size_t listener_count;
	const struct view_pool *pools;
	size_t pool_count;
	const struct view_backend *backends; /* pool by pool */
	size_t backend_count;
	uint64_t generation; /* of the published table */
	const char *fingerprint, *file;
	unsigned workers;
	const uint64_t *busy_us; /* by worker: worker_busy_us() */
	int64_t uptime_s;
	int64_t started_at, applied_at; /* Unix time: when it started, and took on what is configured */
	bool reload_refused;            /* the last one */
	bool ready, left;               /* ready.h */
	char unready[READY_WHY_OCTETS]; /* why it is not ready */
	/* Receive buffers in octets: as configured, and the smallest by enum slot_kind. UINT32_MAX: there are none.
	 */
	uint32_t rcvbuf_asked, rcvbuf[SLOT_KINDS];
	struct view_redis redis;
	struct view_fast fast;
};

/* To be freed by view_free(). 0 or -ENOMEM. */
int view_new(struct view **out, struct control *control);
void view_free(struct view *view);

/* From now on look(ctx, …) fills view.redis, which is all zero. */
typedef void view_redis_look(void *ctx, struct view_redis *out);
void view_redis_from(struct control *control, view_redis_look *look, void *ctx);

/* Adds up the workers' counters. */
void view_stats(struct stats *sum, const struct control *control);

/* How many backends of a pool, by its index, are up, have an address and get new sessions. Those that are down and get
 * them only because all are (all_down) do not count. */
size_t view_accepting(struct control *control, size_t pool);

/* The backend at index `at` of all. The index is less than view_backend_count(). */
size_t view_backend_count(const struct control *control);
void view_backend(struct control *control, size_t at, struct view_backend *out);

/* Whether what was set by command outlives a restart. */
enum view_kept { VIEW_KEPT, VIEW_UNKEPT /* it should, and does not */, VIEW_NO_STATE_FILE };
enum { VIEW_WHY_OCTETS = 512 };

/* `why`: the reason, for VIEW_UNKEPT. */
enum view_kept view_kept(const struct control *control, char why[static VIEW_WHY_OCTETS]);

/* What was dropped last of what came from an IP address (path/drops.h). */
struct view_drop {
	struct addr from;
	uint16_t service; /* for view_service_name() */
	const char *why;  /* the verdict, or if `refused`, the reason, as in metrics */
	bool refused;
	uint64_t times; /* in a row from this IP address */
	int64_t ago_s;
};

/* Returns how many: each worker knows its last one, and what they know for one reason is one. */
enum { VIEW_DROPS = 8 };
size_t view_drops(const struct control *control, const uint8_t ip[static 16], struct view_drop out[static VIEW_DROPS]);

/* The name of the backend that a device's handshake is with, in the modes without flows. NULL: none is under way. */
const char *view_handshake(struct control *control, uint16_t pool, const struct addr *device);

/* Where a CID leads in a pool, by its index, by the table that runs. */
enum view_cid {
	VIEW_CID_LEADS,    /* *backend is set, a stable number */
	VIEW_CID_UNREAD,   /* the pool does not read CIDs */
	VIEW_CID_MISFIT,   /* it is none of the layout's, as by its length */
	VIEW_CID_UNKNOWN,  /* no backend has its server id, or was seen to give it out */
	VIEW_CID_NO_SERVER /* CIDs are hashed, and no backend takes new sessions */
};
enum view_cid view_cid(struct control *control, size_t pool, const uint8_t *cid, size_t len, uint16_t *backend);

/* Names by stable number. NULL: it is no longer configured. A flow may outlive its listener, pool or backend for a
 * while. */
const char *view_listener_name(const struct control *control, uint16_t uid);
const char *view_pool_name(const struct control *control, uint16_t uid);
const char *view_backend_name(const struct control *control, uint16_t uid);

/* The service that devices addressed, by the number that flows keep of it (service_addrs.h). */
const char *view_service_name(const struct control *control, uint16_t service); /* the listener's, or NULL */
/* Its address. `local` is the local address, if the datagram tells it, else NULL. False: its listener is no longer
 * configured. */
bool view_service_addr(const struct control *control, uint16_t service, const uint8_t *local, struct addr *out);

#endif

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
#include "common/pool.h"
#include "common/snapshot.h"
#include "control/stateless.h"
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
	bool tunnel;                     /* mode tunnel, else nat */
	bool stateless;                  /* mode nat without a table */
	char how[STATELESS_TEXT_OCTETS]; /* stateless: in words */
	size_t backend_count;
	/* Of these. Without those that are down and get new sessions only because all are (all_down). */
	size_t accepting;
	uint64_t flows_trial, flows_proven, flows_evicted;
	uint64_t id_moves, ids_contested;
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
	uint64_t flows;          /* proven */
	uint64_t cid_at_s;       /* when a CID last led there, Unix time; 0: never */
	int64_t cid_ago_s;       /* how long ago that is */
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
	int64_t uptime_s;
	bool ready; /* control_is_ready() */
};

/* To be freed by view_free(). 0 or -ENOMEM. */
int view_new(struct view **out, struct control *control);
void view_free(struct view *view);

/* The sum of the workers' counters; to be freed. NULL: out of memory. */
struct stats *view_stats(const struct control *control);

/* The backend at index `at` of all. The index is less than view_backend_count(). */
size_t view_backend_count(const struct control *control);
void view_backend(struct control *control, size_t at, struct view_backend *out);

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

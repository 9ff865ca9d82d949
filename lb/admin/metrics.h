/* Prometheus text from the summed counters and what the control thread knows of names and states. */
#ifndef CIDLB_ADMIN_METRICS_H
#define CIDLB_ADMIN_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include <event2/buffer.h>

#include "base/stats.h"
#include "common/pool.h"
#include "health/health.h"

struct metrics_listener {
	uint16_t uid, pool; /* numbers of uids.h */
	const char *name, *pool_name;
};

struct metrics_pool {
	uint16_t uid;
	const char *name;
	bool tunnel;    /* mode */
	bool stateless; /* mode nat without a table */
	uint64_t flows_trial, flows_proven, flows_evicted;
	uint64_t id_moves, ids_contested;
};

struct metrics_backend {
	uint16_t uid;
	const char *name, *pool_name;
	struct backend_state state;
	uint64_t probes[2]; /* that failed, that succeeded */
	uint32_t probe_us;  /* the last one */
	struct health_findings findings;
	uint64_t flows;    /* proven */
	uint64_t cid_at_s; /* when a CID last led there, Unix time; 0: never */
};

struct metrics_view {
	const struct stats *sum;
	const struct metrics_listener *listeners;
	size_t listener_count;
	const struct metrics_pool *pools;
	size_t pool_count;
	const struct metrics_backend *backends;
	size_t backend_count;
	uint64_t admin_http_stalls; /* http.h */
	uint64_t generation;        /* of the published snapshot */
	const char *fingerprint;
};

void metrics_write(struct evbuffer *out, const struct metrics_view *view);

#endif

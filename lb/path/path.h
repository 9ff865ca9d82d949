/* struct path is what forwarding sees of its worker thread. It is no network path. A part of it is shared by all
 * workers, and the rest is this worker's own.
 *
 * Owner: a worker, or a test in its place. Only the owner's thread uses it, with these exceptions. Any thread may read
 * the counters and the other atomic members. The control thread gives and takes handles, sets the trace, and empties
 * the sample.
 */
#ifndef CIDLB_PATH_PATH_H
#define CIDLB_PATH_PATH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/stats.h"
#include "common/allowance.h"
#include "common/hello.h"
#include "common/limit.h"
#include "common/proxy2_memo.h"
#include "flows/flows.h"
#include "io/bare.h"
#include "io/icmp.h"
#include "io/io.h"
#include "path/cid_cache.h"
#include "path/drops.h"
#include "path/handshakes.h"
#include "path/service_addrs.h"
#include "path/table.h"
#include "path/trace.h"

/* A server that was replaced by an older one reads nothing for as long, unless a probe finds it first. */
enum { PATH_V2_S = 10 };

/* What all workers share. It outlives them. */
struct path_shared {
	struct publisher *publisher;
	struct flows *flows;
	struct service_addrs *service_addrs;
	struct limit *limit;
	struct allowances *allowances;
	struct hello_key hello_key;
	struct icmp_alarm *alarm;
	struct handshakes *handshakes;
	struct port_opener *opener; /* may be NULL if no port is opened (worker_open_port()) */
};

/* One datagram whose CID led to no backend, for the control thread to explain (control/cid_hint.h). The worker fills it
 * while it is not `full`. */
struct path_sample {
	_Atomic bool full;
	uint16_t pool;    /* uid */
	uint8_t first;    /* octet of the CID */
	bool fits;        /* the layout fits, so the server id is unknown */
	uint64_t lengths; /* dtls_cid_lengths() */
};

struct path {
	struct publisher *publisher;
	struct flows *flows;
	struct service_addrs *service_addrs;
	struct limit *limit;
	struct allowances *allowances;
	struct hello_key hello_key;
	struct icmp_alarm *alarm;
	struct handshakes *handshakes;
	struct stats stats;
	_Atomic int listener_handles[STATS_LISTENERS];      /* by uid; -1: none */
	_Atomic int endpoint_handles[IO_FAMILIES][1 << 16]; /* by port; -1: none */
	_Atomic int pool_handles[STATS_POOLS]; /* by uid; -1: none, as in modes without a socket per pool */
	_Atomic int bare_handles[BARES];       /* -1: none. All workers have the same, on loan */
	uint32_t fragment_id;                  /* of the next packet that is cut up */
	struct io *io;
	struct io_outbox *outbox;             /* sends through `io` */
	uint64_t clock_ms;                    /* read once per wake-up */
	uint32_t now_ms;                      /* the same, in the width that flows keep */
	struct io_pmtu pmtus[STATS_BACKENDS]; /* by uid */
	/* When a CID last led to a backend, by its uid. Seconds of CLOCK_MONOTONIC_COARSE; 0: never. */
	_Atomic uint32_t cid_last_s[STATS_BACKENDS];
	/* Where the CID leads that a backend gave out last and that is not its own (given_cid.h), by its uid. */
	_Atomic uint16_t foreign_leads[STATS_BACKENDS];
	/* When a backend last answered in version 2 of the tunnel's header, by its uid. In the same seconds. 0: never,
	 * or its last answer was in version 1. The control thread writes it for the answers to probes. */
	_Atomic uint32_t tunnel_v2_s[STATS_BACKENDS];
	struct proxy2_memo tunnel_memo;
	const struct path_cid_cache *cid_cache; /* set before the thread starts; NULL: nobody wants to know */
	struct path_sample sample;
	struct drops drops;                 /* by hello_key.random */
	_Atomic(struct trace_ring *) trace; /* NULL: none runs */
	/* Returns the socket of a port of a single source address, and has it opened if no worker has yet. A session
	 * has one endpoint for life, so it is this port or none, and there is no reserve to take another from. Workers
	 * cannot bind: they wait for a thread that can (io/port_opener.h). -EADDRINUSE: another program has the port,
	 * so the session's next one is asked for. Another -errno: none to be had now. */
	int (*open_port)(void *ctx, struct port_sockets *ports, uint16_t port);
	void *open_port_ctx;
};

/* Begins in `path`, which is all zero. `io` must outlive it. At first it has no handles, and no port opens. On -ENOMEM
 * call path_end(). */
int path_begin(struct path *path, const struct path_shared *shared, struct io *io);
void path_end(struct path *path);

/* A backend of a tunnel answered in this version. */
static inline void path_hear_version(struct path *path, uint16_t backend, enum proxy2_version version, uint32_t now_s)
{
	const uint32_t v2_s = version == PROXY2_V2 ? (now_s > 0 ? now_s : 1) : 0;

	if (atomic_load_explicit(&path->tunnel_v2_s[backend], memory_order_relaxed) != v2_s)
		atomic_store_explicit(&path->tunnel_v2_s[backend], v2_s, memory_order_relaxed);
}

/* What to write to it. Version 2 if it has answered in that within PATH_V2_S; else version 1 with an offer, which every
 * server reads. */
static inline enum proxy2_version path_version_for(const struct path *path, uint16_t backend, uint32_t now_s)
{
	const uint32_t v2_s = atomic_load_explicit(&path->tunnel_v2_s[backend], memory_order_relaxed);

	return v2_s != 0 && (int32_t)(now_s - v2_s) <= PATH_V2_S ? PROXY2_V2 : PROXY2_V1_OFFER;
}

static inline struct trace_ring *path_trace(const struct path *path)
{
	return atomic_load_explicit(&path->trace, memory_order_acquire);
}

#endif

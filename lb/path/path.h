/* What forwarding sees of the thread that it runs in: what all workers share, and what is this one's own.
 *
 * Owner: a worker, or a test in its place. Only its thread uses it, but for what is atomic, the counters, and the
 * handles, which the control thread gives and takes.
 */
#ifndef CIDLB_PATH_PATH_H
#define CIDLB_PATH_PATH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/stats.h"
#include "common/limit.h"
#include "flows/flows.h"
#include "io/icmp.h"
#include "io/io.h"
#include "path/service_addrs.h"
#include "path/table.h"
#include "path/trace.h"

/* What all workers share. It outlives them. */
struct path_shared {
	struct publisher *publisher;
	struct flows *flows;
	struct service_addrs *service_addrs;
	struct limit *limit;
	struct icmp_alarm *alarm;
};

/* One datagram whose CID led nowhere, for the control thread to explain; the worker fills it while it is empty. */
struct path_sample {
	_Atomic bool full;
	uint16_t pool;    /* stable number */
	uint8_t first;    /* octet of the CID */
	bool fits;        /* the layout fits: the server id is unknown */
	uint64_t lengths; /* dtls_cid_lengths() */
};

struct path {
	struct publisher *publisher;
	struct flows *flows;
	struct service_addrs *service_addrs;
	struct limit *limit;
	struct icmp_alarm *alarm;
	struct stats stats;
	_Atomic int listener_handles[STATS_LISTENERS];      /* by stable number; -1: none */
	_Atomic int endpoint_handles[IO_FAMILIES][1 << 16]; /* by port; -1: none */
	_Atomic int pool_handles[STATS_POOLS]; /* of forwarders with a socket per pool, by stable number; -1: none */
	struct io *io;
	struct io_outbox *outbox;             /* through io */
	uint64_t clock_ms;                    /* once per batch */
	uint32_t now_ms;                      /* the same, as flows keep it */
	struct io_pmtu pmtus[STATS_BACKENDS]; /* by stable number */
	/* When a CID led to a backend last, by its stable number: CLOCK_MONOTONIC_COARSE; 0: never. */
	_Atomic uint32_t cid_last_s[STATS_BACKENDS];
	struct path_sample sample;
	_Atomic(struct trace_ring *) trace; /* NULL: none runs */
	/* The socket of a port of a single source address, opened if nobody did before. -errno: cannot be had. */
	int (*open_port)(void *ctx, struct port_sockets *ports, uint16_t port);
	void *open_port_ctx;
};

/* `path` is all zero. It uses `io`, which must outlive it; no handle is given yet, and no port opens. -ENOMEM: what
 * there is, path_end() ends. */
int path_begin(struct path *path, const struct path_shared *shared, struct io *io);
void path_end(struct path *path);

static inline struct trace_ring *path_trace(const struct path *path)
{
	return atomic_load_explicit(&path->trace, memory_order_acquire);
}

#endif

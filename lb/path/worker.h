/* A worker thread: its own sockets of every SO_REUSEPORT group; batch in, route, forward, grouped batch out.
 *
 * The control thread makes and stops workers and gives them descriptors; all else is the worker's own.
 */
#ifndef CIDLB_PATH_WORKER_H
#define CIDLB_PATH_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/stats.h"
#include "common/limit.h"
#include "flows/flows.h"
#include "io/icmp.h"
#include "io/io.h"
#include "path/service_addrs.h"
#include "path/table.h"
#include "path/trace.h"

enum { WORKER_COUNTED = 1 << 16 }; /* descriptors; of higher ones kernel drops are not counted */

/* One datagram whose CID led nowhere, for the control thread to explain; the worker fills it while it is empty. */
struct worker_sample {
	_Atomic bool full;
	uint16_t pool;    /* stable number */
	uint8_t first;    /* octet of the CID */
	bool fits;        /* the layout fits: the server id is unknown */
	uint64_t lengths; /* dtls_cid_lengths() */
};

struct worker {
	struct publisher *publisher; /* shared by all workers */
	struct flows *flows;
	struct service_addrs *service_addrs;
	struct limit *limit; /* shared by all workers */
	struct icmp_alarm *alarm;
	struct stats stats;
	int epoll, wake;
	pthread_t thread;
	bool running;
	_Atomic int listener_fds[STATS_LISTENERS];      /* by stable number; -1: none */
	_Atomic int endpoint_fds[IO_FAMILIES][1 << 16]; /* by port; -1: none */
	_Atomic int tunnel_fds[STATS_POOLS];            /* by stable number; -1: none */
	_Atomic uint32_t drops_seen[WORKER_COUNTED]; /* by descriptor: what the kernel had dropped at that socket when
							last heard of */
	struct icmp_inbox *errors;
	struct io_inbox *inbox;
	struct io_outbox *outbox;
	uint64_t clock_ms;                    /* once per batch */
	uint32_t now_ms;                      /* the same, as flows keep it */
	struct io_pmtu paths[STATS_BACKENDS]; /* mode tunnel: by stable number */
	/* When a CID led to a backend last, by its stable number: CLOCK_MONOTONIC_COARSE; 0: never. */
	_Atomic uint32_t cid_last_s[STATS_BACKENDS];
	struct worker_sample sample;
	_Atomic(struct trace_ring *) trace; /* NULL: none runs */
};

/* A worker without a thread yet, so that it can be given sockets while cidlb is still root. -errno on failure. */
int worker_new(struct worker **out, struct publisher *publisher, struct flows *flows,
	       struct service_addrs *service_addrs, struct limit *limit, struct icmp_alarm *alarm);
int worker_start(struct worker *worker);

/* Ends the thread, if it runs, closes the worker's sockets, frees it. */
void worker_free(struct worker *worker);

/* Everything that can fail of giving the worker a socket, without its noticing: what comes waits. Control thread.
 * -errno: cannot be watched
 * (-ENOSPC: fs.epoll.max_user_watches). */
int worker_admit(struct worker *worker, int fd);

/* Before a socket is closed that was admitted, and not given. */
void worker_dismiss(struct worker *worker, int fd);

/* Gives the worker a socket that it was admitted (it owns it from now on), or with -1 takes away the one it has.
 * Returns what it had before, or -1: to be closed once a grace period is over, one for however many. Control thread. */
int worker_set_listener(struct worker *worker, uint16_t listener, int fd);
int worker_set_endpoint(struct worker *worker, enum io_family family, uint16_t port, int fd);
int worker_set_tunnel(struct worker *worker, uint16_t pool, int fd);

/* The socket of a port of a single source address, opened by this worker (which receives on it from now on) if nobody
 * did before. -errno: cannot be had. */
int worker_open_port(struct worker *worker, struct port_sockets *ports, uint16_t port);

/* Has the worker write to `ring`, or to none (NULL). Control thread; the ring before may still be written to until a
 * grace period is over.
 */
void worker_set_trace(struct worker *worker, struct trace_ring *ring);

static inline struct trace_ring *worker_trace(const struct worker *worker)
{
	return atomic_load_explicit(&worker->trace, memory_order_acquire);
}

/* When a datagram was last routed to a backend by its CID, in seconds of CLOCK_MONOTONIC, which is never behind; 0:
 * never. Any thread. */
uint32_t worker_cid_last_s(struct worker *const *workers, unsigned count, uint16_t backend);

/* Milliseconds of the workers' clock. */
uint32_t worker_clock_ms(void);

#endif

/* A worker thread. It has sockets of its own in every SO_REUSEPORT group. It receives a batch, routes and forwards it,
 * and sends what comes of it in groups.
 *
 * The control thread makes and stops workers, and gives them descriptors. All else is the worker's own.
 */
#ifndef CIDLB_PATH_WORKER_H
#define CIDLB_PATH_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "io/io.h"
#include "io/port_sockets.h"
#include "path/path.h"

enum { WORKER_COUNTED = 1 << 16 }; /* kernel drops are counted only for descriptors below this */

struct worker {
	struct path path; /* through sockets, which belong to the worker too */
	int epoll, wake;
	pthread_t thread;
	bool running;
	/* By descriptor: the drops that the kernel last reported for its socket. */
	_Atomic uint32_t drops_seen[WORKER_COUNTED];
};

/* Makes a worker whose thread does not run yet. So it can be given sockets while cidlb is still root. -errno on
 * failure. */
int worker_new(struct worker **out, const struct path_shared *shared);
/* Starts the thread. -errno on failure. */
int worker_start(struct worker *worker);

/* Ends the thread if it runs, closes the worker's sockets and frees the worker. */
void worker_free(struct worker *worker);

/* Does everything that can fail when a worker gets a socket. The worker does not notice, and what arrives waits.
 * Control thread. -errno: the socket cannot be watched (-ENOSPC: fs.epoll.max_user_watches). */
int worker_admit(struct worker *worker, int fd);

/* Call this before you close a socket that was admitted but not given. Control thread. */
void worker_dismiss(struct worker *worker, int fd);

/* Each of these gives the worker a socket that worker_admit() has admitted. The worker owns it from now on. -1 takes
 * away the one it has. Returns what it had before, or -1. The caller closes that once a grace period is over; one grace
 * period serves for any number of sockets. `listener` and `pool` are uids. Control thread. */
int worker_set_listener(struct worker *worker, uint16_t listener, int fd);
int worker_set_endpoint(struct worker *worker, enum io_family family, uint16_t port, int fd);
int worker_set_pool(struct worker *worker, uint16_t pool, int fd); /* for a pool of forwarder.own_socket */

/* The socket of a port of a single source address. If no worker has opened it, this one does, and receives on it from
 * now on. -errno: none to be had. The worker's own thread. */
int worker_open_port(struct worker *worker, struct port_sockets *ports, uint16_t port);

/* Makes the worker write to `ring`, or to none (NULL). The worker may write to the previous ring until a grace period
 * is over. Control thread. */
void worker_set_trace(struct worker *worker, struct trace_ring *ring);

/* When a datagram was last routed by its CID to the backend with this uid. In seconds of CLOCK_MONOTONIC, which is
 * never behind the workers' clock. 0: never. Any thread. */
uint32_t worker_cid_last_s(struct worker *const *workers, unsigned count, uint16_t backend);

/* The workers' clock in milliseconds. It may wrap. Any thread. */
uint32_t worker_clock_ms(void);

#endif

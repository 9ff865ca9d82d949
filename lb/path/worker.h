/* A worker thread: its own sockets of every SO_REUSEPORT group; batch in, route, forward, grouped batch out.
 *
 * The control thread makes and stops workers and gives them descriptors; all else is the worker's own.
 */
#ifndef CIDLB_PATH_WORKER_H
#define CIDLB_PATH_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "io/io.h"
#include "io/port_sockets.h"
#include "path/path.h"

enum { WORKER_COUNTED = 1 << 16 }; /* descriptors; of higher ones kernel drops are not counted */

struct worker {
	struct path path; /* through sockets, which are the worker's too */
	int epoll, wake;
	pthread_t thread;
	bool running;
	_Atomic uint32_t drops_seen[WORKER_COUNTED]; /* by descriptor: what the kernel had dropped at that socket when
							last heard of */
};

/* A worker without a thread yet, so that it can be given sockets while cidlb is still root. -errno on failure. */
int worker_new(struct worker **out, const struct path_shared *shared);
int worker_start(struct worker *worker);

/* Ends the thread, if it runs, closes the worker's sockets, frees it. */
void worker_free(struct worker *worker);

/* Everything that can fail of giving the worker a socket, without its noticing: what comes waits. Control thread.
 * -errno: cannot be watched (-ENOSPC: fs.epoll.max_user_watches). */
int worker_admit(struct worker *worker, int fd);

/* Before a socket is closed that was admitted, and not given. */
void worker_dismiss(struct worker *worker, int fd);

/* Gives the worker a socket that it was admitted (it owns it from now on), or with -1 takes away the one it has.
 * Returns what it had before, or -1: to be closed once a grace period is over, one for however many. Control thread. */
int worker_set_listener(struct worker *worker, uint16_t listener, int fd);
int worker_set_endpoint(struct worker *worker, enum io_family family, uint16_t port, int fd);
int worker_set_pool(struct worker *worker, uint16_t pool, int fd); /* a pool's own (forwarder.own_socket) */

/* The socket of a port of a single source address, opened by this worker (which receives on it from now on) if nobody
 * did before. -errno: cannot be had. */
int worker_open_port(struct worker *worker, struct port_sockets *ports, uint16_t port);

/* Has the worker write to `ring`, or to none (NULL). Control thread; the ring before may still be written to until a
 * grace period is over.
 */
void worker_set_trace(struct worker *worker, struct trace_ring *ring);

/* When a datagram was last routed to a backend by its CID, in seconds of CLOCK_MONOTONIC, which is never behind; 0:
 * never. Any thread. */
uint32_t worker_cid_last_s(struct worker *const *workers, unsigned count, uint16_t backend);

/* Milliseconds of the workers' clock. */
uint32_t worker_clock_ms(void);

#endif

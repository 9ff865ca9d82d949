/* A worker thread. It has sockets of its own in every SO_REUSEPORT group. It receives a batch, routes and forwards it,
 * and sends what comes of it in groups.
 *
 * The control thread makes and stops workers, and gives them descriptors. All else is the worker's own.
 */
#ifndef CIDLB_PATH_WORKER_H
#define CIDLB_PATH_WORKER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

#include "io/io.h"
#include "io/port_sockets.h"
#include "path/path.h"

enum { WORKER_COUNTED = 1 << 16 }; /* kernel drops are counted only for descriptors below this */

/* Takes from the calling thread what a worker does not need (start/sandbox.h). 0 or -errno. */
typedef int worker_confine(void);

/* A socket that a worker has beside its own. */
struct worker_surplus {
	_Atomic int fd; /* -1: it was taken away */
	uint64_t tag;   /* of the worker's own */
};

struct worker {
	struct path path; /* through sockets, which belong to the worker too */
	struct port_opener *opener;
	int epoll, wake;
	pthread_t thread;
	bool running;
	atomic_bool ends;
	_Atomic unsigned asked, answered; /* worker_ask() */
	worker_confine *confine;
	sem_t begun;  /* posted once the thread is confined */
	int confined; /* what came of it */
	/* By descriptor: the drops that the kernel last reported for its socket. */
	_Atomic uint32_t drops_seen[WORKER_COUNTED];
	struct worker_surplus *surplus;
	uint16_t surplus_count;
};

/* Makes a worker whose thread does not run yet. So it can be given sockets while cidlb is still root. -errno on
 * failure. */
int worker_new(struct worker **out, const struct path_shared *shared);
/* Starts the thread. It is confined before it reads anything (NULL: it is not). -errno: there is no thread, or it
 * cannot be confined. */
int worker_start(struct worker *worker, worker_confine *confine);

/* Asks the thread for a sign of life. It has answered once it has come round: it waits for events, or served those that
 * were there before. Control thread. */
void worker_ask(struct worker *worker);
/* True: it has answered the last question. */
bool worker_has_answered(const struct worker *worker);

/* A descriptor to poll: readable while there is something for the worker that it has not taken. Where its thread does
 * not run, that waits for a CPU. Any thread. */
int worker_events(const struct worker *worker);

/* Ends the thread if it runs. What arrives from now on waits in the sockets. */
void worker_stop(struct worker *worker);

/* Does the same, closes the worker's sockets and frees the worker. */
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

/* Has it send through a socket that all workers share (io/bare.h). Before the thread starts. It does not own it. */
void worker_lend_bare(struct worker *worker, enum bare which, int fd);

/* Has it tell where CIDs lead that do not show it. NULL: nobody. While it has no thread. It does not own it. */
void worker_lend_cid_cache(struct worker *worker, const struct path_cid_cache *cache);

/* Which of a worker's sockets; with the number that its setter above takes. */
enum worker_end { WORKER_LISTENER, WORKER_ENDPOINT_V4, WORKER_ENDPOINT_V6, WORKER_POOL };

/* Has the worker receive through one more socket as through its own one of that kind and number. It sends through its
 * own. Owns `fd` from now on. To be called before the thread starts. 0 or -errno. */
int worker_add_surplus(struct worker *worker, enum worker_end end, uint16_t number, int fd);

/* Takes such a socket away. As worker_set_listener() with -1. */
void worker_take_surplus(struct worker *worker, int fd);

/* Has the worker send what is due in the name of this listener through a socket that another listener has. -1: no
 * longer. The worker does not receive through it and does not own it. Returns what it had before, as it is. */
int worker_lend_listener(struct worker *worker, uint16_t listener, int fd);

/* The socket of a port of a single source address. If no worker has had it opened, this one does, and receives on it
 * from now on. It waits for that (io/port_opener.h). -errno: none to be had. The worker's own thread. */
int worker_open_port(struct worker *worker, struct port_sockets *ports, uint16_t port);

/* Makes `fd` the socket of a port, on which this worker receives; or closes it. To be called before the thread starts.
 * Returns the socket of the port, or -errno. */
int worker_keep_port(struct worker *worker, struct port_sockets *ports, uint16_t port, int fd);

/* Makes the worker write to `ring`, or to none (NULL). The worker may write to the previous ring until a grace period
 * is over. Control thread. */
void worker_set_trace(struct worker *worker, struct trace_ring *ring);

/* When a datagram was last routed by its CID to the backend with this uid. In seconds of CLOCK_MONOTONIC, which is
 * never behind the workers' clock. 0: never. Any thread. */
uint32_t worker_cid_last_s(struct worker *const *workers, unsigned count, uint16_t backend);

/* Someone else than the workers sent a datagram by its CID there, at that time. Control thread. */
void worker_note_cid(struct worker *const *workers, unsigned count, uint16_t backend, uint32_t now_s);

/* In which version of the tunnel's header the backend with this uid answered a probe. PROXY2_V1: also if it did not, or
 * cannot be the same server any more. Control thread. */
void worker_hear_version(struct worker *const *workers, unsigned count, uint16_t backend, enum proxy2_version version);

/* What the tunnel's header to this backend is written in; of several workers, the later knowledge. Any thread. */
enum proxy2_version worker_version_for(struct worker *const *workers, unsigned count, uint16_t backend);

/* How long the thread has used a CPU, in microseconds. 0: it does not run yet. Any thread. */
uint64_t worker_busy_us(const struct worker *worker);

/* The workers' clock in milliseconds. It may wrap. Any thread. */
uint32_t worker_clock_ms(void);

#endif

/* The control thread: configuration, health, names, and who owns which server id. It is the only writer of pool state.
 * It builds the routing table and publishes it.
 *
 * It lives on the event loop of whoever makes it (start/daemon.h). That one also opens the doors, gives up root and
 * handles signals. All calls come from the control thread, which is registered with QSBR and off-line.
 */
#ifndef CIDLB_CONTROL_CONTROL_H
#define CIDLB_CONTROL_CONTROL_H

#include <stdbool.h>

#include <event2/event.h>

#include "conf/conf.h"

struct control;
struct flows;
struct netlink;
struct sockets;
struct trace_ring;
struct worker;

/* Makes everything that runs. The workers have no thread yet, so that they can be given sockets while cidlb is still
 * root. Reads what is kept over restarts (conf->state_file). Nothing is configured yet: apply_conf() does that. `base`
 * has no event yet. 0 or -errno. */
int control_new(struct control **out, struct event_base *base, const struct conf *conf);

/* Starts the threads of the workers, and the one that opens ports for them. `confine` is called in each worker's thread
 * before that reads anything (worker.h). 0 or -errno. */
int control_start(struct control *control, int (*confine)(void));

/* Ends the threads of the workers. What arrives from now on waits in their sockets. */
void control_stop(struct control *control);

/* Asks every worker for a sign of life, and tells how many have not given one since (worker_ask()). */
void control_ask_workers(struct control *control);
unsigned control_workers_silent(const struct control *control);

/* Lets a worker that waits for this CPU go first. Where none has anything to do it only looks. */
void control_give_way(const struct control *control);

/* Ends the threads of the workers as well. NULL is fine. */
void control_free(struct control *control);

/* The running configuration, valid until the next reload. NULL: none runs yet. */
const struct conf *control_conf(const struct control *control);

/* To ask the kernel for routes and addresses. NULL: it cannot be asked. */
struct netlink *control_netlink(const struct control *control);

struct sockets *control_sockets(const struct control *control);

struct flows *control_flows(const struct control *control);

/* The number of workers. A trace needs one ring for each. */
unsigned control_workers(const struct control *control);

/* The workers themselves, for who is lent to them before their threads start. */
struct worker *const *control_worker_list(const struct control *control);

/* Has each worker write what it sees of a session to its ring. The rings are borrowed until control_trace_end(). */
void control_trace(struct control *control, struct trace_ring *const *rings);

/* Ends that. Once it returns, nobody writes to the rings any more. */
void control_trace_end(struct control *control);

#endif

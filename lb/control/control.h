/* The control thread: configuration, health and names, and who owns which server id. It is the only writer of pool
 * state, builds the routing table and publishes it.
 *
 * It lives on the event loop of whoever makes it (start/daemon.h), who also opens the doors, gives up root and handles
 * signals. All calls are the control thread's, registered with QSBR and off-line.
 */
#ifndef CIDLB_CONTROL_CONTROL_H
#define CIDLB_CONTROL_CONTROL_H

#include <stdbool.h>

#include <event2/event.h>

#include "conf/conf.h"

struct control;
struct flows;
struct trace_ring;

/* Everything that runs, with workers that have no thread yet, so that they can be given sockets while cidlb is still
 * root; what is kept over restarts is read (conf->state_file). Nothing is configured: apply_conf() does that. `base`
 * has no event yet. -errno. */
int control_new(struct control **out, struct event_base *base, const struct conf *conf);

/* Starts the threads of the workers. -errno. */
int control_start(struct control *control);

/* Ends the threads of the workers, too. NULL is fine. */
void control_free(struct control *control);

/* The configuration that runs; NULL: none yet. Valid until the next reload. */
const struct conf *control_conf(const struct control *control);

/* Every backend was probed once. */
bool control_is_ready(const struct control *control);

struct flows *control_flows(const struct control *control);

/* How many rings a trace needs: one per worker. */
unsigned control_workers(const struct control *control);

/* Has each worker write what it sees of a session to its ring. */
void control_trace(struct control *control, struct trace_ring *const *rings);

/* To none: nobody writes to the rings any more once this returns. */
void control_trace_end(struct control *control);

#endif

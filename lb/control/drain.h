/* May a server that drains be stopped? Control thread.
 *
 * It may, once no datagram has shown a CID of its for as long as a session may be silent, and it drained and cidlb
 * watched all that time. Then every session of its is gone, or has been silent for longer than its pool allows. What is
 * not known counts as a session that may still live.
 *
 * The state file goes on watching while cidlb restarts (saved.h). It has times in steps of DRAIN_STEP_S: when a CID
 * last came, rounded up, so that it is wrong only to the safe side, and needs no write for each datagram; and when
 * cidlb last watched, rounded down. So after a crash no more is claimed than was seen, but for the last tick. A gap of
 * at most DRAIN_GAP_S counts as watched: whoever sends a confirmable message into it repeats that for longer (RFC 7252,
 * section 4.2: at least 30 s). A longer one, and a boot, begin anew.
 */
#ifndef CIDLB_CONTROL_DRAIN_H
#define CIDLB_CONTROL_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

enum { DRAIN_STEP_S = 15, DRAIN_GAP_S = 30 };

struct control;

/* How long a session of this pool may be silent, and a server has to be. Where no CID names a server, only a flow or a
 * handshake under way leads to one that drains: as long as one of these may be silent. */
int64_t drain_window_s(const struct conf_pool *pool);

/* Notes who drains, by what is in force now. Called whenever a table was published. */
void drain_follow(struct control *control);

/* Takes over what the state file knows. Called once, when the first configuration runs. */
void drain_recall(struct control *control);

/* What was known of the backend holds no more: other sessions are its own now. Called before drain_follow(). */
void drain_forget(struct control *control, uint16_t uid);

/* Has the state file watch, too, and logs who may be stopped. Called once per tick. */
void drain_tick(struct control *control);

/* The same at the end of cidlb, to the second. The workers have not been freed. */
void drain_end(struct control *control);

#endif

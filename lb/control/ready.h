/* Whether devices should be led to this node: /readyz and what routers and other balancers make of it. cidlb itself
 * serves whatever comes, ready or not. Control thread. */
#ifndef CIDLB_CONTROL_READY_H
#define CIDLB_CONTROL_READY_H

#include <stdbool.h>

struct control;

enum { READY_WHY_OCTETS = 256 };

/* True if every backend was probed, each pool has one that is up, has an address and is not in maint, and nobody told
 * the node to leave. Else `why` says what keeps it. */
bool ready_is(const struct control *control, char why[static READY_WHY_OCTETS]);

/* Tells it to leave (lame duck) or takes that back. It outlives restarts where there is a state file; if that cannot be
 * written, it is logged and holds from now on all the same. */
void ready_leave(struct control *control);
void ready_join(struct control *control);
bool ready_has_left(const struct control *control);

/* Takes over what was told before the start, with a log line. */
void ready_recall(struct control *control);

#endif

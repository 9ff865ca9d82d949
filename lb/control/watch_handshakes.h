/* Logs what the handshakes of devices show: hello_rate is at work, servers give out CIDs that are not their own, and
 * sessions that fall silent. Control thread. */
#ifndef CIDLB_CONTROL_WATCH_HANDSHAKES_H
#define CIDLB_CONTROL_WATCH_HANDSHAKES_H

#include "base/stats.h"

struct control;

/* `sum`: the counters of all workers. About once a second. */
void watch_handshakes(struct control *control, const struct stats *sum);

#endif

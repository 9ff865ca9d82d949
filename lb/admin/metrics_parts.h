/* The parts of what metrics_write() writes. Control thread. */
#ifndef CIDLB_ADMIN_METRICS_PARTS_H
#define CIDLB_ADMIN_METRICS_PARTS_H

#include <event2/buffer.h>

#include "control/view.h"

/* What each backend has. There are at most METRICS_PER_BACKEND series for one, as there can be thousands. What is rare
 * or more is counted by pool, and `cidlbctl backends --json` tells whose it is. */
enum { METRICS_PER_BACKEND = 12 };
void metrics_backends(struct evbuffer *out, const struct view *view);

/* What was found of a pool's backends, and how their probes went. */
void metrics_probes(struct evbuffer *out, const struct view *view);

/* Flows, and what they tell of sessions. */
void metrics_flows(struct evbuffer *out, const struct view *view);

/* The fast path, where one is configured. */
void metrics_fast(struct evbuffer *out, const struct view *view);

/* The process, in the names that all exporters share, and its workers. */
void metrics_process(struct evbuffer *out, const struct view *view);

#endif

/* Writes what runs as Prometheus text (format 0.0.4). Control thread. */
#ifndef CIDLB_ADMIN_METRICS_H
#define CIDLB_ADMIN_METRICS_H

#include <stdint.h>

#include <event2/buffer.h>

#include "control/view.h"

/* Adds all metrics to `out`. `view` is borrowed for the call. http_stalls: admin_http_stalls(). A line for which there
 * is no memory is left out, and nobody is told. */
void metrics_write(struct evbuffer *out, const struct view *view, uint64_t http_stalls);

#endif

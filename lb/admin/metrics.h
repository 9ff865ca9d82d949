/* Writes what runs as Prometheus text (format 0.0.4). */
#ifndef CIDLB_ADMIN_METRICS_H
#define CIDLB_ADMIN_METRICS_H

#include <stdint.h>

#include <event2/buffer.h>

#include "control/view.h"

/* http_stalls: admin_http_stalls(). */
void metrics_write(struct evbuffer *out, const struct view *view, uint64_t http_stalls);

#endif

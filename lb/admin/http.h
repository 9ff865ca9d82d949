/* The read-only HTTP door (admin.http): /healthz, /readyz, /metrics. Control thread; libevent's evhttp.
 *
 * Host must be an IP literal or localhost, so that a page in a browser cannot reach it by DNS rebinding. Origin is
 * checked as well. */
#ifndef CIDLB_ADMIN_HTTP_H
#define CIDLB_ADMIN_HTTP_H

#include <stdbool.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "common/addr.h"

struct admin_http;

struct admin_http_source {
	bool (*ready)(void *ctx);                         /* every backend has been probed once */
	void (*metrics)(void *ctx, struct evbuffer *out); /* Prometheus text format 0.0.4 */
	void *ctx;
};

/* Binds and serves. `source` is copied. 0, or -errno: it cannot bind, or -ENOMEM. */
int admin_http_new(struct admin_http **out, struct event_base *base, const struct addr *addr,
		   const struct admin_http_source *source);
void admin_http_free(struct admin_http *admin);

/* How often a connection could not be accepted, most likely for want of descriptors. */
uint64_t admin_http_stalls(void);

#endif

/* The read-only HTTP door (admin.http): /healthz, /readyz, /metrics. Control thread; libevent's evhttp.
 *
 * Host is checked (an IP literal or localhost: a page in a browser cannot reach it by a rebound name), as is Origin. */
#ifndef CIDLB_ADMIN_HTTP_H
#define CIDLB_ADMIN_HTTP_H

#include <stdbool.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "common/addr.h"

struct admin_http;

struct admin_http_source {
	bool (*ready)(void *ctx);                         /* every backend was probed once */
	void (*metrics)(void *ctx, struct evbuffer *out); /* Prometheus text format 0.0.4 */
	void *ctx;
};

/* Binds and serves. -errno: cannot bind. */
int admin_http_new(struct admin_http **out, struct event_base *base, const struct addr *addr,
		   const struct admin_http_source *source);
void admin_http_free(struct admin_http *admin);

/* How often nobody could be accepted: no descriptor was left. */
uint64_t admin_http_stalls(void);

#endif

/* The read-only HTTP door (admin.http): /healthz, /readyz, /metrics. Control thread; libevent's evhttp.
 *
 * Host is checked (an IP literal or localhost: a page in a browser cannot reach it by a rebound name), as is Origin. */
#ifndef CIDLB_ADMIN_H
#define CIDLB_ADMIN_H

#include <stdbool.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "addr.h"

enum { ADMIN_CONNECTIONS = 32 /* at once; others wait */, ADMIN_LIFE_S = 10 /* of a connection, however busy */ };

struct admin;

struct admin_source {
	bool (*ready)(void *ctx);                         /* every backend was probed once */
	void (*metrics)(void *ctx, struct evbuffer *out); /* Prometheus text format 0.0.4 */
	void *ctx;
};

/* Binds and serves. -errno: cannot bind. */
int admin_new(struct admin **out, struct event_base *base, const struct addr *addr, const struct admin_source *source);
void admin_free(struct admin *admin);

/* How often nobody more was accepted for a while. */
struct admin_stalls {
	uint64_t connections; /* ADMIN_CONNECTIONS are open */
	uint64_t descriptors; /* none is left */
};
struct admin_stalls admin_stalls(const struct admin *admin);

#endif

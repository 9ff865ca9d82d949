/* The read-only HTTP door (admin.http): /healthz, /readyz, /metrics, and the dashboard at / with its files and
 * /status.json, which it shows. Control thread, non-blocking on its event loop.
 *
 * Each connection has one request and one answer, and little time for either. There are ADMIN_HTTP_CLIENTS at most. One
 * more ends the one that has been idle longest, of those that had some milliseconds. What a connection asks when it is
 * accepted is answered at once. So whoever asks gets in, however many others only hold connections.
 *
 * One descriptor is kept in reserve, so that somebody can be let in when there are none left.
 *
 * Host must be an IP literal, localhost or a name in admin.hosts, so that a page in a browser cannot reach it by DNS
 * rebinding. Origin is checked as well. The three pages for monitors do without. The dashboard may load nothing from
 * elsewhere, and no page may frame it. */
#ifndef CIDLB_ADMIN_HTTP_H
#define CIDLB_ADMIN_HTTP_H

#include <stdbool.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "common/addr.h"

struct admin_http;

struct admin_http_source {
	bool (*ready)(void *ctx, struct evbuffer *out);   /* fills in a line that says what keeps it from being ready */
	void (*metrics)(void *ctx, struct evbuffer *out); /* Prometheus text format 0.0.4 */
	void (*status)(void *ctx, struct evbuffer *out);  /* JSON for the dashboard; nothing: out of memory */
	bool (*is_host)(void *ctx, const char *name);     /* it is in admin.hosts */
	void (*served)(void *ctx); /* one connection has had its turn: others may want the CPU. NULL: nobody */
	void *ctx;
};

enum { ADMIN_HTTP_CLIENTS = 32, ADMIN_HTTP_REQUEST_MS = 5000, ADMIN_HTTP_ANSWER_MS = 10000 };

/* Binds and serves. `source` is copied. 0, or -errno: it cannot bind, or -ENOMEM. */
int admin_http_new(struct admin_http **out, struct event_base *base, const struct addr *addr,
		   const struct admin_http_source *source);
/* Stops listening, so that another door can open at a part of its address, or at more. Whoever waits is let in first,
 * and answered as before. Nobody else is, until it resumes. */
void admin_http_yield(struct admin_http *admin);
int admin_http_resume(struct admin_http *admin); /* 0 or -errno: it stays shut */

void admin_http_free(struct admin_http *admin);

/* How often a connection could not be accepted, most likely for want of descriptors. Of all doors. */
uint64_t admin_http_stalls(void);

#endif

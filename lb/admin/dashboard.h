/* What the page at / of admin.http shows: /status.json, for which it asks every two seconds. Control thread.
 *
 * The answer is made at most once a second, however many ask: those who ask meanwhile share it. A backend costs it some
 * hundred octets, and what is as usual is left out. It has no key, no identity and no address of a device.
 *
 * It is the page's own, and may differ in the next version. Monitors have /metrics, scripts `cidlbctl --json`. */
#ifndef CIDLB_ADMIN_DASHBOARD_H
#define CIDLB_ADMIN_DASHBOARD_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <jansson.h>

#include "admin/history.h"
#include "control/view.h"

struct control;
struct dashboard;

enum {
	DASHBOARD_MS = 1000,      /* so long an answer serves */
	DASHBOARD_EVENTS = 40,    /* of the log, the last ones */
	DASHBOARD_FORECAST_S = 60 /* so long forecasts do, for each of which the whole flow table is read */
};

/* Notes what happens from now on, each HISTORY_S. NULL: out of memory. */
struct dashboard *dashboard_new(struct control *control, struct event_base *base);
void dashboard_free(struct dashboard *dashboard);

/* Adds the answer to `out`, which may outlive the dashboard. Without memory it adds nothing. */
void dashboard_write(struct dashboard *dashboard, struct evbuffer *out);

/* What there is besides a view. Borrowed. */
struct dashboard_rest {
	const char *node; /* the name of the host */
	int64_t at_ms;    /* Unix time of the view */
	json_t *events;   /* an array, the oldest first */
	const struct history *history;
	json_t *forecasts;      /* forecasts_new() */
	int64_t forecasts_at_s; /* when that was, Unix time */
};

/* The answer as JSON, to be released by its caller. NULL: out of memory. */
json_t *dashboard_json(const struct view *view, const struct dashboard_rest *rest);

#endif

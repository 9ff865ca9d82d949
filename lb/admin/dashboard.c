#include "admin/dashboard.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <unistd.h>

#include "admin/forecast.h"
#include "base/clock.h"
#include "base/log_recent.h"
#include "control/settle.h"

/* An answer, and how many hold it: the dashboard, and those it has been given to and who have not read it yet. */
struct answer {
	unsigned holders;
	size_t len;
	char *text;
};

struct dashboard {
	struct control *control;
	char node[HOST_NAME_MAX + 1];
	struct answer *answer; /* NULL: none was made */
	uint64_t made_ms;
	json_t *events;
	uint64_t events_at; /* log_recent_next() */
	json_t *forecasts;
	int64_t forecasts_at_s; /* 0: none was made */
	struct event *timer;
	struct history history;
};

static int64_t unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void answer_release(struct answer *answer)
{
	if (!answer || --answer->holders > 0)
		return;
	free(answer->text);
	free(answer);
}

static void on_read(const void *text, size_t len, void *answer)
{
	(void)text;
	(void)len;
	answer_release(answer);
}

/* Takes `json` over. NULL: out of memory. */
static struct answer *answer_new(json_t *json)
{
	struct answer *answer = calloc(1, sizeof *answer);

	if (answer)
		*answer = (struct answer){ .holders = 1, .text = json ? json_dumps(json, JSON_COMPACT) : NULL };
	json_decref(json);
	if (answer && !answer->text) {
		answer_release(answer);
		return NULL;
	}
	if (answer)
		answer->len = strlen(answer->text);
	return answer;
}

static void events_follow(struct dashboard *dashboard)
{
	struct log_line line;

	while (log_recent_next(&dashboard->events_at, &line) != LOG_RECENT_NONE) {
		json_array_append_new(dashboard->events, json_loadb(line.text, line.len, 0, NULL));
		if (json_array_size(dashboard->events) > DASHBOARD_EVENTS)
			json_array_remove(dashboard->events, 0);
	}
}

static void forecasts_follow(struct dashboard *dashboard, const struct view *view, int64_t now_s)
{
	const int64_t age_s = now_s - dashboard->forecasts_at_s;

	if (dashboard->forecasts_at_s && age_s >= 0 && age_s < DASHBOARD_FORECAST_S)
		return;
	json_decref(dashboard->forecasts);
	dashboard->forecasts = forecasts_new(dashboard->control, view);
	dashboard->forecasts_at_s = now_s;
}

static void answer_make(struct dashboard *dashboard)
{
	const int64_t now_ms = unix_ms();
	struct view *view;

	/* It shows what is in force, even if that has changed in this turn. */
	(void)settle(dashboard->control);
	answer_release(dashboard->answer);
	dashboard->answer = NULL;
	if (view_new(&view, dashboard->control))
		return;
	events_follow(dashboard);
	forecasts_follow(dashboard, view, now_ms / 1000);
	dashboard->answer = answer_new(
		dashboard_json(view, &(struct dashboard_rest){ .node = dashboard->node,
							       .at_ms = now_ms,
							       .events = dashboard->events,
							       .history = &dashboard->history,
							       .forecasts = dashboard->forecasts,
							       .forecasts_at_s = dashboard->forecasts_at_s }));
	dashboard->made_ms = clock_ms();
	view_free(view);
}

void dashboard_write(struct dashboard *dashboard, struct evbuffer *out)
{
	if (!dashboard->answer || clock_ms() - dashboard->made_ms >= DASHBOARD_MS)
		answer_make(dashboard);
	if (!dashboard->answer)
		return;
	dashboard->answer->holders++;
	if (evbuffer_add_reference(out, dashboard->answer->text, dashboard->answer->len, on_read, dashboard->answer))
		answer_release(dashboard->answer);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct dashboard *dashboard = ctx;
	struct stats *sum = aligned_alloc(_Alignof(struct stats), sizeof *sum);

	(void)fd;
	(void)what;
	if (!sum)
		return;
	view_stats(sum, dashboard->control);
	history_add(&dashboard->history, unix_ms(), sum);
	free(sum);
}

struct dashboard *dashboard_new(struct control *control, struct event_base *base)
{
	static const struct timeval period = { .tv_sec = HISTORY_S };
	struct dashboard *dashboard = calloc(1, sizeof *dashboard);

	if (!dashboard)
		return NULL;
	dashboard->control = control;
	if (gethostname(dashboard->node, sizeof dashboard->node - 1))
		dashboard->node[0] = '\0';
	dashboard->events = json_array();
	dashboard->timer = event_new(base, -1, EV_PERSIST, on_timer, dashboard);
	if (!dashboard->events || !dashboard->timer || event_add(dashboard->timer, &period) < 0) {
		dashboard_free(dashboard);
		return NULL;
	}
	return dashboard;
}

void dashboard_free(struct dashboard *dashboard)
{
	if (!dashboard)
		return;
	if (dashboard->timer)
		event_free(dashboard->timer);
	answer_release(dashboard->answer);
	json_decref(dashboard->events);
	json_decref(dashboard->forecasts);
	free(dashboard);
}

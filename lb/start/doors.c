#include "start/doors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/dashboard.h"
#include "admin/http.h"
#include "admin/metrics.h"
#include "admin/socket.h"
#include "base/log.h"
#include "base/priv.h"
#include "control/apply.h"
#include "control/control.h"
#include "control/ready.h"
#include "control/settle.h"
#include "control/shortage.h"
#include "control/view.h"

struct doors {
	struct control *control;
	struct event_base *base;
	struct admin_http *http, *http_next; /* NULL: it is closed; there is none to come */
	struct addr http_addr;               /* where http listens */
	bool http_yields;                    /* to http_next, which is at the same port */
	struct dashboard *dashboard;
	struct commands *commands;
	struct admin_socket *socket;
	struct event *look;
	struct shortage stalls; /* connections that http could not accept */
};

/* Answers show what is in force, even if it has changed in this turn of the event loop. */
static bool on_ready(void *ctx, struct evbuffer *out)
{
	struct doors *doors = ctx;
	char why[READY_WHY_OCTETS];
	bool ready;

	(void)settle(doors->control);
	ready = ready_is(doors->control, why);
	evbuffer_add_printf(out, "%s\n", ready ? "ready" : why);
	return ready;
}

static void on_metrics(void *ctx, struct evbuffer *out)
{
	struct doors *doors = ctx;
	struct view *view;

	(void)settle(doors->control);
	if (view_new(&view, doors->control))
		return;
	metrics_write(out, view, admin_http_stalls());
	view_free(view);
}

static void on_status(void *ctx, struct evbuffer *out)
{
	struct doors *doors = ctx;

	dashboard_write(doors->dashboard, out);
}

/* In small letters there. */
static bool on_host(void *ctx, const char *name)
{
	const struct doors *doors = ctx;
	const struct conf *conf = control_conf(doors->control);

	for (size_t i = 0; i < conf->host_count; i++)
		if (strcasecmp(conf->hosts[i], name) == 0)
			return true;
	return false;
}

static bool http_stays(const struct doors *doors, const struct conf *conf)
{
	return addr_equal(&conf->http, &doors->http_addr);
}

static void http_resume(struct doors *doors)
{
	int err = doors->http_yields ? admin_http_resume(doors->http) : 0;

	doors->http_yields = false;
	if (err)
		log_fields(
			&(struct log_what){ LOG_LEVEL_ERROR, "admin", NULL, NULL,
					    LOG_FIELDS(LOG_TEXT("door", "http"), LOG_TEXT("error", strerror(-err))) },
			"admin.http cannot listen any more: %s", strerror(-err));
}

static void on_served(void *ctx)
{
	const struct doors *doors = ctx;

	control_give_way(doors->control);
}

static int http_prepare(void *ctx, struct apply_step *step)
{
	struct doors *doors = ctx;
	const struct admin_http_source source = { on_ready, on_metrics, on_status, on_host, on_served, doors };
	int err;

	if (!step->conf->has_http || http_stays(doors, step->conf))
		return 0;
	err = admin_http_new(&doors->http_next, doors->base, &step->conf->http, &source);
	/* From one address of a port to all of them, or back. */
	if (err == -EADDRINUSE && doors->http && doors->http_addr.port == step->conf->http.port) {
		doors->http_yields = true;
		admin_http_yield(doors->http);
		err = admin_http_new(&doors->http_next, doors->base, &step->conf->http, &source);
	}
	if (!err)
		return 0;
	http_resume(doors);
	return apply_refuse_address(step, err, "admin.http", &step->conf->http);
}

static void http_commit(void *ctx, struct apply_step *step)
{
	struct doors *doors = ctx;

	if (http_stays(doors, step->conf))
		return;
	admin_http_free(doors->http);
	doors->http = doors->http_next;
	doors->http_next = NULL;
	doors->http_yields = false;
	doors->http_addr = step->conf->http;
}

static void http_abandon(void *ctx, struct apply_step *step)
{
	struct doors *doors = ctx;

	(void)step;
	admin_http_free(doors->http_next);
	doors->http_next = NULL;
	http_resume(doors);
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
	struct doors *doors = ctx;

	(void)fd;
	(void)what;
	shortage_tell(&doors->stalls, admin_http_stalls(), "admin", NULL,
		      "admin.http cannot accept connections: out of descriptors?");
}

static int doors_start(struct doors *doors)
{
	static const struct timeval second = { .tv_sec = 1 };
	const struct apply_part http = { "admin.http", http_prepare, http_commit, http_abandon, doors };

	doors->commands = commands_new(doors->control, doors->base);
	doors->dashboard = dashboard_new(doors->control, doors->base);
	doors->look = event_new(doors->base, -1, EV_PERSIST, on_look, doors);
	if (!doors->commands || !doors->dashboard || !doors->look || event_add(doors->look, &second) < 0)
		return -ENOMEM;
	return apply_register(doors->control, &http);
}

int doors_new(struct doors **out, struct control *control, struct event_base *base)
{
	struct doors *doors = calloc(1, sizeof *doors);
	int err;

	if (!doors)
		return -ENOMEM;
	doors->control = control;
	doors->base = base;
	err = doors_start(doors);
	if (err)
		doors_free(doors);
	else
		*out = doors;
	return err;
}

int doors_open_socket(struct doors *doors, const struct conf *conf)
{
	const struct admin_socket_source source = { commands_answer, doors->commands };
	struct admin_socket_path path = { conf->socket, geteuid(), getegid() };
	int err;

	if (!conf->socket)
		return 0;
	err = priv_owner(conf->user, &path.uid, &path.gid);
	if (!err)
		err = admin_socket_open(&doors->socket, doors->base, &path, &source);
	if (!err)
		return 0;
	log_fields(&(struct log_what){ conf->socket_default ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "admin", NULL, NULL,
				       LOG_FIELDS(LOG_TEXT("door", "socket"), LOG_TEXT("path", conf->socket),
						  LOG_TEXT("error", err == -EADDRINUSE ? "another process answers there"
										       : strerror(-err))) },
		   "no socket for cidlbctl at %s: %s", conf->socket,
		   err == -EADDRINUSE ? "another process answers there" : strerror(-err));
	return conf->socket_default ? 0 : err;
}

/* The trace ends first, so that its client can be told. */
void doors_free(struct doors *doors)
{
	if (!doors)
		return;
	commands_free(doors->commands);
	admin_socket_close(doors->socket);
	admin_http_free(doors->http);
	dashboard_free(doors->dashboard);
	if (doors->look)
		event_free(doors->look);
	free(doors);
}

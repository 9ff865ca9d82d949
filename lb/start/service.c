#include "start/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "common/plural.h"
#include "control/control.h"
#include "start/notify.h"
#include "start/status.h"

enum { FEEDS = 3 /* in the time that the watchdog waits */ };

struct service {
	struct notify *notify;
	struct control *control;
	struct event *look, *feed; /* NULL: nobody listens; there is no watchdog */
	char told[STATUS_OCTETS];  /* what systemd shows */
	bool hungry;               /* the watchdog, at its last turn */
};

/* The watchdog's time in microseconds. 0: there is none, or it is another process'. */
static uint64_t watchdog_us(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!us || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoull(us, NULL, 10);
}

static void status_tell(struct service *service, const char *with, enum notify_how how)
{
	char status[STATUS_OCTETS], text[STATUS_OCTETS + 32];

	status_write(status, service->control);
	if (!*with && strcmp(status, service->told) == 0)
		return;
	snprintf(text, sizeof text, "%sSTATUS=%s", with, status);
	if (notify_send(service->notify, text, how) == 0)
		memcpy(service->told, status, sizeof status);
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	status_tell(ctx, "", NOTIFY_NOW);
}

static void on_feed(evutil_socket_t fd, short what, void *ctx)
{
	struct service *service = ctx;
	const unsigned silent = control_workers_silent(service->control);

	(void)fd;
	(void)what;
	if (silent > 0 && !service->hungry)
		log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "watchdog", NULL, NULL,
					       LOG_FIELDS(LOG_NUMBER("workers", silent)) },
			   "%u worker%s %s not come round: systemd is not told that all is well", silent,
			   PLURAL(silent), silent == 1 ? "does" : "do");
	service->hungry = silent > 0;
	if (silent > 0)
		return;
	(void)notify_send(service->notify, "WATCHDOG=1", NOTIFY_NOW);
	control_ask_workers(service->control);
}

/* NULL: out of memory. */
static struct event *every(struct service *service, struct event_base *base, uint64_t us, event_callback_fn call)
{
	const struct timeval period = { (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };
	struct event *event = event_new(base, -1, EV_PERSIST, call, service);

	if (!event || event_add(event, &period) == 0)
		return event;
	event_free(event);
	return NULL;
}

int service_new(struct service **out, struct notify *notify, struct control *control, struct event_base *base)
{
	struct service *service = calloc(1, sizeof *service);
	const uint64_t us = watchdog_us();

	if (!service)
		return -ENOMEM;
	service->notify = notify;
	service->control = control;
	if (notify)
		service->look = every(service, base, 1000000, on_look);
	if (notify && us > 0)
		service->feed = every(service, base, us / FEEDS, on_feed);
	if (notify && (!service->look || (us > 0 && !service->feed))) {
		service_free(service);
		return -ENOMEM;
	}
	*out = service;
	return 0;
}

void service_free(struct service *service)
{
	if (!service)
		return;
	if (service->look)
		event_free(service->look);
	if (service->feed)
		event_free(service->feed);
	free(service);
}

void service_ready(struct service *service)
{
	status_tell(service, "READY=1\n", NOTIFY_WAIT);
}

void service_stopping(struct service *service)
{
	(void)notify_send(service->notify, "STOPPING=1\nSTATUS=stopping", NOTIFY_WAIT);
}

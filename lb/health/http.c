/* The `http` probe: a GET, and any 2xx. Nothing proves who speaks, so its words may steer only if they come from this
 * host. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>

#include "health/http_reply.h"
#include "health/probe.h"

enum { REPLY_OCTETS = 8192 };

struct http {
	struct probe probe;
	int dialled; /* a socket that is not connected yet; -1: none */
	struct event connected;
	struct bufferevent *link; /* NULL: none */
	struct http_reply reply;  /* body: in the link's buffer */
};

static void hang_up(struct http *http)
{
	if (http->link)
		bufferevent_free(http->link);
	http->link = NULL;
	if (http->dialled >= 0) {
		event_del(&http->connected);
		close(http->dialled);
	}
	http->dialled = -1;
}

static void fail(struct http *http, int err)
{
	hang_up(http);
	probe_fail(&http->probe, err);
}

__attribute__((format(printf, 2, 3))) static void finish_bad(struct http *http, const char *format, ...)
{
	char reason[HEALTH_REASON_OCTETS];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	hang_up(http);
	probe_finish(&http->probe, &(struct health_result){ .reason = reason });
}

/* Only the head of the reply is there, and no words. */
static void finish_by_head(struct http *http)
{
	const struct health_result result = { .ok = http->reply.status < 300, .reason = http->reply.text };

	hang_up(http);
	probe_finish(&http->probe, &result);
}

static void finish_by_reply(struct http *http)
{
	const struct http_reply *reply = &http->reply;
	struct bufferevent *link = http->link;
	struct health_result result = { .ok = reply->status < 300, .reason = reply->text };

	/* Also without words: then the backend has nothing to say. */
	if (result.ok && addr_is_loopback(&http->probe.to)) {
		result.words = reply->body;
		result.words_len = reply->body_len;
	}
	http->link = NULL;
	probe_finish(&http->probe, &result);
	bufferevent_free(link); /* it held the words; the probe may be gone */
}

static void read_reply(struct http *http, enum http_input state)
{
	struct evbuffer *input = bufferevent_get_input(http->link);
	size_t len = evbuffer_get_length(input);

	switch (http_reply_read(&http->reply, evbuffer_pullup(input, -1), len, state)) {
	case HTTP_WHOLE:
		finish_by_reply(http);
		break;
	case HTTP_BROKEN:
		finish_bad(http,
			   len > 0 ? "no HTTP answer, but %zu octets of something else" : "closed without an answer",
			   len);
		break;
	case HTTP_MORE:
		if (len < REPLY_OCTETS)
			break;
		if (http->reply.status != 0)
			finish_by_head(http);
		else
			finish_bad(http, "no head of an answer in %d octets", REPLY_OCTETS);
	}
}

static void on_input(struct bufferevent *link, void *ctx)
{
	(void)link;
	read_reply(ctx, HTTP_OPEN);
}

static void on_event(struct bufferevent *link, short events, void *ctx)
{
	const int err = -EVUTIL_SOCKET_ERROR();

	(void)link;
	if (events & BEV_EVENT_EOF)
		read_reply(ctx, HTTP_ENDED);
	else if (events & BEV_EVENT_ERROR)
		fail(ctx, err);
}

static void http_wake(struct probe *probe)
{
	struct http *http = (struct http *)probe;
	unsigned ms = probe->spec.how.timeout_ms;

	if (http->reply.status != 0)
		finish_bad(http, "%s, but not all of it in %u ms", http->reply.text, ms);
	else
		finish_bad(http, "no answer for %u ms", ms);
}

static void on_connected(evutil_socket_t fd, short events, void *ctx)
{
	struct http *http = ctx;
	char host[ADDR_TEXT_OCTETS];
	int error = 0;
	socklen_t len = sizeof error;

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0)
		http->link = bufferevent_socket_new(http->probe.base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!http->link) {
		fail(http, error != 0 ? -error : -ENOMEM);
		return;
	}
	http->dialled = -1; /* the link's now */
	bufferevent_setcb(http->link, on_input, NULL, on_event, http);
	bufferevent_setwatermark(http->link, EV_READ, 0, REPLY_OCTETS);
	evbuffer_add_printf(
		bufferevent_get_output(http->link),
		"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: cidlb\r\nAccept: */*\r\nConnection: close\r\n\r\n",
		http->probe.spec.how.path, addr_format(&http->probe.to, host));
	bufferevent_enable(http->link, EV_READ | EV_WRITE);
}

static void http_begin(struct probe *probe)
{
	struct http *http = (struct http *)probe;
	int fd = probe_socket(probe, SOCK_STREAM), err;

	http->reply = (struct http_reply){ 0 };
	if (fd < 0) {
		fail(http, fd);
		return;
	}
	http->dialled = fd;
	event_assign(&http->connected, probe->base, fd, EV_WRITE, on_connected, http);
	err = probe_connect(probe, fd);
	if (err == -EINPROGRESS)
		err = 0;
	if (!err && event_add(&http->connected, NULL) != 0)
		err = -ENOMEM;
	if (!err)
		probe_wake_in(probe, probe_left_us(probe));
	else
		fail(http, err);
}

static int http_open(struct probe *probe)
{
	((struct http *)probe)->dialled = -1;
	return 0;
}

static void http_close(struct probe *probe)
{
	hang_up((struct http *)probe);
}

const struct probe_kind probe_http = {
	.octets = sizeof(struct http), .open = http_open, .begin = http_begin, .wake = http_wake, .close = http_close
};

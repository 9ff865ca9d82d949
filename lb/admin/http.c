#include "admin/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "base/sockaddr.h"

enum {
	TIMEOUT_S = 5, /* of a silent connection */
	HEADERS_OCTETS = 8192,
	BODY_OCTETS = 1024, /* no page takes a body */
	BACKLOG = 16,
	RETRY_MS = 100, /* after a connection could not be accepted */
};

struct admin_http {
	struct evhttp *http;
	struct evconnlistener *listener; /* evhttp's */
	struct event *retry;
	struct admin_http_source source;
};

struct page {
	const char *path;
	const char *type;
	/* Fills `out`; returns the HTTP status. */
	int (*write)(const struct admin_http_source *source, struct evbuffer *out);
};

#define TEXT "text/plain; charset=utf-8"

static int write_root(const struct admin_http_source *source, struct evbuffer *out)
{
	(void)source;
	evbuffer_add_printf(out, "cidlb " CIDLB_VERSION "\n"
				 "/healthz  200 while cidlb runs\n"
				 "/readyz   200 once every backend was probed, 503 before\n"
				 "/metrics  counters and states, Prometheus text format\n");
	return HTTP_OK;
}

static int write_healthz(const struct admin_http_source *source, struct evbuffer *out)
{
	(void)source;
	evbuffer_add_printf(out, "ok\n");
	return HTTP_OK;
}

static int write_readyz(const struct admin_http_source *source, struct evbuffer *out)
{
	bool ready = source->ready(source->ctx);

	evbuffer_add_printf(out, ready ? "ready\n" : "not every backend was probed yet\n");
	return ready ? HTTP_OK : HTTP_SERVUNAVAIL;
}

static int write_metrics(const struct admin_http_source *source, struct evbuffer *out)
{
	source->metrics(source->ctx, out);
	return evbuffer_get_length(out) > 0 ? HTTP_OK : HTTP_SERVUNAVAIL; /* out of memory */
}

static const struct page pages[] = {
	{ "/", TEXT, write_root },
	{ "/healthz", TEXT, write_healthz },
	{ "/readyz", TEXT, write_readyz },
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics },
};

/* True for "HOST" or "HOST:PORT", where HOST is an IP literal (IPv6 in brackets) or localhost. No name server can point
 * those elsewhere. */
static bool host_is_literal(const char *host)
{
	char name[64];
	bool bracket = host[0] == '[';
	const char *start = host + bracket;
	size_t len = strcspn(start, bracket ? "]" : ":");
	const char *rest = start + len;
	struct addr ip;

	if (len >= sizeof name)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	if (bracket && *rest++ != ']')
		return false;
	if (*rest != '\0' && (*rest != ':' || rest[1 + strspn(rest + 1, "0123456789")] != '\0'))
		return false;
	if (!bracket && strcasecmp(name, "localhost") == 0)
		return true;
	return addr_parse_ip(&ip, name) == 0 && addr_is_v4(&ip) == !bracket;
}

/* A foreign page in a browser must reach nothing here, neither by DNS rebinding nor by a cross-origin request. */
static bool request_is_ours(struct evhttp_request *request)
{
	static const char scheme[] = "http://";
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const char *host = evhttp_find_header(headers, "Host");
	const char *origin = evhttp_find_header(headers, "Origin");

	if (!host || !host_is_literal(host))
		return false;
	if (!origin)
		return true;
	return strncasecmp(origin, scheme, strlen(scheme)) == 0 && strcasecmp(origin + strlen(scheme), host) == 0;
}

static const struct page *find_page(struct evhttp_request *request)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));

	for (size_t i = 0; path && i < sizeof pages / sizeof pages[0]; i++) {
		if (strcmp(pages[i].path, path) == 0)
			return &pages[i];
	}
	return NULL;
}

static int answer(const struct admin_http *admin, struct evhttp_request *request, struct evbuffer *out,
		  const char **type)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(request);

	*type = TEXT;
	if (!request_is_ours(request)) {
		evbuffer_add_printf(out, "ask by IP address or as localhost\n");
		return 403;
	}
	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		evbuffer_add_printf(out, "this door is read-only\n");
		return HTTP_BADMETHOD;
	}
	const struct page *page = find_page(request);
	if (!page) {
		evbuffer_add_printf(out, "no such page; / lists them\n");
		return HTTP_NOTFOUND;
	}
	*type = page->type;
	return page->write(&admin->source, out);
}

static void on_request(struct evhttp_request *request, void *ctx)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *out = evbuffer_new();
	const char *type;
	char length[32];

	if (!out) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	int status = answer(ctx, request, out, &type);
	snprintf(length, sizeof length, "%zu", evbuffer_get_length(out));
	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Content-Length", length);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Connection", "close"); /* no connection outlives its answer */
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		evbuffer_drain(out, evbuffer_get_length(out));
	evhttp_send_reply(request, status, NULL, out);
	evbuffer_free(out);
}

/* For all doors together, because the context of this callback is evhttp's. Control thread. */
static uint64_t failed_accepts;

/* Most likely there are no descriptors left. The event would be back at once, for ever. */
static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
	(void)ctx;
	evconnlistener_disable(listener);
	failed_accepts++;
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct admin_http *admin = ctx;

	(void)fd;
	(void)what;
	evconnlistener_enable(admin->listener);
}

uint64_t admin_http_stalls(void)
{
	return failed_accepts;
}

/* A listening socket, or -errno. */
static int listen_on(const struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_write(&sa, addr);
	int on = 1, err;
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	    (sa.ss_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
	    bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int admin_start(struct admin_http *admin, struct event_base *base, const struct addr *addr)
{
	static const struct timeval retry = { 0, RETRY_MS * 1000 };
	struct evhttp_bound_socket *bound;

	admin->http = evhttp_new(base);
	admin->retry = event_new(base, -1, EV_PERSIST, on_retry, admin);
	if (!admin->http || !admin->retry)
		return -ENOMEM;
	evhttp_set_timeout(admin->http, TIMEOUT_S);
	evhttp_set_max_headers_size(admin->http, HEADERS_OCTETS);
	evhttp_set_max_body_size(admin->http, BODY_OCTETS);
	evhttp_set_allowed_methods(admin->http, UINT16_MAX); /* else evhttp answers 501 instead of 405 */
	evhttp_set_gencb(admin->http, on_request, admin);

	int fd = listen_on(addr);
	if (fd < 0)
		return fd;
	bound = evhttp_accept_socket_with_handle(admin->http, fd);
	if (!bound) {
		close(fd);
		return -ENOMEM;
	}
	admin->listener = evhttp_bound_socket_get_listener(bound);
	evconnlistener_set_error_cb(admin->listener, on_accept_error);
	return event_add(admin->retry, &retry) < 0 ? -ENOMEM : 0;
}

int admin_http_new(struct admin_http **out, struct event_base *base, const struct addr *addr,
		   const struct admin_http_source *source)
{
	struct admin_http *admin = calloc(1, sizeof *admin);
	int err;

	*out = NULL;
	if (!admin)
		return -ENOMEM;
	admin->source = *source;
	err = admin_start(admin, base, addr);
	if (!err)
		*out = admin;
	else
		admin_http_free(admin);
	return err;
}

void admin_http_free(struct admin_http *admin)
{
	if (!admin)
		return;
	if (admin->http)
		evhttp_free(admin->http);
	if (admin->retry)
		event_free(admin->retry);
	free(admin);
}

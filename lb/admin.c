#include "admin.h"

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

#include "net.h"

enum {
	TIMEOUT_S = 5, /* of a silent connection */
	HEADERS_OCTETS = 8192,
	BODY_OCTETS = 1024, /* nothing that is served takes one */
	BACKLOG = 16,
	SWEEP_MS = 100,
	IDLE_SWEEP_MS = 1000,
};

/* evhttp knows no bound on its connections, nor tells when one has gone: so we hold a reference to the stream of each, whose callbacks are
 * taken away when evhttp lets go of it. */
struct connection {
	struct bufferevent *stream; /* NULL: nobody */
	time_t began_s;
};

struct admin {
	struct evhttp *http;
	struct evconnlistener *listener; /* evhttp's */
	struct event *sweep;
	struct connection connections[ADMIN_CONNECTIONS];
	uint64_t stalls; /* for want of places */
	struct admin_source source;
};

struct page {
	const char *path;
	const char *type;
	/* Fills `out`; returns the HTTP status. */
	int (*write)(const struct admin_source *source, struct evbuffer *out);
};

#define TEXT "text/plain; charset=utf-8"

static int write_root(const struct admin_source *source, struct evbuffer *out)
{
	(void)source;
	evbuffer_add_printf(out, "cidlb " CIDLB_VERSION "\n"
				 "/healthz  200 while cidlb runs\n"
				 "/readyz   200 once every backend was probed, 503 before\n"
				 "/metrics  counters and states, Prometheus text format\n");
	return HTTP_OK;
}

static int write_healthz(const struct admin_source *source, struct evbuffer *out)
{
	(void)source;
	evbuffer_add_printf(out, "ok\n");
	return HTTP_OK;
}

static int write_readyz(const struct admin_source *source, struct evbuffer *out)
{
	bool ready = source->ready(source->ctx);

	evbuffer_add_printf(out, ready ? "ready\n" : "not every backend was probed yet\n");
	return ready ? HTTP_OK : HTTP_SERVUNAVAIL;
}

static int write_metrics(const struct admin_source *source, struct evbuffer *out)
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

/* "HOST" or "HOST:PORT", HOST an IP literal (IPv6 in brackets) or localhost: what no name server can point elsewhere. */
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

/* A page elsewhere that a browser shows must reach nothing here, by a rebound name or by a request across origins. */
static bool request_is_ours(struct evhttp_request *request)
{
	static const char scheme[] = "http://";
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const char *host = evhttp_find_header(headers, "Host");
	const char *origin = evhttp_find_header(headers, "Origin");

	if (host == NULL || !host_is_literal(host))
		return false;
	if (origin == NULL)
		return true;
	return strncasecmp(origin, scheme, strlen(scheme)) == 0 && strcasecmp(origin + strlen(scheme), host) == 0;
}

static const struct page *find_page(struct evhttp_request *request)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));

	for (size_t i = 0; path != NULL && i < sizeof pages / sizeof pages[0]; i++) {
		if (strcmp(pages[i].path, path) == 0)
			return &pages[i];
	}
	return NULL;
}

static int answer(const struct admin *admin, struct evhttp_request *request, struct evbuffer *out, const char **type)
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
	if (page == NULL) {
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

	if (out == NULL) {
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

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static bool connection_is_over(const struct connection *connection)
{
	bufferevent_event_cb on_event;

	bufferevent_getcb(connection->stream, NULL, NULL, &on_event, NULL);
	return on_event == NULL;
}

/* Forgets the connections that are over and ends those that last too long. Returns how many places are free. */
static size_t connections_sweep(struct admin *admin)
{
	size_t free_places = 0;

	for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
		struct connection *connection = &admin->connections[i];
		if (connection->stream != NULL && connection_is_over(connection)) {
			bufferevent_decref(connection->stream);
			connection->stream = NULL;
		}
		if (connection->stream == NULL)
			free_places++;
		else if (now_s() - connection->began_s > ADMIN_LIFE_S)
			shutdown(bufferevent_getfd(connection->stream), SHUT_RDWR); /* evhttp sees its end */
	}
	return free_places;
}

static void sweep_in(struct admin *admin, time_t ms)
{
	const struct timeval delay = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(admin->sweep, &delay);
}

static void on_sweep(evutil_socket_t fd, short what, void *ctx)
{
	struct admin *admin = ctx;
	size_t free_places = connections_sweep(admin);

	(void)fd;
	(void)what;
	if (free_places > 0)
		evconnlistener_enable(admin->listener);
	sweep_in(admin, free_places < ADMIN_CONNECTIONS ? SWEEP_MS : IDLE_SWEEP_MS);
}

/* A stream for the connection that evhttp has just accepted; it gives it the descriptor, and closes that itself. */
static struct bufferevent *on_connection(struct event_base *base, void *ctx)
{
	struct admin *admin = ctx;
	struct bufferevent *stream = bufferevent_socket_new(base, -1, 0);
	size_t free_places = connections_sweep(admin), at = 0;

	if (stream == NULL)
		return NULL;
	while (at < ADMIN_CONNECTIONS && admin->connections[at].stream != NULL)
		at++;
	if (at < ADMIN_CONNECTIONS) {
		bufferevent_incref(stream);
		admin->connections[at] = (struct connection){ stream, now_s() };
	}
	if (free_places <= 1) {
		evconnlistener_disable(admin->listener);
		admin->stalls++;
	}
	sweep_in(admin, SWEEP_MS);
	return stream;
}

/* Of all doors: the context that this callback gets is evhttp's. Control thread. */
static uint64_t failed_accepts;

/* Out of descriptors, most likely: the event would be back at once, for ever. The next sweep enables it again. */
static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
	(void)ctx;
	evconnlistener_disable(listener);
	failed_accepts++;
}

struct admin_stalls admin_stalls(const struct admin *admin)
{
	return (struct admin_stalls){ admin->stalls, failed_accepts };
}

/* A listening socket, or -errno. */
static int listen_on(const struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = net_sockaddr(&sa, addr);
	int on = 1, rc;
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	    (sa.ss_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
	    bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int admin_start(struct admin *admin, struct event_base *base, const struct addr *addr)
{
	struct evhttp_bound_socket *bound;

	admin->http = evhttp_new(base);
	admin->sweep = evtimer_new(base, on_sweep, admin);
	if (admin->http == NULL || admin->sweep == NULL)
		return -ENOMEM;
	evhttp_set_timeout(admin->http, TIMEOUT_S);
	evhttp_set_max_headers_size(admin->http, HEADERS_OCTETS);
	evhttp_set_max_body_size(admin->http, BODY_OCTETS);
	evhttp_set_allowed_methods(admin->http, UINT16_MAX); /* or evhttp answers 501 where 405 is meant */
	evhttp_set_gencb(admin->http, on_request, admin);
	evhttp_set_bevcb(admin->http, on_connection, admin);

	int fd = listen_on(addr);
	if (fd < 0)
		return fd;
	bound = evhttp_accept_socket_with_handle(admin->http, fd);
	if (bound == NULL) {
		close(fd);
		return -ENOMEM;
	}
	admin->listener = evhttp_bound_socket_get_listener(bound);
	evconnlistener_set_error_cb(admin->listener, on_accept_error);
	sweep_in(admin, IDLE_SWEEP_MS);
	return 0;
}

int admin_new(struct admin **out, struct event_base *base, const struct addr *addr, const struct admin_source *source)
{
	struct admin *admin = calloc(1, sizeof *admin);
	int rc;

	*out = NULL;
	if (admin == NULL)
		return -ENOMEM;
	admin->source = *source;
	rc = admin_start(admin, base, addr);
	if (rc == 0)
		*out = admin;
	else
		admin_free(admin);
	return rc;
}

void admin_free(struct admin *admin)
{
	if (admin == NULL)
		return;
	if (admin->http != NULL)
		evhttp_free(admin->http);
	if (admin->sweep != NULL)
		event_free(admin->sweep);
	for (size_t i = 0; i < ADMIN_CONNECTIONS; i++)
		if (admin->connections[i].stream != NULL)
			bufferevent_decref(admin->connections[i].stream);
	free(admin);
}

#include "admin/http_pages.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { HOST_OCTETS = 256 };

struct page {
	const char *path;
	const char *type;
	bool for_all; /* whatever Host says: monitors ask by any name, and a browser gets nothing secret there */
	/* Fills `out`; returns the HTTP status. */
	int (*write)(const struct admin_http_source *source, struct evbuffer *out);
};

#define TEXT "text/plain; charset=utf-8"

static int write_root(const struct admin_http_source *source, struct evbuffer *out)
{
	(void)source;
	evbuffer_add_printf(out, "cidlb " CIDLB_VERSION "\n"
				 "/healthz  200 while cidlb runs\n"
				 "/readyz   200 if devices should be led here, else 503 and why not\n"
				 "/metrics  counters and states, Prometheus text format\n");
	return 200;
}

static int write_healthz(const struct admin_http_source *source, struct evbuffer *out)
{
	(void)source;
	evbuffer_add_printf(out, "ok\n");
	return 200;
}

static int write_readyz(const struct admin_http_source *source, struct evbuffer *out)
{
	return source->ready(source->ctx, out) ? 200 : 503;
}

static int write_metrics(const struct admin_http_source *source, struct evbuffer *out)
{
	source->metrics(source->ctx, out);
	return evbuffer_get_length(out) > 0 ? 200 : 503; /* out of memory */
}

static const struct page pages[] = {
	{ "/", TEXT, false, write_root },
	{ "/healthz", TEXT, true, write_healthz },
	{ "/readyz", TEXT, true, write_readyz },
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", true, write_metrics },
};

static const struct {
	int status;
	const char *name, *text;
} statuses[] = {
	{ 200, "OK", "" },
	{ 400, "Bad Request", "not a request of HTTP/1.1\n" },
	{ 403, "Forbidden", "ask by IP address, as localhost, or by a name in admin.hosts\n" },
	{ 404, "Not Found", "no such page; / lists them\n" },
	{ 405, "Method Not Allowed", "this door is read-only\n" },
	{ 413, "Content Too Large", "no page takes a body\n" },
	{ 431, "Request Header Fields Too Large", "too many headers\n" },
	{ 501, "Not Implemented", "no page takes a body\n" },
	{ 503, "Service Unavailable", "" },
	{ 505, "HTTP Version Not Supported", "HTTP/1.0 and HTTP/1.1 are served\n" },
};

/* Splits "HOST" or "HOST:PORT", with IPv6 in brackets, and writes HOST. False: it is neither. */
static bool host_split(const struct http_text *host, char name[static HOST_OCTETS], bool *bracket)
{
	char text[HOST_OCTETS];

	if (!host->at || host->len == 0 || host->len >= sizeof text || memchr(host->at, '\0', host->len))
		return false;
	memcpy(text, host->at, host->len);
	text[host->len] = '\0';
	*bracket = text[0] == '[';
	const char *start = text + *bracket;
	const size_t len = strcspn(start, *bracket ? "]" : ":");
	const char *rest = start + len;
	if (*bracket && *rest++ != ']')
		return false;
	if (*rest != '\0' && (*rest != ':' || rest[1 + strspn(rest + 1, "0123456789")] != '\0'))
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	return true;
}

/* An IP literal or localhost, which no name server can point elsewhere, or a name that the configuration has. */
static bool host_is_ours(const struct admin_http_source *source, const struct http_text *host)
{
	char name[HOST_OCTETS];
	bool bracket;
	struct addr ip;

	if (!host_split(host, name, &bracket))
		return false;
	if (addr_parse_ip(&ip, name) == 0)
		return addr_is_v4(&ip) == !bracket;
	return !bracket && (strcasecmp(name, "localhost") == 0 || source->is_host(source->ctx, name));
}

/* A foreign page in a browser must reach nothing here, neither by DNS rebinding nor by a cross-origin request. */
static bool request_is_ours(const struct admin_http_source *source, const struct http_request *request)
{
	static const char scheme[] = "http://";
	const size_t skip = sizeof scheme - 1;
	const struct http_text *host = &request->host, *origin = &request->origin;

	if (!host_is_ours(source, host))
		return false;
	return !origin->at || (origin->len == skip + host->len && strncasecmp(origin->at, scheme, skip) == 0 &&
			       strncasecmp(origin->at + skip, host->at, host->len) == 0);
}

static const struct page *find_page(const struct http_text *path)
{
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
		if (path->len == strlen(pages[i].path) && memcmp(path->at, pages[i].path, path->len) == 0)
			return &pages[i];
	return NULL;
}

/* Adds head and body. `body` NULL: the text of the status. */
static int answer_add(struct evbuffer *out, int status, const char *type, struct evbuffer *body, bool with_body)
{
	size_t at = 0, len;

	while (statuses[at].status != status)
		at++;
	len = body ? evbuffer_get_length(body) : strlen(statuses[at].text);
	/* No connection outlives its answer. */
	if (evbuffer_add_printf(out,
				"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
				"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
				"Connection: close\r\n\r\n",
				status, statuses[at].name, type, len, status == 405 ? "Allow: GET, HEAD\r\n" : "") < 0)
		return -ENOMEM;
	if (!with_body)
		return 0;
	if (body)
		return evbuffer_add_buffer(out, body) < 0 ? -ENOMEM : 0;
	return evbuffer_add(out, statuses[at].text, len) < 0 ? -ENOMEM : 0;
}

int http_pages_refuse(struct evbuffer *out, int status)
{
	return answer_add(out, status, TEXT, NULL, true);
}

int http_pages_answer(struct evbuffer *out, const struct admin_http_source *source, const struct http_request *request)
{
	const struct page *page = find_page(&request->path);
	const bool with_body = request->method != HTTP_HEAD;
	struct evbuffer *body;
	int status = 0, err;

	if (!(page && page->for_all) && !request_is_ours(source, request))
		status = 403;
	else if (request->method == HTTP_OTHER)
		status = 405;
	else if (!page)
		status = 404;
	if (status)
		return answer_add(out, status, TEXT, NULL, with_body);
	body = evbuffer_new();
	if (!body)
		return -ENOMEM;
	status = page->write(source, body);
	err = answer_add(out, status, page->type, body, with_body);
	evbuffer_free(body);
	return err;
}

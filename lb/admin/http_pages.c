#include "admin/http_pages.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "web/pages.h"

enum { HOST_OCTETS = 256 };

struct page {
	const char *path;
	const char *type;
	bool for_all; /* whatever Host says: monitors ask by any name, and a browser gets nothing secret there */
	/* Fills `out`; returns the HTTP status. */
	int (*write)(const struct admin_http_source *source, struct evbuffer *out);
};

#define TEXT "text/plain; charset=utf-8"

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

static int write_status(const struct admin_http_source *source, struct evbuffer *out)
{
	source->status(source->ctx, out);
	return evbuffer_get_length(out) > 0 ? 200 : 503; /* out of memory */
}

static const struct page pages[] = {
	{ "/status.json", "application/json", false, write_status },
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
	{ 404, "Not Found", "no such page; there are /, /healthz, /readyz, /metrics and /status.json\n" },
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

static bool path_is(const struct http_text *text, const char *path)
{
	return text->len == strlen(path) && memcmp(text->at, path, text->len) == 0;
}

static const struct page *find_page(const struct http_text *path)
{
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
		if (path_is(path, pages[i].path))
			return &pages[i];
	return NULL;
}

static const struct web_file *find_file(const struct http_text *path)
{
	for (size_t i = 0; i < WEB_FILES; i++)
		if (path_is(path, web_files[i].path))
			return &web_files[i];
	return NULL;
}

struct answer {
	int status;
	const char *type;
	struct evbuffer *body; /* NULL: the text of the status */
	bool with_body;
	bool for_browsers;
};

/* A browser loads for the dashboard nothing from elsewhere, runs nothing that stands in a page, and lets nobody frame
 * it. */
#define BROWSERS                                                                                                       \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "           \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"                          \
	"X-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n"       \
	"Cross-Origin-Opener-Policy: same-origin\r\n"

/* Adds head and body. */
static int answer_add(struct evbuffer *out, const struct answer *answer)
{
	size_t at = 0, len;

	while (statuses[at].status != answer->status)
		at++;
	len = answer->body ? evbuffer_get_length(answer->body) : strlen(statuses[at].text);
	/* No connection outlives its answer. */
	if (evbuffer_add_printf(out,
				"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s"
				"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
				"Connection: close\r\n\r\n",
				answer->status, statuses[at].name, answer->type, len,
				answer->status == 405 ? "Allow: GET, HEAD\r\n" : "",
				answer->for_browsers ? BROWSERS : "") < 0)
		return -ENOMEM;
	if (!answer->with_body)
		return 0;
	if (answer->body)
		return evbuffer_add_buffer(out, answer->body) < 0 ? -ENOMEM : 0;
	return evbuffer_add(out, statuses[at].text, len) < 0 ? -ENOMEM : 0;
}

int http_pages_refuse(struct evbuffer *out, int status)
{
	return answer_add(out, &(struct answer){ .status = status, .type = TEXT, .with_body = true });
}

/* Fills in what a page or a file says. 0, or -ENOMEM. */
static int body_fill(struct answer *answer, const struct admin_http_source *source, const struct page *page,
		     const struct web_file *file)
{
	answer->status = 200;
	if (page)
		answer->status = page->write(source, answer->body);
	else if (evbuffer_add_reference(answer->body, file->octets, file->len, NULL, NULL))
		return -ENOMEM;
	answer->type = page ? page->type : file->type;
	answer->for_browsers = !page || !page->for_all;
	return 0;
}

int http_pages_answer(struct evbuffer *out, const struct admin_http_source *source, const struct http_request *request)
{
	const struct page *page = find_page(&request->path);
	const struct web_file *file = find_file(&request->path);
	struct answer answer = { .type = TEXT, .with_body = request->method != HTTP_HEAD };
	int err;

	if (!(page && page->for_all) && !request_is_ours(source, request))
		answer.status = 403;
	else if (request->method == HTTP_OTHER)
		answer.status = 405;
	else if (!page && !file)
		answer.status = 404;
	if (answer.status)
		return answer_add(out, &answer);
	answer.body = evbuffer_new();
	if (!answer.body)
		return -ENOMEM;
	err = body_fill(&answer, source, page, file);
	if (!err)
		err = answer_add(out, &answer);
	evbuffer_free(answer.body);
	return err;
}

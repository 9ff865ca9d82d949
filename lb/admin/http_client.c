#include "admin/http_client.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/http_pages.h"
#include "base/clock.h"

enum {
	LINGER_MS = 1000,       /* for what a client still sends: unread, it would take the answer from it */
	DRAIN_READS = 8,        /* of what a client still sends, at a time; each of HTTP_HEAD_OCTETS at most */
	PAUSE_MS = 20,          /* between them: whoever sends without end shall not keep this thread busy */
	OWED_OCTETS = 16 << 20, /* all answers that are not read yet; beyond, the slowest reader ends */
};

void http_client_end(struct http_client *client)
{
	event_free(client->event);
	evbuffer_free(client->out);
	close(client->fd);
	client->phase = HTTP_FREE;
	http_spare_take(client->admin);
}

/* Waits for what this phase needs, until its time is over. Ends the client if that cannot be. */
static void client_wait(struct http_client *client)
{
	const uint64_t now_ms = clock_ms(), rest = client->until_ms > now_ms ? client->until_ms - now_ms : 0,
		       left = client->phase == HTTP_PAUSE && rest > PAUSE_MS ? PAUSE_MS : rest;
	const struct timeval timeout = { (time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000) };
	const short what = client->phase == HTTP_PAUSE ? 0 : client->phase == HTTP_ANSWER ? EV_WRITE : EV_READ;

	if (event_del(client->event) < 0 ||
	    event_assign(client->event, client->admin->base, client->fd, what, event_get_callback(client->event),
			 client) < 0 ||
	    event_add(client->event, &timeout) < 0)
		http_client_end(client);
}

static void phase_begin(struct http_client *client, enum http_phase phase, uint64_t ms)
{
	client->phase = phase;
	client->moved_ms = clock_ms();
	client->until_ms = client->moved_ms + ms;
}

/* The one of these phases that has been idle longest, besides `but`, or NULL. */
static struct http_client *idlest(struct admin_http *admin, enum http_phase from, const struct http_client *but)
{
	struct http_client *found = NULL;

	for (size_t i = 0; i < ADMIN_HTTP_CLIENTS; i++) {
		struct http_client *client = &admin->clients[i];

		if (client != but && client->phase >= from && (!found || client->moved_ms < found->moved_ms))
			found = client;
	}
	return found;
}

/* Reads and forgets until the other side has closed, a little at a time. */
static void client_drain(struct http_client *client)
{
	ssize_t n = 1;
	int reads = 0;

	while (n > 0 && reads < DRAIN_READS) {
		n = recv(client->fd, client->head, sizeof client->head, 0);
		reads += n > 0;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		http_client_end(client);
		return;
	}
	client->phase = reads > 0 ? HTTP_PAUSE : HTTP_END;
	client_wait(client);
}

static void client_write(struct http_client *client)
{
	while (evbuffer_get_length(client->out) > 0) {
		const int n = evbuffer_write(client->out, client->fd);

		if (n <= 0 && errno != EAGAIN && errno != EINTR) {
			http_client_end(client);
			return;
		}
		if (n <= 0) {
			client_wait(client);
			return;
		}
		client->moved_ms = clock_ms();
	}
	(void)shutdown(client->fd, SHUT_WR);
	phase_begin(client, HTTP_END, LINGER_MS);
	client_drain(client);
}

static size_t octets_owed(const struct admin_http *admin)
{
	size_t owed = 0;

	for (size_t i = 0; i < ADMIN_HTTP_CLIENTS; i++)
		if (admin->clients[i].phase == HTTP_ANSWER)
			owed += evbuffer_get_length(admin->clients[i].out);
	return owed;
}

/* `status`: 0, or that which refuses the head. */
static void client_answer(struct http_client *client, size_t head_len, int status)
{
	struct http_request request;
	struct http_client *slow;
	int err;

	if (!status)
		status = http_request_read(&request, client->head, head_len);
	err = status ? http_pages_refuse(client->out, status)
		     : http_pages_answer(client->out, &client->admin->source, &request);
	if (err) {
		http_client_end(client);
		return;
	}
	phase_begin(client, HTTP_ANSWER, ADMIN_HTTP_ANSWER_MS);
	while (octets_owed(client->admin) > OWED_OCTETS && (slow = idlest(client->admin, HTTP_ANSWER, client)))
		http_client_end(slow);
	client_write(client);
}

static void client_read(struct http_client *client)
{
	for (;;) {
		const size_t room = sizeof client->head - client->len;
		const ssize_t n = recv(client->fd, client->head + client->len, room, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			client_wait(client);
			return;
		}
		if (n <= 0) {
			http_client_end(client);
			return;
		}
		client->len += (size_t)n;
		client->moved_ms = clock_ms();
		const size_t head_len = http_head_len(client->head, client->len);
		if (head_len > 0 || client->len == sizeof client->head) {
			client_answer(client, head_len, head_len > 0 ? 0 : 431);
			return;
		}
	}
}

static void on_client(evutil_socket_t fd, short what, void *ctx)
{
	struct http_client *client = ctx;
	struct admin_http *admin = client->admin;

	(void)fd;
	if (client->phase == HTTP_PAUSE && clock_ms() < client->until_ms)
		client_drain(client);
	else if (what & EV_TIMEOUT)
		http_client_end(client);
	else if (client->phase == HTTP_REQUEST)
		client_read(client);
	else if (client->phase == HTTP_ANSWER)
		client_write(client);
	else
		client_drain(client);
	http_served(admin);
}

void http_client_begin(struct http_client *client, int fd)
{
	client->fd = fd;
	client->len = 0;
	client->event = event_new(client->admin->base, fd, EV_READ, on_client, client);
	client->out = evbuffer_new();
	if (!client->event || !client->out) {
		if (client->event)
			event_free(client->event);
		if (client->out)
			evbuffer_free(client->out);
		close(fd);
		return;
	}
	phase_begin(client, HTTP_REQUEST, ADMIN_HTTP_REQUEST_MS);
	client->begun_ms = client->moved_ms;
	client_read(client);
}

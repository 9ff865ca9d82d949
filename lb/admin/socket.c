#include "admin/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "admin/socket_file.h"
#include "base/clock.h"

_Static_assert(LIBEVENT_VERSION_NUMBER >= ADMIN_SOCKET_LIBEVENT, "libevent 2.1.10");

struct admin_client {
	struct admin_socket *door;
	struct bufferevent *stream; /* NULL: the slot is free */
	bool last;                  /* nothing more is read; it ends once its answer has left */
	uint64_t begun_ms;
	int64_t asked_s;         /* when its last line was answered, or else when it came */
	void (*gone)(void *ctx); /* set while it gets a stream */
	void *gone_ctx;
};

struct admin_socket {
	struct sockaddr_un name;
	struct stat file; /* the file that was made at `name` */
	struct evconnlistener *listener;
	struct event *retry; /* accepts again after a failure, or when there may be room */
	struct event *look;  /* at clients that take too long */
	int spare;           /* a descriptor that is given up to let somebody in; -1: it is */
	struct admin_client clients[ADMIN_SOCKET_CLIENTS];
	struct admin_socket_source source;
};

enum { GRACE_MS = 20 /* that everybody has to send a line, however many come */, RETRY_MS = 1000 };

static const struct timeval idle = { .tv_sec = ADMIN_SOCKET_IDLE_S };

static void spare_take(struct admin_socket *door)
{
	if (door->spare < 0)
		door->spare = fcntl(evconnlistener_get_fd(door->listener), F_DUPFD_CLOEXEC, 0);
}

static void client_end(struct admin_client *client)
{
	if (client->gone)
		client->gone(client->gone_ctx);
	client->gone = NULL;
	bufferevent_free(client->stream);
	client->stream = NULL;
	spare_take(client->door);
}

void admin_socket_stream_begin(struct admin_client *client, void (*gone)(void *ctx), void *ctx)
{
	client->gone = gone;
	client->gone_ctx = ctx;
	bufferevent_set_timeouts(client->stream, NULL, &idle);
}

bool admin_socket_stream_line(struct admin_client *client, const char *line)
{
	return evbuffer_add_printf(bufferevent_get_output(client->stream), "%s\n", line) >= 0;
}

size_t admin_socket_stream_owed(const struct admin_client *client)
{
	return evbuffer_get_length(bufferevent_get_output(client->stream));
}

void admin_socket_stream_end(struct admin_client *client)
{
	client->gone = NULL;
	bufferevent_set_timeouts(client->stream, &idle, &idle);
}

static bool client_owed(const struct admin_client *client)
{
	return admin_socket_stream_owed(client) > 0;
}

/* False: out of memory. */
static bool client_answer(struct admin_client *client, const char *line)
{
	char *answer = client->door->source.answer(client->door->source.ctx, client, line);
	bool ok = answer && admin_socket_stream_line(client, answer);

	client->asked_s = clock_s();
	free(answer);
	return ok;
}

/* Refuses a line that is too long. False: out of memory. */
static bool client_refuse(struct admin_client *client)
{
	struct evbuffer *in = bufferevent_get_input(client->stream);

	client->last = true;
	evbuffer_drain(in, evbuffer_get_length(in));
	return bufferevent_disable(client->stream, EV_READ) == 0 &&
	       evbuffer_add_printf(bufferevent_get_output(client->stream),
				   "{\"ok\":false,\"error\":\"a line has at most %d octets\"}\n",
				   ADMIN_SOCKET_LINE_OCTETS) >= 0;
}

/* Takes the next line only once the last answer has left. So a client that does not read makes nothing grow. */
static void client_serve(struct admin_client *client)
{
	struct evbuffer *in = bufferevent_get_input(client->stream);
	bool ok = true;
	char *line;

	while (ok && !client_owed(client) && (line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF))) {
		ok = client_answer(client, line);
		free(line);
	}
	if (ok && !client_owed(client) && evbuffer_get_length(in) > ADMIN_SOCKET_LINE_OCTETS)
		ok = client_refuse(client);
	if (!ok || (client->last && !client_owed(client)))
		client_end(client);
}

static void on_ready(struct bufferevent *stream, void *ctx)
{
	const struct admin_client *client = ctx;
	struct evbuffer *in = bufferevent_get_input(stream);

	if (client->gone)
		evbuffer_drain(in, evbuffer_get_length(in));
	else
		client_serve(ctx);
}

static void on_event(struct bufferevent *stream, short what, void *ctx)
{
	struct admin_client *client = ctx;

	(void)stream;
	if (what & BEV_EVENT_EOF && !client->gone) {
		client->last = true;
		client_serve(client);
	} else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) {
		client_end(client);
	}
}

/* A line that has begun and does not end, or an answer that is not read to its end. Each octet starts libevent's
 * timeout anew, so that alone would let a client take for ever. */
static bool client_is_late(const struct admin_client *client)
{
	const struct evbuffer *in = bufferevent_get_input(client->stream);

	return !client->gone && (client_owed(client) || evbuffer_get_length(in) > 0) &&
	       clock_s() - client->asked_s > ADMIN_SOCKET_IDLE_S;
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
	struct admin_socket *door = ctx;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < ADMIN_SOCKET_CLIENTS; i++)
		if (door->clients[i].stream && client_is_late(&door->clients[i]))
			client_end(&door->clients[i]);
}

/* How long it still has to ask something, in milliseconds. */
static uint64_t client_grace_ms(const struct admin_client *client)
{
	const uint64_t age_ms = clock_ms() - client->begun_ms;

	return age_ms < GRACE_MS ? GRACE_MS - age_ms : 0;
}

/* Which of two goes first. */
static bool client_is_idler(const struct admin_client *a, const struct admin_client *b)
{
	const bool a_is_new = client_grace_ms(a) > 0, b_is_new = client_grace_ms(b) > 0;

	if (!a->gone != !b->gone)
		return !a->gone;
	if (a_is_new != b_is_new)
		return b_is_new;
	return a->asked_s < b->asked_s;
}

static struct admin_client *client_idlest(struct admin_socket *door)
{
	struct admin_client *found = NULL;

	for (size_t i = 0; i < ADMIN_SOCKET_CLIENTS; i++) {
		struct admin_client *client = &door->clients[i];

		if (client->stream && (!found || client_is_idler(client, found)))
			found = client;
	}
	return found;
}

static struct admin_client *client_free_slot(struct admin_socket *door)
{
	for (size_t i = 0; i < ADMIN_SOCKET_CLIENTS; i++)
		if (!door->clients[i].stream)
			return &door->clients[i];
	return NULL;
}

static void accept_later(struct admin_socket *door, uint64_t ms)
{
	const struct timeval later = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	evconnlistener_disable(door->listener);
	event_add(door->retry, &later);
}

/* Many may come at once. Nobody else is let in while that would end one who has had no time to ask. */
static void room_wait(struct admin_socket *door)
{
	const struct admin_client *next = client_free_slot(door) ? NULL : client_idlest(door);
	const uint64_t wait_ms = next && !next->gone ? client_grace_ms(next) : 0;

	if (wait_ms)
		accept_later(door, wait_ms);
}

/* Owns the descriptor. */
static void client_begin(struct admin_socket *door, int fd)
{
	struct admin_client *client = client_free_slot(door);
	struct bufferevent *stream =
		bufferevent_socket_new(evconnlistener_get_base(door->listener), fd, BEV_OPT_CLOSE_ON_FREE);

	if (!stream) {
		close(fd);
		return;
	}
	if (!client) {
		client = client_idlest(door);
		client_end(client);
	}
	*client = (struct admin_client){ .door = door, .stream = stream, .begun_ms = clock_ms(), .asked_s = clock_s() };
	bufferevent_setcb(stream, on_ready, on_ready, on_event, client);
	bufferevent_setwatermark(stream, EV_READ, 0, ADMIN_SOCKET_LINE_OCTETS + 1);
	bufferevent_set_timeouts(stream, &idle, &idle);
	if (bufferevent_enable(stream, EV_READ | EV_WRITE) < 0)
		client_end(client);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int octets, void *ctx)
{
	(void)listener;
	(void)from;
	(void)octets;
	client_begin(ctx, fd);
	room_wait(ctx);
}

/* Most likely there are no descriptors left, so the one in reserve goes, or a client makes room. Else the event would
 * be back at once, for ever. */
static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
	struct admin_socket *door = ctx;
	struct admin_client *client = client_idlest(door);
	int fd;

	if (door->spare < 0 && client)
		client_end(client);
	if (door->spare >= 0) {
		close(door->spare);
		door->spare = -1;
	}
	/* At once, because the other door may wait for one as well. */
	fd = accept4(evconnlistener_get_fd(listener), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		client_begin(door, fd);
		return;
	}
	if (errno == EAGAIN)
		return;
	accept_later(door, RETRY_MS);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct admin_socket *door = ctx;

	(void)fd;
	(void)what;
	spare_take(door);
	evconnlistener_enable(door->listener);
}

static int door_start(struct admin_socket *door, struct event_base *base, const struct admin_socket_path *path)
{
	static const struct timeval look = { .tv_sec = 1 };
	const int fd = socket_file_make(&door->name, path, &door->file);

	if (fd < 0)
		return fd;
	door->retry = evtimer_new(base, on_retry, door);
	door->look = event_new(base, -1, EV_PERSIST, on_look, door);
	door->listener =
		door->retry && door->look && event_add(door->look, &look) == 0
			? evconnlistener_new(base, on_accept, door, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
					     ADMIN_SOCKET_CLIENTS, fd)
			: NULL;
	if (!door->listener) {
		close(fd);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(door->listener, on_accept_error);
	spare_take(door);
	return 0;
}

int admin_socket_open(struct admin_socket **out, struct event_base *base, const struct admin_socket_path *path,
		      const struct admin_socket_source *source)
{
	struct admin_socket *door = calloc(1, sizeof *door);
	int err;

	*out = NULL;
	if (!door)
		return -ENOMEM;
	door->name.sun_family = AF_UNIX;
	door->spare = -1;
	door->source = *source;
	if (path->name[0] != '/' || strlen(path->name) >= sizeof door->name.sun_path) {
		free(door);
		return -EINVAL;
	}
	strcpy(door->name.sun_path, path->name);
	err = door_start(door, base, path);
	if (err)
		admin_socket_close(door);
	else
		*out = door;
	return err;
}

void admin_socket_close(struct admin_socket *door)
{
	if (!door)
		return;
	for (size_t i = 0; i < ADMIN_SOCKET_CLIENTS; i++)
		if (door->clients[i].stream)
			client_end(&door->clients[i]);
	if (door->spare >= 0)
		close(door->spare);
	if (door->listener)
		evconnlistener_free(door->listener);
	if (door->retry)
		event_free(door->retry);
	if (door->look)
		event_free(door->look);
	socket_file_remove(&door->name, &door->file);
	free(door);
}

#include "admin/socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

_Static_assert(LIBEVENT_VERSION_NUMBER >= ADMIN_SOCKET_LIBEVENT, "libevent 2.1.10");

struct admin_client {
	struct admin_socket *door;
	struct bufferevent *stream; /* NULL: the slot is free */
	bool last;                  /* nothing more is read; it ends once its answer has left */
	void (*gone)(void *ctx);    /* set while it gets a stream */
	void *gone_ctx;
};

struct admin_socket {
	struct sockaddr_un name;
	struct stat file; /* the file that was made at `name` */
	struct evconnlistener *listener;
	struct event *retry; /* accepts again after a failure */
	struct admin_client clients[ADMIN_SOCKET_CLIENTS];
	struct admin_socket_source source;
};

static const struct timeval idle = { .tv_sec = ADMIN_SOCKET_IDLE_S };

static void client_end(struct admin_client *client)
{
	if (client->gone)
		client->gone(client->gone_ctx);
	client->gone = NULL;
	bufferevent_free(client->stream);
	client->stream = NULL;
	evconnlistener_enable(client->door->listener);
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

static struct admin_client *client_free_slot(struct admin_socket *door)
{
	for (size_t i = 0; i < ADMIN_SOCKET_CLIENTS; i++)
		if (!door->clients[i].stream)
			return &door->clients[i];
	return NULL;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int octets, void *ctx)
{
	struct admin_socket *door = ctx;
	struct admin_client *client = client_free_slot(door);
	struct bufferevent *stream =
		bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);

	(void)from;
	(void)octets;
	if (!stream) {
		close(fd);
		return;
	}
	*client = (struct admin_client){ .door = door, .stream = stream };
	bufferevent_setcb(stream, on_ready, on_ready, on_event, client);
	bufferevent_setwatermark(stream, EV_READ, 0, ADMIN_SOCKET_LINE_OCTETS + 1);
	bufferevent_set_timeouts(stream, &idle, &idle);
	if (bufferevent_enable(stream, EV_READ | EV_WRITE) < 0)
		client_end(client);
	else if (!client_free_slot(door))
		evconnlistener_disable(listener);
}

/* Most likely there are no descriptors left. The event would be back at once, for ever. */
static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
	static const struct timeval later = { .tv_sec = 1 };
	struct admin_socket *door = ctx;

	evconnlistener_disable(listener);
	event_add(door->retry, &later);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct admin_socket *door = ctx;

	(void)fd;
	(void)what;
	if (client_free_slot(door))
		evconnlistener_enable(door->listener);
}

static int directory_make(const struct admin_socket_path *path)
{
	char directory[sizeof((struct sockaddr_un *)NULL)->sun_path];

	strcpy(directory, path->name);
	*strrchr(directory, '/') = '\0';
	if (!*directory)
		return 0;
	if (mkdir(directory, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	return geteuid() == 0 && lchown(directory, path->uid, path->gid) < 0 ? -errno : 0;
}

/* Removes the socket of a dead process. 0: nothing is at the name. Else -errno: why something is. */
static int name_clear(const struct sockaddr_un *name)
{
	struct stat file;
	int fd, err;

	if (lstat(name->sun_path, &file) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(file.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)name, sizeof *name) < 0 ? -errno : 0;
	close(fd);
	if (err != -ECONNREFUSED)
		return err == 0 || err == -EAGAIN ? -EADDRINUSE : err;
	return unlink(name->sun_path) < 0 ? -errno : 0;
}

/* A bound descriptor, or -errno. */
static int socket_make(struct admin_socket *door, const struct admin_socket_path *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0;
	mode_t mask;

	if (fd < 0)
		return -errno;
	mask = umask(0117);
	if (bind(fd, (struct sockaddr *)&door->name, sizeof door->name) < 0)
		err = -errno;
	umask(mask);
	if (!err && (lstat(door->name.sun_path, &door->file) < 0 ||
		     (geteuid() == 0 && lchown(door->name.sun_path, path->uid, path->gid) < 0)))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

static int door_start(struct admin_socket *door, struct event_base *base, const struct admin_socket_path *path)
{
	int err = directory_make(path), fd;

	if (!err)
		err = name_clear(&door->name);
	fd = err ? err : socket_make(door, path);
	if (fd < 0)
		return fd;
	door->retry = evtimer_new(base, on_retry, door);
	door->listener =
		door->retry ? evconnlistener_new(base, on_accept, door, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
						 ADMIN_SOCKET_CLIENTS, fd)
			    : NULL;
	if (!door->listener) {
		close(fd);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(door->listener, on_accept_error);
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
	struct stat now;

	if (!door)
		return;
	for (size_t i = 0; i < ADMIN_SOCKET_CLIENTS; i++)
		if (door->clients[i].stream)
			client_end(&door->clients[i]);
	if (door->listener)
		evconnlistener_free(door->listener);
	if (door->retry)
		event_free(door->retry);
	if (door->file.st_ino && lstat(door->name.sun_path, &now) == 0 && now.st_ino == door->file.st_ino &&
	    now.st_dev == door->file.st_dev)
		unlink(door->name.sun_path);
	free(door);
}

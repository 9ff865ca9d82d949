#include "admin/http_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sockaddr.h"

enum {
	BACKLOG = 4096, /* whoever waits there has sent its request by the time it is let in */
	ACCEPTS = 32,   /* in one turn of the event loop */
	GRACE_MS = 20,  /* that everybody has to send a request, however many come */
	RETRY_MS = 100, /* after a connection could not be accepted */
};

static uint64_t failed_accepts;

uint64_t admin_http_stalls(void)
{
	return failed_accepts;
}

void http_spare_take(struct admin_http *admin)
{
	if (admin->spare < 0)
		admin->spare = fcntl(admin->fd, F_DUPFD_CLOEXEC, 0);
}

void http_served(struct admin_http *admin)
{
	if (admin->source.served)
		admin->source.served(admin->source.ctx);
}

static struct http_client *free_slot(struct admin_http *admin)
{
	for (size_t i = 0; i < ADMIN_HTTP_CLIENTS; i++)
		if (admin->clients[i].phase == HTTP_FREE)
			return &admin->clients[i];
	return NULL;
}

/* Ends the one that has been idle longest, of those who had their grace. 0: it has, or there is nobody. Else it is
 * milliseconds until somebody had it. */
static uint64_t make_room(struct admin_http *admin)
{
	const uint64_t now_ms = clock_ms();
	struct http_client *found = NULL;
	uint64_t wait_ms = 0;

	for (size_t i = 0; i < ADMIN_HTTP_CLIENTS; i++) {
		struct http_client *client = &admin->clients[i];
		const uint64_t age_ms = now_ms - client->begun_ms;

		if (client->phase == HTTP_FREE)
			continue;
		if (age_ms < GRACE_MS)
			wait_ms = wait_ms && wait_ms < GRACE_MS - age_ms ? wait_ms : GRACE_MS - age_ms;
		else if (!found || client->moved_ms < found->moved_ms)
			found = client;
	}
	if (!found)
		return wait_ms;
	http_client_end(found);
	return 0;
}

static void accept_later(struct admin_http *admin, uint64_t ms)
{
	const struct timeval later = { 0, (suseconds_t)ms * 1000 };

	event_del(admin->listen);
	event_add(admin->retry, &later);
}

/* The event would be back at once, for ever. */
static void accept_failed(struct admin_http *admin)
{
	failed_accepts++;
	accept_later(admin, RETRY_MS);
}

/* There is no descriptor. False: nothing more is accepted for now. */
static bool descriptor_free(struct admin_http *admin)
{
	uint64_t wait_ms;

	if (admin->spare >= 0) {
		close(admin->spare);
		admin->spare = -1;
		return true;
	}
	wait_ms = make_room(admin);
	if (wait_ms > 0)
		accept_later(admin, wait_ms);
	else if (admin->spare < 0) /* nobody was there to end */
		accept_failed(admin);
	return admin->spare >= 0;
}

static void on_listen(evutil_socket_t fd, short what, void *ctx)
{
	struct admin_http *admin = ctx;

	(void)what;
	for (int i = 0; i < ACCEPTS; i++) {
		const uint64_t wait_ms = free_slot(admin) ? 0 : make_room(admin);

		if (wait_ms > 0) {
			accept_later(admin, wait_ms);
			return;
		}
		const int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client >= 0) {
			http_client_begin(free_slot(admin), client);
			http_served(admin);
		} else if (errno == EMFILE || errno == ENFILE) {
			if (!descriptor_free(admin))
				return;
		} else if (errno == EAGAIN) {
			return;
		} else if (errno == ENOBUFS || errno == ENOMEM) {
			accept_failed(admin);
			return;
		}
	}
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct admin_http *admin = ctx;

	(void)fd;
	(void)what;
	http_spare_take(admin);
	if (event_add(admin->listen, NULL) < 0)
		accept_failed(admin);
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

static int admin_start(struct admin_http *admin, const struct addr *addr)
{
	admin->fd = listen_on(addr);
	if (admin->fd < 0)
		return admin->fd;
	admin->listen = event_new(admin->base, admin->fd, EV_READ | EV_PERSIST, on_listen, admin);
	admin->retry = evtimer_new(admin->base, on_retry, admin);
	if (!admin->listen || !admin->retry)
		return -ENOMEM;
	http_spare_take(admin);
	return event_add(admin->listen, NULL) < 0 ? -ENOMEM : 0;
}

int admin_http_new(struct admin_http **out, struct event_base *base, const struct addr *addr,
		   const struct admin_http_source *source)
{
	struct admin_http *admin = calloc(1, sizeof *admin);
	int err;

	*out = NULL;
	if (!admin)
		return -ENOMEM;
	admin->base = base;
	admin->source = *source;
	admin->fd = admin->spare = -1;
	for (size_t i = 0; i < ADMIN_HTTP_CLIENTS; i++)
		admin->clients[i].admin = admin;
	err = admin_start(admin, addr);
	if (!err)
		*out = admin;
	else
		admin_http_free(admin);
	return err;
}

/* A socket that listens at one address of a port keeps all others from all addresses, whatever was set. Shut down, it
 * keeps its address, and can listen again. */
void admin_http_yield(struct admin_http *admin)
{
	on_listen(admin->fd, EV_READ, admin);
	event_del(admin->listen);
	shutdown(admin->fd, SHUT_RD);
}

int admin_http_resume(struct admin_http *admin)
{
	if (listen(admin->fd, BACKLOG) < 0)
		return -errno;
	return event_add(admin->listen, NULL) < 0 ? -ENOMEM : 0;
}

void admin_http_free(struct admin_http *admin)
{
	if (!admin)
		return;
	for (size_t i = 0; i < ADMIN_HTTP_CLIENTS; i++)
		if (admin->clients[i].phase != HTTP_FREE)
			http_client_end(&admin->clients[i]);
	if (admin->listen)
		event_free(admin->listen);
	if (admin->retry)
		event_free(admin->retry);
	if (admin->spare >= 0)
		close(admin->spare);
	if (admin->fd >= 0)
		close(admin->fd);
	free(admin);
}

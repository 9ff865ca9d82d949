/* The sockets that a worker is given, and those that are taken away. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "io/port_opener.h"
#include "io/socket.h"
#include "path/worker_priv.h"

int worker_watch(struct worker *worker, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = { .events = events, .data.u64 = tag };

	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void drops_begin(struct worker *worker, int fd)
{
	if (fd < WORKER_COUNTED)
		atomic_store_explicit(&worker->drops_seen[fd], socket_kernel_drops(fd), memory_order_relaxed);
}

/* The kernel reports errors of a socket even if they were not asked for, and it does so at each wait. EPOLLONESHOT lets
 * one report through, which nobody serves. Then the socket is silent until it is given. */
int worker_admit(struct worker *worker, int fd)
{
	return worker_watch(worker, fd, EPOLLONESHOT, tag_make(TAG_NOT_GIVEN, 0));
}

/* close() would not do: a tunnel's socket may have another descriptor, or be closed only later. */
void worker_dismiss(struct worker *worker, int fd)
{
	(void)epoll_ctl(worker->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static int descriptor_set(struct worker *worker, _Atomic int *slot, int fd, uint64_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };
	int old = atomic_exchange_explicit(slot, fd, memory_order_acq_rel);

	if (old >= 0)
		worker_dismiss(worker, old);
	if (fd >= 0) {
		drops_begin(worker, fd);
		/* This cannot fail: for an admitted socket it needs no memory. */
		(void)epoll_ctl(worker->epoll, EPOLL_CTL_MOD, fd, &event);
	}
	return old;
}

int worker_set_listener(struct worker *worker, uint16_t listener, int fd)
{
	return descriptor_set(worker, &worker->path.listener_handles[listener], fd, tag_make(TAG_LISTENER, listener));
}

int worker_lend_listener(struct worker *worker, uint16_t listener, int fd)
{
	return atomic_exchange_explicit(&worker->path.listener_handles[listener], fd, memory_order_acq_rel);
}

int worker_set_endpoint(struct worker *worker, enum io_family family, uint16_t port, int fd)
{
	enum tag tag = family == IO_V4 ? TAG_ENDPOINT_V4 : TAG_ENDPOINT_V6;

	return descriptor_set(worker, &worker->path.endpoint_handles[family][port], fd, tag_make(tag, port));
}

int worker_set_pool(struct worker *worker, uint16_t pool, int fd)
{
	return descriptor_set(worker, &worker->path.pool_handles[pool], fd, tag_make(TAG_POOL, pool));
}

void worker_lend_bare(struct worker *worker, enum bare which, int fd)
{
	atomic_store_explicit(&worker->path.bare_handles[which], fd, memory_order_release);
}

void worker_lend_cid_cache(struct worker *worker, const struct path_cid_cache *cache)
{
	worker->path.cid_cache = cache;
}

int worker_add_surplus(struct worker *worker, enum worker_end end, uint16_t number, int fd)
{
	static const enum tag tags[] = {
		[WORKER_LISTENER] = TAG_LISTENER,
		[WORKER_ENDPOINT_V4] = TAG_ENDPOINT_V4,
		[WORKER_ENDPOINT_V6] = TAG_ENDPOINT_V6,
		[WORKER_POOL] = TAG_POOL,
	};
	struct worker_surplus *surplus;
	int err;

	if (worker->surplus_count == UINT16_MAX)
		return -ENOSPC;
	surplus = realloc(worker->surplus, (worker->surplus_count + 1U) * sizeof *surplus);
	if (!surplus)
		return -ENOMEM;
	worker->surplus = surplus;
	drops_begin(worker, fd);
	err = worker_watch(worker, fd, EPOLLIN, tag_make(TAG_SURPLUS, worker->surplus_count));
	if (err)
		return err;
	surplus[worker->surplus_count].tag = tag_make(tags[end], number);
	atomic_init(&surplus[worker->surplus_count++].fd, fd);
	return 0;
}

void worker_take_surplus(struct worker *worker, int fd)
{
	for (size_t i = 0; i < worker->surplus_count; i++) {
		if (atomic_load(&worker->surplus[i].fd) != fd)
			continue;
		atomic_store_explicit(&worker->surplus[i].fd, -1, memory_order_release);
		worker_dismiss(worker, fd);
	}
}

int worker_keep_port(struct worker *worker, struct port_sockets *ports, uint16_t port, int fd)
{
	int err;

	drops_begin(worker, fd);
	err = worker_watch(worker, fd, EPOLLIN, tag_make_port(ports, port));
	if (err) {
		close(fd);
		return err;
	}
	return port_sockets_keep(ports, port, fd);
}

int worker_open_port(struct worker *worker, struct port_sockets *ports, uint16_t port)
{
	int fd = port_sockets_get(ports, port);

	if (fd >= 0)
		return fd;
	fd = port_opener_bind(worker->opener, ports, port);
	/* Another worker may be a moment ahead. */
	if (fd < 0)
		return port_sockets_get(ports, port) >= 0 ? port_sockets_get(ports, port) : fd;
	return worker_keep_port(worker, ports, port, fd);
}

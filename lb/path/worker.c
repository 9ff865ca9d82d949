#include "path/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/tsan.h"
#include "io/socket.h"
#include "path/batch.h"
#include "path/errors.h"
#include "path/forward.h"

enum { EVENTS = 64 };

/* What an epoll event is about. The kind is at the top, and a uid or a port at the bottom. A TAG_PORT has the serial
 * number of its ports between them. A tag never holds a descriptor: events are fetched off-line, and when they are
 * served its number may belong to another file. */
enum tag { TAG_WAKE, TAG_LISTENER, TAG_ENDPOINT_V4, TAG_ENDPOINT_V6, TAG_PORT, TAG_POOL, TAG_NOT_GIVEN };

enum { TAG_KIND_SHIFT = 56, TAG_SERIAL_SHIFT = 16 };
_Static_assert((int)TAG_SERIAL_SHIFT + (int)PORT_SOCKETS_SERIAL_BITS <= (int)TAG_KIND_SHIFT,
	       "a tag holds a serial number");

static uint64_t tag_make(enum tag tag, uint16_t number)
{
	return (uint64_t)tag << TAG_KIND_SHIFT | number;
}

static uint64_t tag_make_port(const struct port_sockets *ports, uint16_t port)
{
	return tag_make(TAG_PORT, port) | port_sockets_serial(ports) << TAG_SERIAL_SHIFT;
}

/* The socket that a TAG_PORT is about. -1: a reload has closed it. */
static int tag_port_fd(uint64_t tag, const struct table *table)
{
	const uint64_t serial = (tag >> TAG_SERIAL_SHIFT) & (((uint64_t)1 << PORT_SOCKETS_SERIAL_BITS) - 1);
	const struct port_sockets *ports = table_ports(table, serial);

	return ports ? port_sockets_get(ports, (uint16_t)tag) : -1;
}

uint32_t worker_clock_ms(void)
{
	return (uint32_t)clock_coarse_ms();
}

static size_t receive(struct worker *worker, int fd, struct io_datagram **datagrams, stats_counter *drops)
{
	_Atomic uint32_t none = 0, *seen = fd < WORKER_COUNTED ? &worker->drops_seen[fd] : &none;
	uint32_t before = atomic_load_explicit(seen, memory_order_relaxed), now = before;
	struct io *io = worker->path.io;
	size_t count = io->ops->receive(io, fd, datagrams, &now);

	if (now != before && seen != &none) {
		stats_add(drops, now - before);
		atomic_store_explicit(seen, now, memory_order_relaxed);
	}
	return count;
}

static void uplink_batch(struct worker *worker, const struct table *table, uint16_t listener, int fd)
{
	struct io_datagram *datagrams;
	size_t count;

	/* A reload gives sockets before it publishes their table. What waits is read once the table is there. */
	if (table->listeners[listener].pool == TABLE_NONE)
		return;
	count = receive(worker, fd, &datagrams, &worker->path.stats.kernel_drops[listener]);
	batch_uplink(&worker->path, table, listener, datagrams, count);
	io_flush(worker->path.outbox);
}

static void reply_batch(struct worker *worker, const struct table *table, uint16_t port, int fd)
{
	struct io_datagram *datagrams;
	size_t count = receive(worker, fd, &datagrams, &worker->path.stats.endpoint_drops);

	batch_reply(&worker->path, table, port, datagrams, count);
	io_flush(worker->path.outbox);
}

static void endpoint_serve(struct worker *worker, const struct table *table, uint16_t port, int fd, uint32_t events)
{
	if (events & EPOLLERR)
		(void)errors_drain(&worker->path, table, ERRORS_ENDPOINT | port, fd);
	reply_batch(worker, table, port, fd);
}

static void pool_serve(struct worker *worker, const struct table *table, uint16_t pool, int fd, uint32_t events)
{
	const uint16_t at = table->pool_of_uid[pool];
	struct io_datagram *datagrams;
	size_t count;

	/* As in uplink_batch(). */
	if (at == TABLE_NONE || !table->pools[at].forwarder->own_socket)
		return;
	if (events & EPOLLERR)
		(void)errors_drain(&worker->path, table, ERRORS_POOL | pool, fd);
	count = receive(worker, fd, &datagrams, &worker->path.stats.endpoint_drops);
	batch_pool_reply(&worker->path, table, at, datagrams, count);
	io_flush(worker->path.outbox);
}

static void event_serve(struct worker *worker, const struct table *table, const struct epoll_event *event)
{
	uint64_t tag = event->data.u64;
	uint16_t number = (uint16_t)tag;
	enum io_family family;
	int fd;

	switch (tag >> TAG_KIND_SHIFT) {
	case TAG_LISTENER:
		fd = atomic_load_explicit(&worker->path.listener_handles[number], memory_order_acquire);
		if (fd >= 0)
			uplink_batch(worker, table, number, fd);
		return;
	case TAG_ENDPOINT_V4:
	case TAG_ENDPOINT_V6:
		family = tag >> TAG_KIND_SHIFT == TAG_ENDPOINT_V4 ? IO_V4 : IO_V6;
		fd = atomic_load_explicit(&worker->path.endpoint_handles[family][number], memory_order_acquire);
		if (fd >= 0)
			endpoint_serve(worker, table, number, fd, event->events);
		return;
	case TAG_POOL:
		fd = atomic_load_explicit(&worker->path.pool_handles[number], memory_order_acquire);
		if (fd >= 0)
			pool_serve(worker, table, number, fd, event->events);
		return;
	case TAG_PORT:
		fd = tag_port_fd(tag, table);
		if (fd >= 0)
			endpoint_serve(worker, table, number, fd, event->events);
		return;
	case TAG_NOT_GIVEN:
		return;
	}
}

/* Serves one batch per ready socket and round, so that no listener starves another or the downlink. The thread is
 * off-line while it waits, so that a publication completes at once even without traffic. */
static void *worker_run(void *arg)
{
	struct worker *worker = arg;
	struct epoll_event events[EVENTS];
	bool running = true;

	rcu_register_thread();
	while (running) {
		int count;

		tsan_release(worker->path.publisher);
		rcu_thread_offline();
		count = epoll_wait(worker->epoll, events, EVENTS, -1);
		rcu_thread_online();
		worker->path.clock_ms = clock_coarse_ms();
		worker->path.now_ms = (uint32_t)worker->path.clock_ms;
		for (int i = 0; i < count; i++) {
			if (events[i].data.u64 == tag_make(TAG_WAKE, 0))
				running = false;
			else
				event_serve(worker, publisher_read(worker->path.publisher), &events[i]);
		}
	}
	rcu_unregister_thread();
	return NULL;
}

static int epoll_add(struct worker *worker, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = { .events = events, .data.u64 = tag };

	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void drops_begin(struct worker *worker, int fd)
{
	if (fd < WORKER_COUNTED)
		atomic_store_explicit(&worker->drops_seen[fd], socket_kernel_drops(fd), memory_order_relaxed);
}

static int open_port(void *ctx, struct port_sockets *ports, uint16_t port)
{
	return worker_open_port(ctx, ports, port);
}

int worker_new(struct worker **out, const struct path_shared *shared)
{
	struct worker *worker = aligned_alloc(_Alignof(struct worker), sizeof *worker);
	int err;

	if (!worker)
		return -ENOMEM;
	memset(worker, 0, sizeof *worker);
	err = path_begin(&worker->path, shared, socket_io_new());
	worker->path.open_port = open_port;
	worker->path.open_port_ctx = worker;
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!worker->path.io)
		err = -ENOMEM;
	else if (!err && (worker->epoll < 0 || worker->wake < 0))
		err = -errno;
	if (!err)
		err = epoll_add(worker, worker->wake, EPOLLIN, tag_make(TAG_WAKE, 0));
	if (err) {
		worker_free(worker);
		return err;
	}
	*out = worker;
	return 0;
}

int worker_start(struct worker *worker)
{
	int err = pthread_create(&worker->thread, NULL, worker_run, worker);

	worker->running = err == 0;
	return -err;
}

void worker_free(struct worker *worker)
{
	uint64_t one = 1;

	if (worker->running) {
		while (write(worker->wake, &one, sizeof one) < 0 && errno == EINTR)
			;
		pthread_join(worker->thread, NULL);
	}
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		if (worker->path.listener_handles[i] >= 0)
			close(worker->path.listener_handles[i]);
	for (size_t i = 0; i < STATS_POOLS; i++)
		if (worker->path.pool_handles[i] >= 0)
			close(worker->path.pool_handles[i]);
	for (size_t family = 0; family < IO_FAMILIES; family++)
		for (size_t port = 0; port < 1 << 16; port++)
			if (worker->path.endpoint_handles[family][port] >= 0)
				close(worker->path.endpoint_handles[family][port]);
	if (worker->epoll >= 0)
		close(worker->epoll);
	if (worker->wake >= 0)
		close(worker->wake);
	path_end(&worker->path);
	socket_io_free(worker->path.io);
	free(worker);
}

/* The kernel reports errors of a socket even if they were not asked for, and it does so at each wait. EPOLLONESHOT lets
 * one report through, which nobody serves. Then the socket is silent until it is given. */
int worker_admit(struct worker *worker, int fd)
{
	return epoll_add(worker, fd, EPOLLONESHOT, tag_make(TAG_NOT_GIVEN, 0));
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

int worker_set_endpoint(struct worker *worker, enum io_family family, uint16_t port, int fd)
{
	enum tag tag = family == IO_V4 ? TAG_ENDPOINT_V4 : TAG_ENDPOINT_V6;

	return descriptor_set(worker, &worker->path.endpoint_handles[family][port], fd, tag_make(tag, port));
}

int worker_set_pool(struct worker *worker, uint16_t pool, int fd)
{
	return descriptor_set(worker, &worker->path.pool_handles[pool], fd, tag_make(TAG_POOL, pool));
}

int worker_open_port(struct worker *worker, struct port_sockets *ports, uint16_t port)
{
	int fd = port_sockets_get(ports, port), err;

	if (fd >= 0)
		return fd;
	fd = port_sockets_bind(ports, port);
	/* Another worker may be a moment ahead. */
	if (fd < 0)
		return port_sockets_get(ports, port) >= 0 ? port_sockets_get(ports, port) : fd;
	drops_begin(worker, fd);
	err = epoll_add(worker, fd, EPOLLIN, tag_make_port(ports, port));
	if (err) {
		close(fd);
		return err;
	}
	return port_sockets_keep(ports, port, fd);
}

uint32_t worker_cid_last_s(struct worker *const *workers, unsigned count, uint16_t backend)
{
	uint32_t last_s = 0;

	for (unsigned i = 0; i < count; i++) {
		uint32_t of_worker_s =
			atomic_load_explicit(&workers[i]->path.cid_last_s[backend], memory_order_relaxed);

		if (of_worker_s > last_s)
			last_s = of_worker_s;
	}
	return last_s;
}

void worker_set_trace(struct worker *worker, struct trace_ring *ring)
{
	atomic_store_explicit(&worker->path.trace, ring, memory_order_release);
}

#include "path/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/pages.h"
#include "base/tsan.h"
#include "io/socket.h"
#include "path/batch.h"
#include "path/errors.h"
#include "path/forward.h"
#include "path/worker_priv.h"

enum { EVENTS = 64 };

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

	if (count > 0)
		stats_add_batch(&worker->path.stats, count);
	/* What has waited since before drops_begin(), as over a restart, tells a smaller number. */
	if ((int32_t)(now - before) > 0 && seen != &none) {
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

/* The socket that a tag is about. -1: it was closed meanwhile. */
static int tag_fd(const struct worker *worker, const struct table *table, uint64_t tag)
{
	const uint16_t number = (uint16_t)tag;
	const struct path *path = &worker->path;

	switch (tag >> TAG_KIND_SHIFT) {
	case TAG_LISTENER:
		return atomic_load_explicit(&path->listener_handles[number], memory_order_acquire);
	case TAG_ENDPOINT_V4:
		return atomic_load_explicit(&path->endpoint_handles[IO_V4][number], memory_order_acquire);
	case TAG_ENDPOINT_V6:
		return atomic_load_explicit(&path->endpoint_handles[IO_V6][number], memory_order_acquire);
	case TAG_POOL:
		return atomic_load_explicit(&path->pool_handles[number], memory_order_acquire);
	case TAG_PORT:
		return tag_port_fd(tag, table);
	case TAG_SURPLUS:
		return atomic_load_explicit(&worker->surplus[number].fd, memory_order_acquire);
	default:
		return -1;
	}
}

static void event_serve(struct worker *worker, const struct table *table, const struct epoll_event *event)
{
	uint64_t tag = event->data.u64;
	const int fd = tag_fd(worker, table, tag);

	if (fd < 0)
		return;
	if (tag >> TAG_KIND_SHIFT == TAG_SURPLUS)
		tag = worker->surplus[(uint16_t)tag].tag;
	switch (tag >> TAG_KIND_SHIFT) {
	case TAG_LISTENER:
		uplink_batch(worker, table, (uint16_t)tag, fd);
		return;
	case TAG_POOL:
		pool_serve(worker, table, (uint16_t)tag, fd, event->events);
		return;
	default:
		endpoint_serve(worker, table, (uint16_t)tag, fd, event->events);
	}
}

static void wake_serve(struct worker *worker)
{
	uint64_t count;

	(void)!read(worker->wake, &count, sizeof count);
	atomic_store_explicit(&worker->answered, atomic_load_explicit(&worker->asked, memory_order_acquire),
			      memory_order_release);
}

/* Serves one batch per ready socket and round, so that no listener starves another or the downlink. The thread is
 * off-line while it waits, so that a publication completes at once even without traffic. */
static void *worker_run(void *arg)
{
	struct worker *worker = arg;
	struct epoll_event events[EVENTS];

	worker->confined = worker->confine ? worker->confine() : 0;
	sem_post(&worker->begun);
	rcu_register_thread();
	while (!atomic_load_explicit(&worker->ends, memory_order_relaxed)) {
		int count;

		tsan_release(worker->path.publisher);
		rcu_thread_offline();
		count = epoll_wait(worker->epoll, events, EVENTS, -1);
		rcu_thread_online();
		worker->path.clock_ms = clock_coarse_ms();
		worker->path.now_ms = (uint32_t)worker->path.clock_ms;
		for (int i = 0; i < count; i++) {
			if (events[i].data.u64 == tag_make(TAG_WAKE, 0))
				wake_serve(worker);
			else
				event_serve(worker, publisher_read(worker->path.publisher), &events[i]);
		}
	}
	rcu_unregister_thread();
	return NULL;
}

static int open_port(void *ctx, struct port_sockets *ports, uint16_t port)
{
	return worker_open_port(ctx, ports, port);
}

int worker_new(struct worker **out, const struct path_shared *shared)
{
	struct worker *worker = pages_take(sizeof *worker); /* most of it is never touched */
	int err;

	if (!worker)
		return -ENOMEM;
	sem_init(&worker->begun, 0, 0);
	worker->opener = shared->opener;
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
		err = worker_watch(worker, worker->wake, EPOLLIN, tag_make(TAG_WAKE, 0));
	if (err) {
		worker_free(worker);
		return err;
	}
	*out = worker;
	return 0;
}

int worker_start(struct worker *worker, worker_confine *confine)
{
	int err;

	worker->confine = confine;
	err = pthread_create(&worker->thread, NULL, worker_run, worker);
	worker->running = err == 0;
	if (err)
		return -err;
	while (sem_wait(&worker->begun) < 0 && errno == EINTR)
		;
	return worker->confined;
}

/* Some are lent. */
static void listeners_close(struct path *path)
{
	for (size_t i = 0; i < STATS_LISTENERS; i++) {
		const int fd = path->listener_handles[i];

		if (fd < 0)
			continue;
		for (size_t j = i; j < STATS_LISTENERS; j++)
			if (path->listener_handles[j] == fd)
				path->listener_handles[j] = -1;
		close(fd);
	}
}

static void wake(struct worker *worker)
{
	const uint64_t one = 1;

	while (write(worker->wake, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void worker_ask(struct worker *worker)
{
	atomic_fetch_add_explicit(&worker->asked, 1, memory_order_release);
	wake(worker);
}

bool worker_has_answered(const struct worker *worker)
{
	return atomic_load_explicit(&worker->answered, memory_order_acquire) ==
	       atomic_load_explicit(&worker->asked, memory_order_relaxed);
}

int worker_events(const struct worker *worker)
{
	return worker->epoll;
}

void worker_stop(struct worker *worker)
{
	if (!worker->running)
		return;
	atomic_store_explicit(&worker->ends, true, memory_order_relaxed);
	wake(worker);
	pthread_join(worker->thread, NULL);
	worker->running = false;
}

void worker_free(struct worker *worker)
{
	worker_stop(worker);
	listeners_close(&worker->path);
	for (size_t i = 0; i < STATS_POOLS; i++)
		if (worker->path.pool_handles[i] >= 0)
			close(worker->path.pool_handles[i]);
	for (size_t family = 0; family < IO_FAMILIES; family++)
		for (size_t port = 0; port < 1 << 16; port++)
			if (worker->path.endpoint_handles[family][port] >= 0)
				close(worker->path.endpoint_handles[family][port]);
	for (size_t i = 0; i < worker->surplus_count; i++)
		if (worker->surplus[i].fd >= 0)
			close(worker->surplus[i].fd);
	free(worker->surplus);
	if (worker->epoll >= 0)
		close(worker->epoll);
	if (worker->wake >= 0)
		close(worker->wake);
	sem_destroy(&worker->begun);
	path_end(&worker->path);
	socket_io_free(worker->path.io);
	pages_return(worker, sizeof *worker);
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

/* The worker may write at the same time, and what it writes is no older than a second. */
void worker_note_cid(struct worker *const *workers, unsigned count, uint16_t backend, uint32_t now_s)
{
	if (worker_cid_last_s(workers, count, backend) < now_s)
		atomic_store_explicit(&workers[0]->path.cid_last_s[backend], now_s, memory_order_relaxed);
}

void worker_hear_version(struct worker *const *workers, unsigned count, uint16_t backend, enum proxy2_version version)
{
	for (unsigned i = 0; i < count; i++)
		path_hear_version(&workers[i]->path, backend, version, (uint32_t)clock_s());
}

enum proxy2_version worker_version_for(struct worker *const *workers, unsigned count, uint16_t backend)
{
	const uint32_t now_s = (uint32_t)clock_s();

	for (unsigned i = 0; i < count; i++)
		if (path_version_for(&workers[i]->path, backend, now_s) == PROXY2_V2)
			return PROXY2_V2;
	return PROXY2_V1_OFFER;
}

/* Asked of the kernel, so that it costs the worker nothing. */
uint64_t worker_busy_us(const struct worker *worker)
{
	struct timespec used;
	clockid_t clock;

	if (!worker->running || pthread_getcpuclockid(worker->thread, &clock) != 0 || clock_gettime(clock, &used) < 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

void worker_set_trace(struct worker *worker, struct trace_ring *ring)
{
	atomic_store_explicit(&worker->path.trace, ring, memory_order_release);
}

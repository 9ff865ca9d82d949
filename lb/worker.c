#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <urcu-qsbr.h>

#include "batch.h"
#include "race.h"

enum { EVENTS = 64 };

/* What an epoll event is about: the kind above, a stable number or a port below. */
enum tag { TAG_WAKE, TAG_LISTENER, TAG_ENDPOINT_V4, TAG_ENDPOINT_V6 };

static uint64_t tag_make(enum tag tag, uint16_t number)
{
	return (uint64_t)tag << 32 | number;
}

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t worker_clock_ms(void)
{
	return (uint32_t)clock_ms();
}

static void uplink_batch(struct worker *worker, const struct table *table, uint16_t number, int fd)
{
	stats_counter *drops = &worker->stats.kernel_drops[number];
	uint32_t kernel_drops = (uint32_t)atomic_load_explicit(drops, memory_order_relaxed);
	struct net_datagram *datagrams;
	size_t count;

	/* Between the sockets and the table of a reload: the listener that has the socket next reads what waits in it. */
	if (table->listeners[number].pool == TABLE_NONE)
		return;
	count = net_receive(worker->inbox, fd, &datagrams, &kernel_drops);
	atomic_store_explicit(drops, kernel_drops, memory_order_relaxed);
	batch_uplink(worker, table, number, datagrams, count);
	net_flush(worker->outbox);
}

static void reply_batch(struct worker *worker, const struct table *table, uint16_t port, int fd)
{
	struct net_datagram *datagrams;
	uint32_t kernel_drops = 0;
	size_t count = net_receive(worker->inbox, fd, &datagrams, &kernel_drops);

	batch_reply(worker, table, port, datagrams, count);
	net_flush(worker->outbox);
}

static void event_serve(struct worker *worker, const struct table *table, uint64_t event)
{
	uint16_t number = (uint16_t)event;
	enum worker_family family;
	int fd;

	switch (event >> 32) {
	case TAG_LISTENER:
		fd = atomic_load_explicit(&worker->listener_fds[number], memory_order_acquire);
		if (fd >= 0)
			uplink_batch(worker, table, number, fd);
		return;
	case TAG_ENDPOINT_V4:
	case TAG_ENDPOINT_V6:
		family = event >> 32 == TAG_ENDPOINT_V4 ? WORKER_V4 : WORKER_V6;
		fd = atomic_load_explicit(&worker->endpoint_fds[family][number], memory_order_acquire);
		if (fd >= 0)
			reply_batch(worker, table, number, fd);
		return;
	}
}

/* One batch per ready socket and round: no listener starves another or the downlink. Off-line while it waits, so that a publication with no
 * traffic completes at once. */
static void *worker_run(void *arg)
{
	struct worker *worker = arg;
	struct epoll_event events[EVENTS];
	bool running = true;

	rcu_register_thread();
	while (running) {
		int count;

		race_release(worker->publisher);
		rcu_thread_offline();
		count = epoll_wait(worker->epoll, events, EVENTS, -1);
		rcu_thread_online();
		worker->clock_ms = clock_ms();
		worker->now_ms = (uint32_t)worker->clock_ms;
		for (int i = 0; i < count; i++) {
			if (events[i].data.u64 == tag_make(TAG_WAKE, 0))
				running = false;
			else
				event_serve(worker, publisher_read(worker->publisher), events[i].data.u64);
		}
	}
	rcu_unregister_thread();
	return NULL;
}

static int epoll_watch(struct worker *worker, int fd, uint64_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };

	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void descriptors_init(struct worker *worker)
{
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		atomic_init(&worker->listener_fds[i], -1);
	for (size_t family = 0; family < WORKER_FAMILIES; family++)
		for (size_t port = 0; port < 1 << 16; port++)
			atomic_init(&worker->endpoint_fds[family][port], -1);
}

int worker_new(struct worker **out, struct publisher *publisher, struct flows *flows, struct services *services, struct limit *limit)
{
	struct worker *worker = aligned_alloc(_Alignof(struct worker), sizeof *worker);
	int err = 0;

	if (!worker)
		return -ENOMEM;
	memset(worker, 0, sizeof *worker);
	descriptors_init(worker);
	worker->publisher = publisher;
	worker->flows = flows;
	worker->services = services;
	worker->limit = limit;
	worker->inbox = net_inbox_new();
	worker->outbox = net_outbox_new();
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!worker->inbox || !worker->outbox)
		err = -ENOMEM;
	else if (worker->epoll < 0 || worker->wake < 0)
		err = -errno;
	if (!err)
		err = epoll_watch(worker, worker->wake, tag_make(TAG_WAKE, 0));
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
		if (worker->listener_fds[i] >= 0)
			close(worker->listener_fds[i]);
	for (size_t family = 0; family < WORKER_FAMILIES; family++)
		for (size_t port = 0; port < 1 << 16; port++)
			if (worker->endpoint_fds[family][port] >= 0)
				close(worker->endpoint_fds[family][port]);
	if (worker->epoll >= 0)
		close(worker->epoll);
	if (worker->wake >= 0)
		close(worker->wake);
	net_inbox_free(worker->inbox);
	net_outbox_free(worker->outbox);
	free(worker);
}

static int descriptor_set(struct worker *worker, _Atomic int *slot, int fd, uint64_t tag)
{
	int old = atomic_exchange_explicit(slot, fd, memory_order_acq_rel);
	int err = 0;

	if (old >= 0) {
		(void)epoll_ctl(worker->epoll, EPOLL_CTL_DEL, old, NULL);
		synchronize_rcu();
		close(old);
	}
	if (fd >= 0)
		err = epoll_watch(worker, fd, tag);
	return err;
}

int worker_set_listener(struct worker *worker, uint16_t listener, int fd)
{
	return descriptor_set(worker, &worker->listener_fds[listener], fd, tag_make(TAG_LISTENER, listener));
}

int worker_set_endpoint(struct worker *worker, enum worker_family family, uint16_t port, int fd)
{
	enum tag tag = family == WORKER_V4 ? TAG_ENDPOINT_V4 : TAG_ENDPOINT_V6;

	return descriptor_set(worker, &worker->endpoint_fds[family][port], fd, tag_make(tag, port));
}

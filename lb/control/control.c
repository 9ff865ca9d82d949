#include "control/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/priv.h"
#include "control/beside.h"
#include "control/cid_hint.h"
#include "control/drain.h"
#include "control/host.h"
#include "control/ids.h"
#include "control/probe_results.h"
#include "control/reach.h"
#include "control/ready.h"
#include "control/slots.h"
#include "control/state.h"
#include "control/watch.h"

enum { TICK_MS = 250 };

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;

	(void)fd;
	(void)what;
	rcu_thread_online();
	flows_sweep(control->flows, worker_clock_ms());
	rcu_thread_offline();
	handshakes_sweep(control->handshakes, (uint32_t)clock_s());
	settle_tick(control);
	cid_hint_tick(control);
	ids_tick(control);
	watch_tick(control);
	dsr_tick(control);
	if (control->beside.tick)
		control->beside.tick(control->beside.ctx);
	drain_tick(control);
	(void)saved_save(control->saved);
}

static void suspect(void *ctx, uint16_t uid)
{
	struct control *control = ctx;

	health_suspect(control->health, uid);
}

static void on_alarm(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;

	(void)fd;
	(void)what;
	icmp_alarm_answer(control->alarm, suspect, control);
}

static int event_watch(struct control *control, struct event *event, const struct timeval *period)
{
	if (!event || event_add(event, period) < 0) {
		if (event)
			event_free(event);
		return -ENOMEM;
	}
	control->events[control->event_count++] = event;
	return 0;
}

static int events_open(struct control *control)
{
	static const struct timeval tick = { 0, TICK_MS * 1000 };
	int err = event_watch(control, event_new(control->base, -1, EV_PERSIST, on_tick, control), &tick);

	if (err)
		return err;
	return event_watch(
		control, event_new(control->base, control->alarm->wake, EV_READ | EV_PERSIST, on_alarm, control), NULL);
}

/* Called while cidlb is still root. */
static int saved_open(struct control *control, const struct conf *conf)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int err = conf->state_file ? priv_owner(conf->user, &uid, &gid) : 0;

	if (!err)
		(void)saved_prepare(conf->state_file, uid, gid);
	control->saved = saved_new(conf->state_file);
	return control->saved ? 0 : -ENOMEM;
}

static int path_open(struct control *control, unsigned workers)
{
	uint8_t secret[16];
	int err;

	if (getrandom(secret, sizeof secret, 0) != sizeof secret)
		return -EIO;
	control->flows = flows_new(secret);
	control->service_addrs = service_addrs_new();
	control->limit = limit_new(STATS_POOLS, STATS_BACKENDS, secret);
	control->allowances = allowances_new(STATS_POOLS, secret);
	control->handshakes = handshakes_new(secret);
	control->sockets = sockets_new(control->workers, workers);
	control->opener = port_opener_new();
	if (!control->opener || !control->flows || !control->service_addrs || !control->limit || !control->allowances ||
	    !control->handshakes || !control->sockets)
		return -ENOMEM;
	err = icmp_alarm_new(&control->alarm);
	const struct path_shared shared = {
		.publisher = &control->publisher,
		.flows = control->flows,
		.service_addrs = control->service_addrs,
		.limit = control->limit,
		.allowances = control->allowances,
		.opener = control->opener,
		.handshakes = control->handshakes,
		.hello_key = hello_key_make(secret),
		.alarm = control->alarm,
	};
	for (; !err && control->worker_count < workers; control->worker_count += !err)
		err = worker_new(&control->workers[control->worker_count], &shared);
	return err;
}

static int began_copy(struct control_began *began, const struct conf *conf)
{
	began->rcvbuf_octets = conf->rcvbuf_octets;
	began->fast = conf->fast;
	began->user = conf->user ? strdup(conf->user) : NULL;
	began->state_file = conf->state_file ? strdup(conf->state_file) : NULL;
	began->socket = conf->socket ? strdup(conf->socket) : NULL;
	return !began->user == !conf->user && !began->state_file == !conf->state_file && !began->socket == !conf->socket
		       ? 0
		       : -ENOMEM;
}

static void began_free(struct control_began *began)
{
	free(began->user);
	free(began->state_file);
	free(began->socket);
}

static int parts_open(struct control *control, const struct conf *conf)
{
	int err = settle_open(control);

	if (!err)
		err = slots_open(control);
	control->sum = aligned_alloc(_Alignof(struct stats), sizeof *control->sum);
	if (!err && !control->sum)
		err = -ENOMEM;
	if (!err)
		err = began_copy(&control->began, conf);
	host_open(control);
	if (!err)
		err = numbers_new(&control->numbers);
	if (!err)
		err = saved_open(control, conf);
	if (!err)
		ready_recall(control);
	if (!err)
		err = path_open(control, conf->workers);
	if (err)
		return err;
	control->health = health_new(control->base, probe_results_take, control);
	if (!control->health)
		return -ENOMEM;
	err = reach_open(control);
	return err ? err : events_open(control);
}

int control_new(struct control **out, struct event_base *base, const struct conf *conf)
{
	struct control *control = calloc(1, sizeof *control);
	int err;

	if (!control)
		return -ENOMEM;
	control->base = base;
	dsr_open(&control->dsr);
	control->started_s = clock_s();
	control->started_at = control->applied_at = time(NULL);
	err = parts_open(control, conf);
	if (err)
		control_free(control);
	else
		*out = control;
	return err;
}

static void *nothing_run(void *ctx)
{
	return ctx;
}

/* liburcu aborts if it cannot start its thread. So a thread that ends at once tries that first, and leaves its stack
 * for liburcu's. */
static int thread_try(void)
{
	pthread_t thread;
	int err = -pthread_create(&thread, NULL, nothing_run, NULL);

	if (!err)
		err = -pthread_join(thread, NULL);
	return err;
}

/* Signals belong to the control thread. So workers and the threads of libraries start with all signals blocked. */
int control_start(struct control *control, int (*confine)(void))
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = thread_try();
	if (!err)
		(void)get_default_call_rcu_data();
	if (!err)
		err = port_opener_start(control->opener);
	for (unsigned i = 0; !err && i < control->worker_count; i++)
		err = worker_start(control->workers[i], confine);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	control->has_run = !err;
	return err;
}

void control_stop(struct control *control)
{
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_stop(control->workers[i]);
}

/* A thread that yields is set back against everybody who wants a CPU, so it must not without need. */
void control_give_way(const struct control *control)
{
	struct pollfd waiting[CONF_MAX_WORKERS];

	for (unsigned i = 0; i < control->worker_count; i++)
		waiting[i] = (struct pollfd){ .fd = worker_events(control->workers[i]), .events = POLLIN };
	if (poll(waiting, control->worker_count, 0) > 0)
		sched_yield();
}

void control_ask_workers(struct control *control)
{
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_ask(control->workers[i]);
}

unsigned control_workers_silent(const struct control *control)
{
	unsigned silent = 0;

	for (unsigned i = 0; i < control->worker_count; i++)
		silent += !worker_has_answered(control->workers[i]);
	return silent;
}

/* The mirror image of path_open(). The workers must be gone by now, because they use all of this. */
static void path_close(struct control *control)
{
	table_free(atomic_load_explicit(&control->publisher.current, memory_order_relaxed));
	rcu_thread_online();
	flows_free(control->flows);
	rcu_thread_offline();
	port_opener_free(control->opener);
	icmp_alarm_free(control->alarm);
	sockets_free(control->sockets);
	limit_free(control->limit);
	allowances_free(control->allowances);
	handshakes_free(control->handshakes);
	service_addrs_free(control->service_addrs);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	if (control->has_run)
		drain_end(control);
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_free(control->workers[i]);
	while (control->event_count > 0)
		event_free(control->events[--control->event_count]);
	reach_close(control);
	dsr_close(&control->dsr);
	resolve_free(control->resolve);
	health_free(control->health);
	path_close(control);
	(void)saved_save_last(control->saved);
	saved_free(control->saved);
	free(control->sum);
	for (size_t i = 0; i < STATS_POOLS; i++) {
		claims_free(&control->pools[i].claims);
		for (enum learned_kind kind = 0; kind < LEARNED_KINDS; kind++)
			learned_table_free(control->pools[i].learned[kind]);
	}
	table_spec_free(&control->spec);
	conf_free(control->conf);
	numbers_free(&control->numbers);
	host_addrs_free(&control->host);
	slots_close(control);
	settle_close(control);
	began_free(&control->began);
	free(control);
}

const struct conf *control_conf(const struct control *control)
{
	return control->conf;
}

struct netlink *control_netlink(const struct control *control)
{
	return control->reach.netlink;
}

struct sockets *control_sockets(const struct control *control)
{
	return control->sockets;
}

struct flows *control_flows(const struct control *control)
{
	return control->flows;
}

unsigned control_workers(const struct control *control)
{
	return control->worker_count;
}

struct worker *const *control_worker_list(const struct control *control)
{
	return control->workers;
}

void control_set_beside(struct control *control, const struct beside *beside)
{
	const struct table *table = publisher_read(&control->publisher);

	control->beside = beside ? *beside : (struct beside){ .ctx = NULL };
	if (table && control->beside.follow)
		control->beside.follow(control->beside.ctx, table);
}

void control_trace(struct control *control, struct trace_ring *const *rings)
{
	if (control->beside.trace_begins)
		control->beside.trace_begins(control->beside.ctx);
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_set_trace(control->workers[i], rings[i]);
}

void control_trace_end(struct control *control)
{
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_set_trace(control->workers[i], NULL);
	publisher_wait(&control->publisher);
	if (control->beside.trace_ends)
		control->beside.trace_ends(control->beside.ctx);
}

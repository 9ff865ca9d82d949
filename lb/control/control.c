#include "control/control.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/priv.h"
#include "control/cid_hint.h"
#include "control/ids.h"
#include "control/probe_results.h"
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
	(void)settle(control);
	cid_hint_tick(control);
	ids_tick(control);
	watch_tick(control);
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

	if (!err && conf->state_file)
		err = saved_prepare(conf->state_file, uid, gid);
	/* If the file cannot be had, it is not tried again at every change. */
	control->saved = saved_new(err ? NULL : conf->state_file);
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
	control->sockets = sockets_new(control->workers, workers);
	if (!control->flows || !control->service_addrs || !control->limit || !control->sockets)
		return -ENOMEM;
	err = icmp_alarm_new(&control->alarm);
	const struct path_shared shared = { &control->publisher, control->flows, control->service_addrs, control->limit,
					    control->alarm };
	for (; !err && control->worker_count < workers; control->worker_count += !err)
		err = worker_new(&control->workers[control->worker_count], &shared);
	return err;
}

static int parts_open(struct control *control, const struct conf *conf)
{
	int err = settle_open(control);

	if (!err)
		err = numbers_new(&control->numbers);
	if (!err)
		err = saved_open(control, conf);
	if (!err)
		err = path_open(control, conf->workers);
	if (err)
		return err;
	control->health = health_new(control->base, probe_results_take, control);
	return control->health ? events_open(control) : -ENOMEM;
}

int control_new(struct control **out, struct event_base *base, const struct conf *conf)
{
	struct control *control = calloc(1, sizeof *control);
	int err;

	if (!control)
		return -ENOMEM;
	control->base = base;
	control->started_s = clock_s();
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
int control_start(struct control *control)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = thread_try();
	if (!err)
		(void)get_default_call_rcu_data();
	for (unsigned i = 0; !err && i < control->worker_count; i++)
		err = worker_start(control->workers[i]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* The mirror image of path_open(). The workers must be gone by now, because they use all of this. */
static void path_close(struct control *control)
{
	table_free(atomic_load_explicit(&control->publisher.current, memory_order_relaxed));
	rcu_thread_online();
	flows_free(control->flows);
	rcu_thread_offline();
	icmp_alarm_free(control->alarm);
	sockets_free(control->sockets);
	limit_free(control->limit);
	service_addrs_free(control->service_addrs);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_free(control->workers[i]);
	while (control->event_count > 0)
		event_free(control->events[--control->event_count]);
	resolve_free(control->resolve);
	health_free(control->health);
	path_close(control);
	(void)saved_save(control->saved);
	saved_free(control->saved);
	for (size_t i = 0; i < STATS_POOLS; i++)
		claims_free(&control->pools[i].claims);
	table_spec_free(&control->spec);
	conf_free(control->conf);
	numbers_free(&control->numbers);
	settle_close(control);
	free(control);
}

const struct conf *control_conf(const struct control *control)
{
	return control->conf;
}

bool control_is_ready(const struct control *control)
{
	for (size_t i = 0; i < control->spec.backend_count; i++)
		if (!control->states[control->spec.backends[i].uid].probed)
			return false;
	return true;
}

struct flows *control_flows(const struct control *control)
{
	return control->flows;
}

unsigned control_workers(const struct control *control)
{
	return control->worker_count;
}

void control_trace(struct control *control, struct trace_ring *const *rings)
{
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_set_trace(control->workers[i], rings[i]);
}

void control_trace_end(struct control *control)
{
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_set_trace(control->workers[i], NULL);
	publisher_wait(&control->publisher);
}

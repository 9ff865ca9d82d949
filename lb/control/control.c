#include "control/control.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <urcu-qsbr.h>

#include "admin/command.h"
#include "base/log.h"
#include "base/priv.h"
#include "control/control_priv.h"
#include "control/fingerprint.h"
#include "start/conntrack.h"
#include "start/sandbox.h"

enum { TICK_MS = 250 };

static void stateless_log(const struct conf *conf)
{
	char text[STATELESS_TEXT_OCTETS];

	for (size_t i = 0; i < conf->pool_count; i++)
		if (stateless_listener(conf, i))
			log_event(LOG_LEVEL_INFO, "stateless", conf->pools[i].name, NULL, "%s",
				  stateless_explain(text, conf, i));
}

static void report_log(const struct conf_report *report)
{
	for (size_t i = 0; i < report->error_count; i++)
		log_event(LOG_LEVEL_ERROR, "configuration", NULL, NULL, "%s", report->errors[i]);
	for (size_t i = 0; i < report->warning_count; i++)
		log_event(LOG_LEVEL_WARNING, "configuration", NULL, NULL, "%s", report->warnings[i]);
}

static void only_at_start(const struct control *control, const struct conf *conf)
{
	if (conf->workers != control->worker_count)
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL, "workers: %u takes effect at the next start",
			  conf->workers);
	if (!!conf->user != !!control->conf->user || (conf->user && strcmp(conf->user, control->conf->user) != 0))
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL, "user takes effect at the next start");
	if (conf->rcvbuf_octets != control->conf->rcvbuf_octets)
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL,
			  "rcvbuf_octets: %u holds for new sockets; for all at the next start", conf->rcvbuf_octets);
	if (strcmp(conf->state_file ? conf->state_file : "",
		   control->conf->state_file ? control->conf->state_file : "") != 0)
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL, "state_file: \"%s\" takes effect at the next start",
			  conf->state_file ? conf->state_file : "");
	if (strcmp(conf->socket ? conf->socket : "", control->conf->socket ? control->conf->socket : "") != 0)
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL,
			  "admin.socket: \"%s\" takes effect at the next start", conf->socket ? conf->socket : "");
}

int control_reload(struct control *control, struct conf_report *report)
{
	struct conf *conf = conf_load(control->conf->file, report);
	char fingerprint[FINGERPRINT_TEXT_OCTETS];

	report_log(report);
	if (conf)
		only_at_start(control, conf);
	if (!conf || control_apply(control, conf)) {
		if (!conf && report->error_count == 0)
			log_event(LOG_LEVEL_ERROR, "configuration", NULL, NULL, "out of memory");
		conf_free(conf);
		log_event(LOG_LEVEL_ERROR, "reload_refused", NULL, NULL, "the running configuration stays as it was");
		return -1;
	}
	log_event(LOG_LEVEL_INFO, "reloaded", NULL, NULL, "%zu listeners, %zu pools, fingerprint %s",
		  conf->listener_count, conf->pool_count, fingerprint_format(fingerprint, conf));
	stateless_log(conf);
	return 0;
}

static void on_reload(evutil_socket_t signal, short what, void *ctx)
{
	struct conf_report report = { 0 };

	(void)signal;
	(void)what;
	(void)control_reload(ctx, &report);
	conf_report_free(&report);
}

static void on_stop(evutil_socket_t signal, short what, void *ctx)
{
	struct control *control = ctx;

	(void)signal;
	(void)what;
	event_base_loopbreak(control->base);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;

	(void)fd;
	(void)what;
	rcu_thread_online();
	flows_sweep(control->flows, worker_clock_ms());
	rcu_thread_offline();
	control_explain(control);
	control_watch(control);
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

static int events_init(struct control *control)
{
	static const struct timeval tick = { 0, TICK_MS * 1000 };
	static const struct {
		int signal;
		event_callback_fn handler;
	} signals[] = { { SIGHUP, on_reload }, { SIGTERM, on_stop }, { SIGINT, on_stop } };
	int err = event_watch(control, event_new(control->base, -1, EV_PERSIST, on_tick, control), &tick);

	if (!err)
		err = event_watch(
			control,
			event_new(control->base, control->alarm->wake, EV_READ | EV_PERSIST, on_alarm, control), NULL);
	for (size_t i = 0; !err && i < sizeof signals / sizeof signals[0]; i++)
		err = event_watch(control, evsignal_new(control->base, signals[i].signal, signals[i].handler, control),
				  NULL);
	return err;
}

static int parts_init(struct control *control, unsigned workers)
{
	uint8_t secret[16];
	int err;

	control->started_s = control_clock_s();
	if (getrandom(secret, sizeof secret, 0) != sizeof secret)
		return -EIO;
	control->listener_addrs = uids_new(STATS_LISTENERS);
	control->pool_names = uids_new(STATS_POOLS);
	control->backend_names = uids_new(STATS_BACKENDS);
	control->flows = flows_new(secret);
	control->service_addrs = service_addrs_new();
	control->limit = limit_new(STATS_POOLS, STATS_BACKENDS, secret);
	control->sockets = sockets_new(control->workers, workers);
	control->base = event_base_new();
	if (!control->listener_addrs || !control->pool_names || !control->backend_names || !control->flows ||
	    !control->service_addrs || !control->limit || !control->sockets || !control->base)
		return -ENOMEM;
	err = icmp_alarm_new(&control->alarm);
	if (err)
		return err;
	control->health = health_new(control->base, control_on_probe, control);
	if (!control->health)
		return -ENOMEM;
	const struct path_shared shared = { &control->publisher, control->flows, control->service_addrs, control->limit,
					    control->alarm };
	for (; control->worker_count < workers; control->worker_count++) {
		err = worker_new(&control->workers[control->worker_count], &shared);
		if (err)
			return err;
	}
	return events_init(control);
}

static void *nothing_run(void *ctx)
{
	return ctx;
}

/* liburcu aborts where it cannot have its thread: one that ends at once finds out, and leaves its stack to it. */
static int thread_try(void)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, nothing_run, NULL);

	if (!err)
		err = pthread_join(thread, NULL);
	return -err;
}

/* Signals are the control thread's: workers, and the threads of libraries, are born with all of them blocked. */
static int workers_start(struct control *control)
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

static int fail(const char *what, int err)
{
	log_event(LOG_LEVEL_ERROR, "start_failed", NULL, NULL, "%s: %s", what, strerror(-err));
	return -1;
}

/* As root still: the usual directories let nobody else. Returns 0 or -1. */
static int door_open(struct control *control)
{
	const struct conf *conf = control->conf;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int err;

	if (!conf->socket)
		return 0;
	err = priv_owner(conf->user, &uid, &gid);
	if (!err)
		err = admin_socket_open(&control->door, control->base, conf->socket, uid, gid, command_answer, control);
	if (!err)
		return 0;
	log_event(conf->socket_default ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "admin", NULL, NULL,
		  "no socket for cidlbctl at %s: %s", conf->socket,
		  err == -EADDRINUSE ? "another process answers there" : strerror(-err));
	return conf->socket_default ? 0 : -1;
}

/* As root still. */
static int saved_open(struct control *control, const struct conf *conf)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int err = conf->state_file ? priv_owner(conf->user, &uid, &gid) : 0;

	if (!err && conf->state_file)
		err = saved_prepare(conf->state_file, uid, gid);
	/* Where it cannot be had it is not tried at every change. */
	control->saved = saved_new(err ? NULL : conf->state_file);
	return control->saved ? 0 : -ENOMEM;
}

static void sandbox_try(void)
{
	int err = sandbox_enter();

	if (err && err != -ENOTSUP)
		log_event(LOG_LEVEL_WARNING, "sandbox", NULL, NULL, "runs without a filter of system calls: %s",
			  strerror(-err));
}

static int start(struct control *control, struct conf *conf, bool sandbox)
{
	char fingerprint[FINGERPRINT_TEXT_OCTETS];
	const char *why = "";
	int err = parts_init(control, conf->workers);

	if (!err)
		err = saved_open(control, conf);
	if (err) {
		conf_free(conf);
		return fail("cannot start", err);
	}
	if (control_apply(control, conf)) {
		conf_free(conf);
		return -1;
	}
	if (door_open(control))
		return -1;
	err = priv_drop(conf->user, &why);
	if (err)
		return fail(why, err);
	err = workers_start(control);
	if (err)
		return fail("cannot start a thread", err);
	if (sandbox)
		sandbox_try();
	conntrack_check(conf);
	log_event(LOG_LEVEL_INFO, "started", NULL, NULL,
		  "cidlb %s: %zu listeners, %zu pools, %u workers, fingerprint %s", CIDLB_VERSION, conf->listener_count,
		  conf->pool_count, control->worker_count, fingerprint_format(fingerprint, conf));
	stateless_log(conf);
	return 0;
}

/* The mirror image of parts_init(), from any point of it. */
static void stop(struct control *control)
{
	command_trace_end(control->trace);
	for (unsigned i = 0; i < control->worker_count; i++)
		worker_free(control->workers[i]);
	admin_http_free(control->admin);
	admin_socket_close(control->door);
	health_free(control->health);
	resolve_free(control->resolve);
	for (size_t i = 0; i < control->event_count; i++)
		event_free(control->events[i]);
	if (control->base)
		event_base_free(control->base);
	table_free(atomic_load_explicit(&control->publisher.current, memory_order_relaxed));
	rcu_thread_online();
	flows_free(control->flows);
	rcu_thread_offline();
	service_addrs_free(control->service_addrs);
	limit_free(control->limit);
	icmp_alarm_free(control->alarm);
	sockets_free(control->sockets);
	for (size_t i = 0; i < STATS_POOLS; i++)
		claims_free(&control->pools[i].claims);
	table_spec_free(&control->plan);
	(void)saved_save(control->saved);
	saved_free(control->saved);
	conf_free(control->conf);
	uids_free(control->listener_addrs);
	uids_free(control->pool_names);
	uids_free(control->backend_names);
}

/* A socket for each backend's probe, and for each address and port one per worker: the customary soft limit of 1,024 is
 * not enough. */
static void descriptors_allow(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* It ends cidlb itself where it finds no other way, and this is the reason then. */
static void library_log(int severity, const char *message)
{
	log_event(severity >= EVENT_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "libevent", NULL, NULL, "%s",
		  message);
}

/* 2.1.10 has the soname of older ones. */
static int library_check(void)
{
	if (event_get_version_number() >= ADMIN_SOCKET_LIBEVENT)
		return 0;
	log_event(LOG_LEVEL_ERROR, "start_failed", NULL, NULL, "libevent is %s; 2.1.10 or newer is needed",
		  event_get_version());
	return -1;
}

int control_run(struct conf *conf, bool sandbox)
{
	struct control *control;
	int result;

	if (library_check()) {
		conf_free(conf);
		return -1;
	}
	control = calloc(1, sizeof *control);
	if (!control) {
		conf_free(conf);
		return fail("cannot start", -ENOMEM);
	}
	event_set_log_callback(library_log);
	/* A reader of our log or of /metrics may go away at any time. */
	signal(SIGPIPE, SIG_IGN);
	descriptors_allow();
	rcu_register_thread();
	rcu_thread_offline();
	result = start(control, conf, sandbox);
	if (result == 0 && event_base_dispatch(control->base) < 0)
		result = fail("event loop", -EIO);
	if (result == 0)
		log_event(LOG_LEVEL_INFO, "stopped", NULL, NULL, "by signal");
	stop(control);
	rcu_unregister_thread();
	free(control);
	return result;
}

#include "start/daemon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include <event2/event.h>
#include <urcu-qsbr.h>

#include "base/log.h"
#include "base/priv.h"
#include "common/plural.h"
#include "control/apply.h"
#include "control/control.h"
#include "control/fingerprint.h"
#include "control/reload.h"
#include "path/worker.h"
#include "start/conntrack.h"
#include "start/doors.h"
#include "start/fast_path.h"
#include "start/notify.h"
#include "start/process.h"
#include "start/rp_filter.h"
#include "start/sandbox.h"
#include "start/service.h"
#include "start/sharing.h"
#include "start/store.h"
#include "xdp/fast.h"

enum { SIGNALS = 3 };

struct daemon {
	struct conf *conf; /* until it is applied; then it is the control's */
	enum daemon_sandbox sandbox;
	worker_confine *confine; /* NULL: there is no sandbox */
	struct event_base *base;
	struct control *control;
	struct notify *notify; /* NULL: nobody listens */
	struct service *service;
	struct store *store;
	struct sharing *sharing;
	bool serves;
	struct doors *doors;
	struct fast_path *fast; /* NULL: none is asked for */
	struct event *signals[SIGNALS];
};

static int fail(const char *what, int err)
{
	log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "start_failed", NULL, NULL,
				       LOG_FIELDS(LOG_TEXT("what", what), LOG_TEXT("error", strerror(-err))) },
		   "%s: %s", what, strerror(-err));
	return err;
}

static int library_up(struct daemon *daemon)
{
	(void)daemon;
	return process_check_libraries();
}

static int process_up(struct daemon *daemon)
{
	(void)daemon;
	process_allow_descriptors();
	rcu_register_thread();
	rcu_thread_offline();
	return 0;
}

static void process_down(struct daemon *daemon)
{
	(void)daemon;
	rcu_unregister_thread();
}

static int notify_up(struct daemon *daemon)
{
	daemon->notify = notify_new();
	return 0;
}

static void notify_down(struct daemon *daemon)
{
	notify_free(daemon->notify);
}

static int loop_up(struct daemon *daemon)
{
	daemon->base = event_base_new();
	return daemon->base ? 0 : fail("cannot start", -ENOMEM);
}

static void loop_down(struct daemon *daemon)
{
	event_base_free(daemon->base);
}

static int control_up(struct daemon *daemon)
{
	int err = control_new(&daemon->control, daemon->base, daemon->conf);

	return err ? fail("cannot start", err) : 0;
}

static void control_down(struct daemon *daemon)
{
	control_free(daemon->control);
}

/* Once it serves, so that nobody waits for it before. */
static void on_applied(void *ctx, struct apply_step *step)
{
	const struct daemon *daemon = ctx;

	(void)step;
	if (daemon->serves)
		store_sync(daemon->store, daemon->control);
}

static int store_up(struct daemon *daemon)
{
	const struct apply_part part = { .name = "descriptor store", .commit = on_applied, .ctx = daemon };
	int err = store_new(&daemon->store, daemon->notify);

	if (!err)
		err = apply_register(daemon->control, &part);
	if (err)
		return fail("cannot start", err);
	store_hand_over(daemon->store, daemon->control);
	return 0;
}

static void store_down(struct daemon *daemon)
{
	store_free(daemon->store);
}

static int service_up(struct daemon *daemon)
{
	int err = service_new(&daemon->service, daemon->notify, daemon->control, daemon->base);

	return err ? fail("cannot start", err) : 0;
}

static void service_down(struct daemon *daemon)
{
	service_free(daemon->service);
}

static int sharing_up(struct daemon *daemon)
{
	int err = sharing_new(&daemon->sharing, daemon->control, daemon->base);

	return err ? fail("cannot start", err) : 0;
}

static void sharing_down(struct daemon *daemon)
{
	sharing_free(daemon->sharing);
}

static int doors_up(struct daemon *daemon)
{
	int err = doors_new(&daemon->doors, daemon->control, daemon->base);

	return err ? fail("cannot start", err) : 0;
}

static void doors_down(struct daemon *daemon)
{
	doors_free(daemon->doors);
}

static int warnings_up(struct daemon *daemon)
{
	int err = rp_filter_watch(daemon->control);

	return err ? fail("cannot start", err) : 0;
}

static void on_reload(evutil_socket_t signal, short what, void *ctx)
{
	struct daemon *daemon = ctx;
	struct reload_report report;

	(void)signal;
	(void)what;
	(void)reload(daemon->control, &report);
	reload_report_free(&report);
}

static void on_stop(evutil_socket_t signal, short what, void *ctx)
{
	struct daemon *daemon = ctx;

	(void)signal;
	(void)what;
	event_base_loopbreak(daemon->base);
}

static void signals_down(struct daemon *daemon)
{
	for (size_t i = 0; i < SIGNALS; i++)
		if (daemon->signals[i])
			event_free(daemon->signals[i]);
}

static int signals_up(struct daemon *daemon)
{
	static const struct {
		int signal;
		event_callback_fn handler;
	} signals[SIGNALS] = { { SIGHUP, on_reload }, { SIGTERM, on_stop }, { SIGINT, on_stop } };

	for (size_t i = 0; i < SIGNALS; i++) {
		daemon->signals[i] = evsignal_new(daemon->base, signals[i].signal, signals[i].handler, daemon);
		if (daemon->signals[i] && event_add(daemon->signals[i], NULL) == 0)
			continue;
		signals_down(daemon);
		return fail("cannot start", -ENOMEM);
	}
	process_hang_up(SIG_UNBLOCK);
	return 0;
}

static int conf_up(struct daemon *daemon)
{
	int err = apply_conf(daemon->control, daemon->conf);

	if (!err)
		daemon->conf = NULL;
	return err;
}

static int fast_up(struct daemon *daemon)
{
	struct fast_links left;
	int err;

	store_load_links(daemon->store, &left);
	err = fast_path_new(&daemon->fast, daemon->control, &left);
	return err ? fail("cannot start", err) : 0;
}

static void fast_down(struct daemon *daemon)
{
	fast_path_free(daemon->fast);
}

static int socket_up(struct daemon *daemon)
{
	return doors_open_socket(daemon->doors, control_conf(daemon->control));
}

static int root_up(struct daemon *daemon)
{
	const char *why = "";
	int err = priv_drop(control_conf(daemon->control)->user, &why);

	return err ? fail(why, err) : 0;
}

/* From here on there is no way back but the end of the process. */
static int sandbox_up(struct daemon *daemon)
{
	int err = daemon->sandbox == DAEMON_SANDBOXED ? sandbox_enter() : 0;

	if (!err && daemon->sandbox == DAEMON_SANDBOXED)
		daemon->confine = sandbox_enter_worker;
	if (err && err != -ENOTSUP)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "sandbox", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("error", strerror(-err))) },
			   "runs without a system call filter: %s", strerror(-err));
	return 0;
}

static int log_up(struct daemon *daemon)
{
	int err = log_start(daemon->confine);

	return err ? fail("cannot start a thread", err) : 0;
}

static int flows_up(struct daemon *daemon)
{
	store_load_flows(daemon->store, daemon->control);
	return 0;
}

/* Only of one that served. What the start was given is still in the store. */
static void flows_down(struct daemon *daemon)
{
	struct fast_links links;

	if (!daemon->serves)
		return;
	store_save_flows(daemon->store, daemon->control);
	fast_path_links(daemon->fast, &links);
	store_save_links(daemon->store, &links);
	store_save_ports(daemon->store, daemon->control);
}

static int workers_up(struct daemon *daemon)
{
	int err = control_start(daemon->control, daemon->confine);

	return err ? fail("cannot start a thread", err) : 0;
}

static void workers_down(struct daemon *daemon)
{
	control_stop(daemon->control);
}

/* The order of the start. cidlb stops in the reverse order, from wherever it has come to. What needs root comes before
 * root is given up. That comes before anything is read from the network. */
static const struct rung {
	int (*up)(struct daemon *daemon); /* 0, or -errno: it has logged why, and left nothing behind */
	void (*down)(struct daemon *daemon);
} ladder[] = {
	/* clang-format off */
	{ library_up, NULL },
	{ process_up, process_down },
	{ notify_up, notify_down },
	{ loop_up, loop_down },
	{ control_up, control_down },
	{ store_up, store_down },
	{ signals_up, signals_down },
	{ service_up, service_down },
	{ sharing_up, sharing_down },
	{ doors_up, doors_down },
	{ warnings_up, NULL },
	{ conf_up, NULL },
	{ fast_up, fast_down }, /* it needs the table, and loads as root */
	{ socket_up, NULL },
	{ root_up, NULL },
	{ sandbox_up, NULL }, /* threads have it from whoever starts them */
	{ log_up, NULL },
	{ flows_up, flows_down },
	{ workers_up, workers_down },
	/* clang-format on */
};

enum { RUNGS = sizeof ladder / sizeof *ladder };

static void started_log(const struct control *control)
{
	const struct conf *conf = control_conf(control);
	char fingerprint[FINGERPRINT_TEXT_OCTETS], text[RELOAD_LINE_OCTETS];

	conntrack_check(conf);
	log_fields(&(struct log_what){ LOG_LEVEL_INFO, "started", NULL, NULL,
				       LOG_FIELDS(LOG_TEXT("version", CIDLB_VERSION),
						  LOG_NUMBER("listeners", conf->listener_count),
						  LOG_NUMBER("pools", conf->pool_count),
						  LOG_NUMBER("workers", conf->workers),
						  LOG_TEXT("fingerprint", fingerprint_format(fingerprint, conf))) },
		   "cidlb %s: %zu listener%s, %zu pool%s, %u worker%s, fingerprint %s", CIDLB_VERSION,
		   conf->listener_count, PLURAL(conf->listener_count), conf->pool_count, PLURAL(conf->pool_count),
		   conf->workers, PLURAL(conf->workers), fingerprint_format(fingerprint, conf));
	reload_log_stateless(conf);
	if (reload_rcvbuf_is_short(text, control, conf))
		log_event(LOG_LEVEL_WARNING, "rcvbuf", NULL, NULL, "%s", text);
}

static int serve(struct daemon *daemon)
{
	started_log(daemon->control);
	service_ready(daemon->service);
	store_sync(daemon->store, daemon->control);
	daemon->serves = true;
	if (event_base_dispatch(daemon->base) < 0)
		return fail("event loop", -EIO);
	service_stopping(daemon->service);
	log_fields(&(struct log_what){ LOG_LEVEL_INFO, "stopped", NULL, NULL, LOG_FIELDS(LOG_TEXT("by", "signal")) },
		   "by signal");
	return 0;
}

int daemon_run(struct conf *conf, enum daemon_sandbox sandbox)
{
	struct daemon daemon = { .conf = conf, .sandbox = sandbox };
	size_t risen = 0;
	int err = 0;

	while (risen < RUNGS && !(err = ladder[risen].up(&daemon)))
		risen++;
	if (!err)
		err = serve(&daemon);
	while (risen-- > 0)
		if (ladder[risen].down)
			ladder[risen].down(&daemon);
	conf_free(daemon.conf);
	return err;
}

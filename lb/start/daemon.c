#include "start/daemon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/event.h>
#include <urcu-qsbr.h>

#include "admin/socket.h"
#include "base/log.h"
#include "base/priv.h"
#include "control/apply.h"
#include "control/control.h"
#include "control/fingerprint.h"
#include "control/reload.h"
#include "start/conntrack.h"
#include "start/doors.h"
#include "start/sandbox.h"

enum { SIGNALS = 3 };

struct daemon {
	struct conf *conf; /* until it is applied; then it is the control's */
	enum daemon_sandbox sandbox;
	struct event_base *base;
	struct control *control;
	struct doors *doors;
	struct event *signals[SIGNALS];
};

static int fail(const char *what, int err)
{
	log_event(LOG_LEVEL_ERROR, "start_failed", NULL, NULL, "%s: %s", what, strerror(-err));
	return err;
}

/* libevent ends cidlb itself when it finds no other way. This line then says why. */
static void library_log(int severity, const char *message)
{
	log_event(severity >= EVENT_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "libevent", NULL, NULL, "%s",
		  message);
}

/* Asked at run time, because 2.1.10 has the soname of older versions. */
static int library_up(struct daemon *daemon)
{
	(void)daemon;
	if (event_get_version_number() < ADMIN_SOCKET_LIBEVENT) {
		log_event(LOG_LEVEL_ERROR, "start_failed", NULL, NULL, "libevent is %s; 2.1.10 or newer is needed",
			  event_get_version());
		return -ENOSYS;
	}
	event_set_log_callback(library_log);
	return 0;
}

/* Each backend's probe needs a socket, and each address and port needs one per worker. The usual soft limit of 1,024 is
 * not enough. */
static void descriptors_allow(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int process_up(struct daemon *daemon)
{
	(void)daemon;
	/* A reader of our log or of /metrics may go away at any time. */
	signal(SIGPIPE, SIG_IGN);
	descriptors_allow();
	rcu_register_thread();
	rcu_thread_offline();
	return 0;
}

static void process_down(struct daemon *daemon)
{
	(void)daemon;
	rcu_unregister_thread();
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

static int doors_up(struct daemon *daemon)
{
	int err = doors_new(&daemon->doors, daemon->control, daemon->base);

	return err ? fail("cannot start", err) : 0;
}

static void doors_down(struct daemon *daemon)
{
	doors_free(daemon->doors);
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
	return 0;
}

static int conf_up(struct daemon *daemon)
{
	int err = apply_conf(daemon->control, daemon->conf);

	if (!err)
		daemon->conf = NULL;
	return err;
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

static int workers_up(struct daemon *daemon)
{
	int err = control_start(daemon->control);

	return err ? fail("cannot start a thread", err) : 0;
}

/* From here on there is no way back but the end of the process. */
static int sandbox_up(struct daemon *daemon)
{
	int err = daemon->sandbox == DAEMON_SANDBOXED ? sandbox_enter() : 0;

	if (err && err != -ENOTSUP)
		log_event(LOG_LEVEL_WARNING, "sandbox", NULL, NULL, "runs without a system call filter: %s",
			  strerror(-err));
	return 0;
}

/* The order of the start. cidlb stops in the reverse order, from wherever it has come to. What needs root comes before
 * root is given up. That comes before anything is read from the network. */
static const struct rung {
	int (*up)(struct daemon *daemon); /* 0, or -errno: it has logged why, and left nothing behind */
	void (*down)(struct daemon *daemon);
} ladder[] = {
	{ library_up, NULL },
	{ process_up, process_down },
	{ loop_up, loop_down },
	{ control_up, control_down }, /* `down` also ends the threads of the workers */
	{ signals_up, signals_down },
	{ doors_up, doors_down },
	{ conf_up, NULL },
	{ socket_up, NULL },
	{ root_up, NULL },
	{ workers_up, NULL },
	{ sandbox_up, NULL },
};

enum { RUNGS = sizeof ladder / sizeof *ladder };

static void started_log(const struct conf *conf)
{
	char fingerprint[FINGERPRINT_TEXT_OCTETS];

	conntrack_check(conf);
	log_event(LOG_LEVEL_INFO, "started", NULL, NULL,
		  "cidlb %s: %zu listeners, %zu pools, %u workers, fingerprint %s", CIDLB_VERSION, conf->listener_count,
		  conf->pool_count, conf->workers, fingerprint_format(fingerprint, conf));
	reload_log_stateless(conf);
}

static int serve(struct daemon *daemon)
{
	started_log(control_conf(daemon->control));
	if (event_base_dispatch(daemon->base) < 0)
		return fail("event loop", -EIO);
	log_event(LOG_LEVEL_INFO, "stopped", NULL, NULL, "by signal");
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

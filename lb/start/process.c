#include "start/process.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "admin/socket.h"
#include "base/log.h"

/* libevent ends cidlb itself when it finds no other way. This line then says why. */
static void library_log(int severity, const char *message)
{
	log_event(severity >= EVENT_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "libevent", NULL, NULL, "%s",
		  message);
}

int process_check_libraries(void)
{
	if (event_get_version_number() < ADMIN_SOCKET_LIBEVENT) {
		log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "start_failed", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("what", "libevent"),
							  LOG_TEXT("error", "2.1.10 or newer is needed"),
							  LOG_TEXT("version", event_get_version())) },
			   "libevent is %s; 2.1.10 or newer is needed", event_get_version());
		return -ENOSYS;
	}
	event_set_log_callback(library_log);
	return 0;
}

void process_allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void process_hang_up(int how)
{
	sigset_t hang_up;

	sigemptyset(&hang_up);
	sigaddset(&hang_up, SIGHUP);
	sigprocmask(how, &hang_up, NULL);
}

/* A reader of our log or of /metrics may go away at any time. The others are what people try who know them from other
 * daemons. */
void process_prepare(void)
{
	static const int ignored[] = { SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM };

	process_hang_up(SIG_BLOCK);
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
	log_queue();
}

#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/log_recent.h"

enum {
	WAITING_OCTETS = 64 << 10, /* and as much again is being written */
	PLAIN_OCTETS = 8 << 10,    /* what is longer is cut */
	STACK_OCTETS = 256 << 10,  /* where memory is limited, the usual 8 MiB are missed elsewhere */
	END_MS = 200,              /* that exit() waits at most */
	MS_NS = 1000000,
};

/* Whole lines, one after another. */
struct lines {
	char text[WAITING_OCTETS];
	size_t len;
};

static struct {
	atomic_bool queues; /* set while there is one thread */
	_Atomic uint64_t lost;

	pthread_mutex_t lock; /* of what follows; held for a copy at most */
	pthread_cond_t some;
	struct lines *waiting;
	bool runs;   /* there is a thread */
	bool writes; /* it has lines that it did not write yet */
	int (*confine)(void);
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER };

static struct lines halves[2];

/* The thread's own. */
static uint64_t told; /* of what was lost */
static bool torn;     /* the last line is not whole */

uint64_t log_lost(void)
{
	return atomic_load_explicit(&queue.lost, memory_order_relaxed);
}

static void lose_one(void)
{
	atomic_fetch_add_explicit(&queue.lost, 1, memory_order_relaxed);
}

/* Takes as long as it takes. Returns how much was written. */
static size_t write_all(const char *text, size_t len)
{
	size_t done = 0;

	while (done < len) {
		const ssize_t n = write(STDERR_FILENO, text + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN) /* another process has made it so */
			(void)poll(&(struct pollfd){ .fd = STDERR_FILENO, .events = POLLOUT }, 1, -1);
		else if (n == 0 || errno != EINTR)
			break;
	}
	return done;
}

/* False: it is lost. The rest of a line that could only be begun must not look like the head of the next one. */
static bool write_line(const char *line, size_t len)
{
	size_t done;

	if (torn && write_all("\n", 1) == 0)
		return false;
	done = write_all(line, len);
	torn = done > 0 && done < len;
	return done == len;
}

static void tell_lost(uint64_t lost)
{
	const struct log_what what = { .level = LOG_LEVEL_WARNING,
				       .event = "log_lost",
				       .fields = LOG_FIELDS(LOG_NUMBER("lines", lost - told)) };
	char words[64];
	struct log_line line;

	snprintf(words, sizeof words, "%llu lines could not be written", (unsigned long long)(lost - told));
	log_line_make(&line, &(struct log_said){ &what, words, log_time_now(), log_line_priority(what.level) },
		      log_get_format());
	if (write_line(line.text, line.len))
		told = lost;
}

/* `lost` before the last of these lines began to wait. */
static void write_lines(const struct lines *lines, uint64_t lost)
{
	const char *end;

	for (const char *at = lines->text; at < lines->text + lines->len; at = end) {
		end = (const char *)memchr(at, '\n', (size_t)(lines->text + lines->len - at)) + 1;
		if (!write_line(at, (size_t)(end - at))) {
			lose_one();
			lost++;
		}
	}
	if (lost > told)
		tell_lost(lost);
}

static void *writer_run(void *arg)
{
	struct lines *taken = &halves[1];

	(void)arg;
	if (queue.confine)
		(void)queue.confine();
	pthread_mutex_lock(&queue.lock);
	for (;;) {
		struct lines *const empty = taken;
		uint64_t lost;

		queue.writes = false;
		while (queue.waiting->len == 0)
			pthread_cond_wait(&queue.some, &queue.lock);
		taken = queue.waiting;
		lost = log_lost();
		empty->len = 0;
		queue.waiting = empty;
		queue.writes = true;
		pthread_mutex_unlock(&queue.lock);
		write_lines(taken, lost);
		pthread_mutex_lock(&queue.lock);
	}
	return NULL;
}

/* With all signals blocked. They belong to the control thread, and a terminal that stops who writes from the background
 * then does not stop cidlb. */
int log_start(int (*confine)(void))
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	queue.confine = confine;
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_OCTETS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&thread, &attr, writer_run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	queue.runs = !err;
	return err;
}

static bool is_written(void)
{
	bool written;

	pthread_mutex_lock(&queue.lock);
	written = queue.waiting->len == 0 && !queue.writes;
	pthread_mutex_unlock(&queue.lock);
	return written;
}

/* A start that failed may have no thread yet. */
void log_finish(void)
{
	if (!queue.runs && !is_written() && log_start(NULL) != 0)
		write_lines(queue.waiting, log_lost());
	for (int ms = 0; queue.runs && ms < END_MS && !is_written(); ms++)
		(void)nanosleep(&(struct timespec){ .tv_nsec = MS_NS }, NULL);
}

void log_queue(void)
{
	queue.waiting = &halves[0];
	atomic_store(&queue.queues, true);
	(void)atexit(log_finish);
}

static void put(const char *line, size_t len)
{
	if (!atomic_load_explicit(&queue.queues, memory_order_relaxed)) {
		(void)write_all(line, len);
		return;
	}
	pthread_mutex_lock(&queue.lock);
	if (len <= sizeof queue.waiting->text - queue.waiting->len) {
		memcpy(queue.waiting->text + queue.waiting->len, line, len);
		queue.waiting->len += len;
		pthread_cond_signal(&queue.some);
	} else {
		lose_one();
	}
	pthread_mutex_unlock(&queue.lock);
}

static void say(const struct log_what *what, const char *format, va_list args)
{
	char words[LOG_REASON_OCTETS];
	struct log_said said = { what, words, log_time_now(), "" };
	struct log_line line;

	vsnprintf(words, sizeof words, format, args);
	log_line_make(&line, &said, LOG_FORMAT_JSON);
	log_recent_add(&line);
	said.priority = log_line_priority(what->level);
	log_line_make(&line, &said, log_get_format());
	put(line.text, line.len);
}

void log_fields(const struct log_what *what, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(what, format, args);
	va_end(args);
}

void log_event(enum log_level level, const char *event, const char *pool, const char *backend, const char *reason, ...)
{
	va_list args;

	va_start(args, reason);
	say(&(struct log_what){ level, event, pool, backend, NULL }, reason, args);
	va_end(args);
}

void log_plain(enum log_level level, const char *text, const char *more)
{
	char line[PLAIN_OCTETS];
	const int len = snprintf(line, sizeof line - 1, "%s%s%s", log_line_priority(level), text, more);
	const size_t end = len < (int)sizeof line - 1 ? (size_t)len : sizeof line - 2;

	line[end] = '\n';
	put(line, end + 1);
}

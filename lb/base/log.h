/* Log lines to stderr, as text or as JSON. The packet path never logs.
 *
 * Text:  2026-11-22T13:20:01.123Z info backend_weight pool=lwm2m backend=b: 90, by command
 * JSON:  {"time":"2026-…","level":"info","event":"backend_weight","pool":"lwm2m","backend":"b","weight":90,"was":100,
 *        "by":"command"}
 *
 * A text line says in words what happened. A JSON line has the same in the event's own fields. What is a reason or an
 * advice is in words there as well: `reason`. Callers never pass identities or keys.
 *
 * To the journal, a line begins with its priority, as in "<4>" (sd-daemon(3)). The journal takes that off.
 *
 * stderr may be a pipe that nobody reads, a terminal that is stopped, a full disk. In the daemon nobody waits for it
 * but a thread of its own, which writes what waits in memory. What finds no room there, or cannot be written, is lost.
 * It is counted, and once a line can be written again, one says how many were lost (`log_lost`). Whether stderr blocks
 * is not changed: it is shared with other processes.
 */
#ifndef CIDLB_BASE_LOG_H
#define CIDLB_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

void log_set_format(enum log_format format);
enum log_format log_get_format(void);

/* Finds out whether stderr is the journal: JOURNAL_STREAM has its numbers. */
void log_find_journal(void);

/* What only JSON lines have apart: `text`, or if that is NULL, `number`. */
struct log_field {
	const char *key, *text;
	int64_t number;
};

#define LOG_TEXT(name, value)                                                                                          \
	{                                                                                                              \
		.key = (name), .text = (value)                                                                         \
	}
#define LOG_NUMBER(name, value)                                                                                        \
	{                                                                                                              \
		.key = (name), .number = (int64_t)(value)                                                              \
	}
#define LOG_FIELDS(...) ((const struct log_field[]){ __VA_ARGS__, { .key = NULL } })

struct log_what {
	enum log_level level;
	const char *event, *pool, *backend; /* the last two may be NULL */
	const struct log_field *fields;     /* LOG_FIELDS() */
};

/* Logs one event: its fields as JSON, the result of the printf format as text. Control characters are escaped.
 * Thread-safe: each line is one write. */
void log_fields(const struct log_what *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same of an event that has nothing but words: in JSON they are its `reason`. `pool` and `backend` may be NULL. */
void log_event(enum log_level level, const char *event, const char *pool, const char *backend, const char *reason, ...)
	__attribute__((format(printf, 5, 6)));

/* Writes a line of another form to the same place, in two parts. They have no newline. */
void log_plain(enum log_level level, const char *text, const char *more);

/* From here on, lines wait in memory, until log_start() or the end of the process. exit() waits for the writing of what
 * is left, but not for long. For the daemon, while it has one thread. Until then a line is written by whoever logs it.
 */
void log_queue(void);

/* Starts the thread that writes. `confine` (NULL: nothing) takes from it what it does not need. To be called once root
 * is given up, because capabilities are each thread's own. Returns 0 or -errno. */
int log_start(int (*confine)(void));

/* What exit() does: waits for the writing of what is left, but not for long. For who ends by _exit(). */
void log_finish(void);

/* How many lines were lost. Any thread. */
uint64_t log_lost(void);

#endif

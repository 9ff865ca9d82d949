/* Log lines to stderr, as text or as JSON with the fields time, level, event, pool, backend, reason. The packet path
 * never logs.
 *
 * Text:  2026-11-22T13:20:01.123Z info backend_down pool=lwm2m backend=b: no answer for 1000 ms
 *
 * Callers never pass identities or keys.
 */
#ifndef CIDLB_BASE_LOG_H
#define CIDLB_BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

void log_set_format(enum log_format format);

/* Logs one event. `pool` and `backend` may be NULL. `reason` is a printf format; control characters in its result are
 * escaped. Thread-safe: each line is one write. */
void log_event(enum log_level level, const char *event, const char *pool, const char *backend, const char *reason, ...)
	__attribute__((format(printf, 5, 6)));

#endif

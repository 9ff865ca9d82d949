/* Log lines to stderr, as text or as JSON with the fields time, level, event, pool, backend, reason. Never from the
 * packet path.
 *
 * Text:  2026-11-22T13:20:01.123Z info backend_down pool=lwm2m backend=b: no answer for 1000 ms
 * Identities and keys are never passed to it.
 */
#ifndef CIDLB_BASE_LOG_H
#define CIDLB_BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

void log_set_format(enum log_format format);

/* One event. `pool` and `backend` may be NULL; `reason` is a printf format, control characters in the result are
 * escaped. Thread-safe: one write per line. */
void log_event(enum log_level level, const char *event, const char *pool, const char *backend, const char *reason, ...)
	__attribute__((format(printf, 5, 6)));

#endif

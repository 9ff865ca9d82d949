/* The last lines of the log as JSON, whatever the form of the log is, for whoever asks what happened. A fixed size: the
 * oldest lines go. Any thread. */
#ifndef CIDLB_BASE_LOG_RECENT_H
#define CIDLB_BASE_LOG_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log_line.h"

enum { LOG_RECENT_OCTETS = 128 << 10 /* some 700 lines */ };

void log_recent_add(const struct log_line *line);

enum log_recent_found { LOG_RECENT_NONE, LOG_RECENT_LINE, LOG_RECENT_MISSED /* lines before this one are gone */ };

/* Copies the line at *at, and moves *at behind it. A reader begins with *at 0, and is told then of nothing that it
 * missed. */
enum log_recent_found log_recent_next(uint64_t *at, struct log_line *line);

#endif

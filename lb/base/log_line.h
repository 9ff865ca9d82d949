/* What a log line looks like: see log.h. Any thread. */
#ifndef CIDLB_BASE_LOG_LINE_H
#define CIDLB_BASE_LOG_LINE_H

#include <stddef.h>

#include "base/log.h"

enum {
	LOG_NAME_OCTETS = 128,      /* of event, pool and backend: what is longer is cut */
	LOG_REASON_OCTETS = 512,    /* of words, with the final NUL */
	LOG_FIELDS_MAX = 8,         /* of an event; further ones are left out */
	LOG_FIELDS_OCTETS = 1024,   /* of their texts together: what is longer is cut */
	LOG_ESCAPED_OCTETS = 6,     /* \u00XX, the longest escape */
	LOG_AROUND_OCTETS = 160,    /* priority, time, level, keys and punctuation */
	LOG_FIELD_OCTETS = 32 + 24, /* its key and punctuation, and a number */
	LOG_LINE_OCTETS = LOG_ESCAPED_OCTETS * (3 * LOG_NAME_OCTETS + LOG_FIELDS_OCTETS) +
			  LOG_FIELDS_MAX * LOG_FIELD_OCTETS + LOG_AROUND_OCTETS,
};

/* A moment as lines have it. */
struct log_time {
	char text[48];
};
struct log_time log_time_now(void);

/* `words`: in a text line. */
struct log_said {
	const struct log_what *what;
	const char *words;
	struct log_time time;
	const char *priority; /* what the line begins with */
};

/* With its newline. */
struct log_line {
	char text[LOG_LINE_OCTETS];
	size_t len;
};

/* Writes the line that says so. */
void log_line_make(struct log_line *line, const struct log_said *said, enum log_format format);

/* "<4>", or "" if lines do not go to the journal. */
const char *log_line_priority(enum log_level level);

#endif

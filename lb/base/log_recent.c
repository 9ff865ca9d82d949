#include "base/log_recent.h"

#include <string.h>

#include <pthread.h>

_Static_assert(sizeof((struct log_line *)NULL)->text <= LOG_RECENT_OCTETS / 4, "a line finds room");

static struct {
	pthread_mutex_t lock;
	char text[LOG_RECENT_OCTETS]; /* whole lines */
	size_t len;
	uint64_t first; /* octets that came before text[0] */
} recent = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The oldest lines go, a quarter of all at once. */
static void make_room(void)
{
	const char *end = memchr(recent.text + LOG_RECENT_OCTETS / 4, '\n', recent.len - LOG_RECENT_OCTETS / 4);
	const size_t gone = (size_t)(end + 1 - recent.text);

	memmove(recent.text, recent.text + gone, recent.len - gone);
	recent.len -= gone;
	recent.first += gone;
}

void log_recent_add(const struct log_line *line)
{
	pthread_mutex_lock(&recent.lock);
	if (line->len > sizeof recent.text - recent.len)
		make_room();
	memcpy(recent.text + recent.len, line->text, line->len);
	recent.len += line->len;
	pthread_mutex_unlock(&recent.lock);
}

enum log_recent_found log_recent_next(uint64_t *at, struct log_line *line)
{
	enum log_recent_found found = LOG_RECENT_NONE;

	pthread_mutex_lock(&recent.lock);
	if (*at < recent.first + recent.len) {
		found = *at > 0 && *at < recent.first ? LOG_RECENT_MISSED : LOG_RECENT_LINE;
		if (*at < recent.first)
			*at = recent.first;
		const char *from = recent.text + (*at - recent.first);
		const char *end = memchr(from, '\n', recent.len - (size_t)(from - recent.text));

		line->len = (size_t)(end + 1 - from);
		memcpy(line->text, from, line->len);
		*at += line->len;
	}
	pthread_mutex_unlock(&recent.lock);
	return found;
}

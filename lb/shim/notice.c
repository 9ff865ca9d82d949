#include "shim/notice.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shim/real.h"

enum { LINE_OCTETS = 512, QUIET_S = 60 };

static const char *const reasons[NOTICE_DROPS] = {
	[PROXY2_NO_HEADER] = "it has no header",
	[PROXY2_LENGTH] = "the lengths in its header are wrong",
	[PROXY2_KIND] = "its header is of another kind",
	[PROXY2_NO_TAG] = "its header has no tag",
	[PROXY2_DIRECTION] = "its header is of the other direction",
	[PROXY2_KEY] = "its tag is of a key that is not in CIDLB_SHIM_KEY",
	[PROXY2_TAG] = "its tag does not verify",
	[NOTICE_FOREIGN] = "its sender is not in CIDLB_SHIM_NODES",
	[NOTICE_FAMILY] = "its device has an IPv6 address, the server an IPv4 socket",
};

void notice_say(const char *format, ...)
{
	static const char head[] = "libcidlb-shim: ";
	const int saved = errno;
	char line[LINE_OCTETS];
	va_list arguments;

	memcpy(line, head, sizeof head);
	size_t len = sizeof head - 1;
	va_start(arguments, format);
	const int wanted = vsnprintf(line + len, sizeof line - len - 1, format, arguments);
	va_end(arguments);
	if (wanted > 0)
		len += (size_t)wanted < sizeof line - len - 2 ? (size_t)wanted : sizeof line - len - 2;
	line[len++] = '\n';
	/* If the line cannot be written, nothing is left to be done. */
	const ssize_t written = real_calls()->write(STDERR_FILENO, line, len);
	(void)written;
	errno = saved;
}

void notice_drop(struct notice *notice, unsigned drop, const struct addr *outer)
{
	const unsigned long count = atomic_fetch_add(&notice->dropped[drop], 1) + 1;
	long said_s = atomic_load(&notice->said_s[drop]);
	char text[ADDR_TEXT_OCTETS];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	const long now_s = (long)now.tv_sec + 1; /* never 0 */
	if ((said_s != 0 && now_s - said_s < QUIET_S) ||
	    !atomic_compare_exchange_strong(&notice->said_s[drop], &said_s, now_s))
		return;
	notice_say("dropped a datagram from %s: %s; so far %lu", addr_format(outer, text), reasons[drop], count);
}

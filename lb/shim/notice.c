#include "shim/notice.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "common/plural.h"
#include "shim/real.h"

enum { LINE_OCTETS = 512 }; /* at most PIPE_BUF */

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

static long now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (long)now.tv_sec + 1; /* never 0 */
}

/* True once for each time that is due, whichever thread asks. */
static bool is_due(atomic_long *said_s, long at_s)
{
	long seen_s = atomic_load(said_s);

	return (seen_s == 0 || at_s - seen_s >= NOTICE_QUIET_S) &&
	       atomic_compare_exchange_strong(said_s, &seen_s, at_s);
}

/* A server that connects a socket per device, or binds one, has a line each time. Devices decide how often. */
static bool may_say(void)
{
	static atomic_long minute_s;
	static atomic_uint lines;

	if (is_due(&minute_s, now_s()))
		atomic_store(&lines, 0);
	return atomic_fetch_add(&lines, 1) < NOTICE_LINES;
}

static struct stat at_start; /* st_mode is 0 if there was none */

void notice_begin(void)
{
	if (fstat(STDERR_FILENO, &at_start) != 0)
		at_start.st_mode = 0;
}

/* A server may have closed descriptor 2. What it opened next has got the number. */
static bool is_log(void)
{
	struct stat now;

	if (fstat(STDERR_FILENO, &now) != 0)
		return false;
	if (at_start.st_mode && now.st_dev == at_start.st_dev && now.st_ino == at_start.st_ino)
		return true;
	return S_ISCHR(now.st_mode) || S_ISFIFO(now.st_mode) ||
	       (S_ISREG(now.st_mode) && real_calls()->fcntl(STDERR_FILENO, F_GETFL) & O_APPEND);
}

void notice_say(const char *format, ...)
{
	static const char head[] = "libcidlb-shim: ";
	const int saved = errno;
	char line[LINE_OCTETS];
	va_list arguments;

	if (!may_say() || !is_log()) {
		errno = saved;
		return;
	}
	memcpy(line, head, sizeof head);
	size_t len = sizeof head - 1;
	va_start(arguments, format);
	const int wanted = vsnprintf(line + len, sizeof line - len - 1, format, arguments);
	va_end(arguments);
	if (wanted > 0)
		len += (size_t)wanted < sizeof line - len - 2 ? (size_t)wanted : sizeof line - len - 2;
	line[len++] = '\n';
	/* The server does not wait for it. A pipe that is ready takes so short a line whole. If it cannot be written,
	 * nothing is left to be done. */
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
	const ssize_t written =
		real_calls()->poll(&ready, 1, 0) == 1 ? real_calls()->write(STDERR_FILENO, line, len) : 0;
	(void)written;
	errno = saved;
}

void notice_drop(struct notice *notice, unsigned drop, const struct addr *outer)
{
	const unsigned long count = atomic_fetch_add(&notice->dropped[drop], 1) + 1;
	char text[ADDR_TEXT_OCTETS];

	if (is_due(&notice->said_s[drop], now_s()))
		notice_say("dropped a datagram from %s: %s; so far %lu", addr_format(outer, text), reasons[drop],
			   count);
}

void notice_not_direct(struct notice *notice, const struct addr *service, int error)
{
	char text[ADDR_TEXT_OCTETS];

	if (is_due(&notice->not_direct_s, now_s()))
		notice_say("cannot answer devices from %s, so answers go to the node: %s; is the address on lo "
			   "here, the port the server's, and a route there?",
			   addr_format(service, text), strerror(error));
}

void notice_kernel_drops(struct notice *notice, int fd)
{
	const int saved = errno;
	uint32_t numbers[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof numbers;

	if (!is_due(&notice->looked_s, now_s()))
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &len) == 0 && numbers[SK_MEMINFO_DROPS] != 0 &&
	    atomic_exchange(&notice->kernel_dropped, numbers[SK_MEMINFO_DROPS]) != numbers[SK_MEMINFO_DROPS])
		notice_say("the kernel dropped %u datagram%s: of senders that are not in CIDLB_SHIM_NODES, without a "
			   "header, of IPv6 devices at an IPv4 socket, or for want of room in the receive buffer",
			   numbers[SK_MEMINFO_DROPS], PLURAL(numbers[SK_MEMINFO_DROPS]));
	errno = saved;
}

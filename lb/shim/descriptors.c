/* The calls of the C library that make a socket a tunnelled one, duplicate it or close it. Also syscall(), through
 * which some programs make any of them.
 */
#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "shim/marks.h"
#include "shim/polls.h"
#include "shim/real.h"
#include "shim/rewrite.h"
#include "shim/start.h"

#define EXPORTED __attribute__((visibility("default")))

/* A socket that should be tunnelled and cannot be stays bound. But bind() fails, and the socket carries nothing. */
static int tunnel(int fd)
{
	const int err = start_tunnel(fd);

	if (!err)
		return 0;
	errno = -err;
	return -1;
}

EXPORTED int bind(int fd, __CONST_SOCKADDR_ARG name, socklen_t len)
{
	return real_calls()->bind(fd, name, len) == 0 ? tunnel(fd) : -1;
}

static int refuse_connect(const struct sockaddr *name, socklen_t len)
{
	char text[ADDR_TEXT_OCTETS] = "a device";
	struct addr to;

	if (rewrite_addr(&to, name, len) == 0)
		addr_format(&to, text);
	notice_say("connect() to %s refused: this UDP port is tunnelled, and all devices come from cidlb's nodes",
		   text);
	errno = EOPNOTSUPP;
	return -1;
}

EXPORTED int connect(int fd, __CONST_SOCKADDR_ARG name, socklen_t len)
{
	const bool undo = len >= sizeof(sa_family_t) && name.__sockaddr__->sa_family == AF_UNSPEC;

	return marks_get(fd) && !undo ? refuse_connect(name.__sockaddr__, len) : real_calls()->connect(fd, name, len);
}

/* These options make one datagram of several, or several of one. But each datagram has a header of its own. */
static bool is_of_many(int level, int option)
{
	return level == IPPROTO_UDP && (option == UDP_SEGMENT || option == UDP_GRO || option == UDP_CORK);
}

/* A server's own filter would read the header in place of the payload. And the socket has one filter: the shim's. */
static bool is_filter(int level, int option)
{
	return level == SOL_SOCKET &&
	       (option == SO_ATTACH_FILTER || option == SO_ATTACH_BPF || option == SO_DETACH_FILTER);
}

EXPORTED int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if ((is_of_many(level, option) || is_filter(level, option)) && marks_get(fd)) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return real_calls()->setsockopt(fd, level, option, value, len);
}

/* The mark is cleared first. Once the descriptor is closed, another thread may get its number. */
EXPORTED int close(int fd)
{
	if (fd >= 0)
		marks_clear((unsigned)fd, (unsigned)fd);
	return real_calls()->close(fd);
}

EXPORTED int close_range(unsigned first, unsigned last, int flags)
{
	if (!((unsigned)flags & CLOSE_RANGE_CLOEXEC))
		marks_clear(first, last);
	return real_calls()->close_range(first, last, flags);
}

EXPORTED void closefrom(int first)
{
	marks_clear(first > 0 ? (unsigned)first : 0, UINT_MAX);
	real_calls()->closefrom(first);
}

static int copied(int from, int to)
{
	if (to < 0 || marks_copy(from, to))
		return to;
	real_calls()->close(to);
	errno = EMFILE;
	return -1;
}

EXPORTED int dup(int fd)
{
	return copied(fd, real_calls()->dup(fd));
}

EXPORTED int dup2(int fd, int other)
{
	return copied(fd, real_calls()->dup2(fd, other));
}

EXPORTED int dup3(int fd, int other, int flags)
{
	return copied(fd, real_calls()->dup3(fd, other, flags));
}

static bool duplicates(int command)
{
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC;
}

EXPORTED int fcntl(int fd, int command, ...)
{
	va_list arguments;

	va_start(arguments, command);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	const int result = real_calls()->fcntl(fd, command, argument);
	return duplicates(command) ? copied(fd, result) : result;
}

EXPORTED int fcntl64(int fd, int command, ...)
{
	va_list arguments;

	va_start(arguments, command);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	const int result = real_calls()->fcntl64(fd, command, argument);
	return duplicates(command) ? copied(fd, result) : result;
}

enum { SYSCALL_ARGUMENTS = 6 };

/* Makes those calls that differ on a tunnelled socket. False: the call is left to the kernel. */
static bool call_tunnelled(long *result, long number, const long a[static SYSCALL_ARGUMENTS])
{
	const int fd = (int)a[0];

	switch (number) {
	case SYS_recvfrom:
		*result =
			recvfrom(fd, (void *)a[1], (size_t)a[2], (int)a[3], (struct sockaddr *)a[4], (socklen_t *)a[5]);
		return true;
	case SYS_recvmsg:
		*result = recvmsg(fd, (struct msghdr *)a[1], (int)a[2]);
		return true;
	case SYS_recvmmsg:
		*result = recvmmsg(fd, (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3], (struct timespec *)a[4]);
		return true;
	case SYS_read:
		*result = read(fd, (void *)a[1], (size_t)a[2]);
		return true;
	case SYS_readv:
		*result = readv(fd, (const struct iovec *)a[1], (int)a[2]);
		return true;
	case SYS_sendto:
		*result = sendto(fd, (const void *)a[1], (size_t)a[2], (int)a[3], (const struct sockaddr *)a[4],
				 (socklen_t)a[5]);
		return true;
	case SYS_sendmsg:
		*result = sendmsg(fd, (const struct msghdr *)a[1], (int)a[2]);
		return true;
	case SYS_sendmmsg:
		*result = sendmmsg(fd, (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3]);
		return true;
	case SYS_write:
		*result = write(fd, (const void *)a[1], (size_t)a[2]);
		return true;
	case SYS_writev:
		*result = writev(fd, (const struct iovec *)a[1], (int)a[2]);
		return true;
	case SYS_connect:
		*result = connect(fd, (const struct sockaddr *)a[1], (socklen_t)a[2]);
		return true;
	case SYS_setsockopt:
		*result = setsockopt(fd, (int)a[1], (int)a[2], (const void *)a[3], (socklen_t)a[4]);
		return true;
	default:
		return false;
	}
}

/* What the kernel has done may change marks. */
static long note(long number, const long a[static SYSCALL_ARGUMENTS], long result)
{
	if (result < 0)
		return result;
	switch (number) {
	case SYS_bind:
		return tunnel((int)a[0]);
	case SYS_dup:
	case SYS_dup3:
#ifdef SYS_dup2
	case SYS_dup2:
#endif
		return copied((int)a[0], (int)result);
	case SYS_fcntl:
		return duplicates((int)a[1]) ? copied((int)a[0], (int)result) : result;
	case SYS_close_range:
		if (!((unsigned)a[2] & CLOSE_RANGE_CLOEXEC))
			marks_clear((unsigned)a[0], (unsigned)a[1]);
		return result;
	default:
		return result;
	}
}

/* Takes as many arguments as any call has, like the C library's. */
EXPORTED long syscall(long number, ...)
{
	long a[SYSCALL_ARGUMENTS], result;
	va_list arguments;

	va_start(arguments, number);
	for (int i = 0; i < SYSCALL_ARGUMENTS; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	polls_note(number, a);
	if (number == SYS_close)
		return close((int)a[0]);
	/* A descriptor is an int. The kernel ignores the rest of the register. */
	if (marks_get((int)a[0]) && call_tunnelled(&result, number, a))
		return result;
	return note(number, a, real_calls()->syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

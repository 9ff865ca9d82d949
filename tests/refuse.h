/* sendmmsg() and recvmmsg() in the place of the C library's: they count, and sendmmsg() refuses as it is told. */
#ifndef CIDLB_TESTS_REFUSE_H
#define CIDLB_TESTS_REFUSE_H

#include <check.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net.h"

static unsigned sends, refusals; /* system calls: all, and how many of the next ones are refused */
static int refused_with;
static unsigned error_reads; /* calls of recvmmsg() for an error queue */

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	sends++;
	if (refusals == 0)
		return (int)syscall(SYS_sendmmsg, fd, messages, count, flags);
	refusals--;
	errno = refused_with;
	return -1;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	error_reads += (flags & MSG_ERRQUEUE) != 0;
	return (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
}

static inline void refuse(int error, unsigned times)
{
	refused_with = error;
	refusals = times;
}

/* A socket at a port that the kernel chooses. */
static inline int open_at(const char *ip, struct addr *addr, bool endpoint)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof name;
	int fd;

	ck_assert_int_eq(addr_parse_ip(addr, ip), 0);
	fd = net_bind(addr, true, endpoint);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	*addr = net_addr(&name);
	return fd;
}

#endif

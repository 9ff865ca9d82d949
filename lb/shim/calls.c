/* The calls of the C library that move datagrams. On a descriptor without a mark each passes on to the next library. */
#include <errno.h>
#include <time.h>

#include "shim/marks.h"
#include "shim/real.h"
#include "shim/start.h"

#define EXPORTED __attribute__((visibility("default")))

enum { LONG_S = 1000000000 /* as good as for ever */ };

void __chk_fail(void) __attribute__((noreturn));
ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags, __SOCKADDR_ARG name, socklen_t *len);
ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room);

static ssize_t receive(int fd, uint8_t mark, void *buffer, size_t size, int flags, struct sockaddr *name,
		       socklen_t *len)
{
	struct iovec piece = { buffer, size };
	struct msghdr msg = { .msg_name = name, .msg_namelen = name ? *len : 0, .msg_iov = &piece, .msg_iovlen = 1 };

	const ssize_t octets = datagram_receive(start_shim(), fd, mark, &msg, flags);
	if (octets >= 0 && name)
		*len = msg.msg_namelen;
	return octets;
}

static ssize_t send_to(int fd, uint8_t mark, const void *buffer, size_t size, int flags, const struct sockaddr *name,
		       socklen_t len)
{
	struct iovec piece = { (void *)(uintptr_t)buffer, size };
	const struct msghdr msg = {
		.msg_name = (void *)(uintptr_t)name, .msg_namelen = len, .msg_iov = &piece, .msg_iovlen = 1
	};

	return datagram_send(start_shim(), fd, mark, &msg, flags);
}

EXPORTED ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, __SOCKADDR_ARG name, socklen_t *len)
{
	const uint8_t mark = marks_get(fd);

	return mark ? receive(fd, mark, buffer, size, flags, name.__sockaddr__, len)
		    : real_calls()->recvfrom(fd, buffer, size, flags, name, len);
}

EXPORTED ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
	const uint8_t mark = marks_get(fd);

	return mark ? receive(fd, mark, buffer, size, flags, NULL, NULL) : real_calls()->recv(fd, buffer, size, flags);
}

/* Unlike recv(), a read() of no octets takes no datagram. */
EXPORTED ssize_t read(int fd, void *buffer, size_t size)
{
	const uint8_t mark = marks_get(fd);

	return mark && size > 0 ? receive(fd, mark, buffer, size, 0, NULL, NULL) : real_calls()->read(fd, buffer, size);
}

EXPORTED ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	const uint8_t mark = marks_get(fd);

	return mark ? datagram_receive(start_shim(), fd, mark, msg, flags) : real_calls()->recvmsg(fd, msg, flags);
}

EXPORTED ssize_t readv(int fd, const struct iovec *pieces, int count)
{
	const uint8_t mark = marks_get(fd);
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count };

	return mark && count > 0 ? datagram_receive(start_shim(), fd, mark, &msg, 0)
				 : real_calls()->readv(fd, pieces, count);
}

static bool has_passed(const struct timespec *end)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end->tv_sec || (now.tv_sec == end->tv_sec && now.tv_nsec >= end->tv_nsec);
}

/* As in the kernel, the time is checked only after each datagram. */
static int receive_many(int fd, uint8_t mark, struct mmsghdr *messages, unsigned count, int flags,
			const struct timespec *timeout)
{
	struct timespec end = { 0 };
	unsigned done = 0;

	if (timeout) {
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += timeout->tv_sec < LONG_S ? timeout->tv_sec : LONG_S;
		end.tv_sec += (end.tv_nsec + timeout->tv_nsec) / 1000000000;
		end.tv_nsec = (end.tv_nsec + timeout->tv_nsec) % 1000000000;
	}
	while (done < count) {
		const ssize_t octets =
			datagram_receive(start_shim(), fd, mark, &messages[done].msg_hdr, flags & ~MSG_WAITFORONE);
		if (octets < 0)
			return done > 0 ? (int)done : -1;
		messages[done++].msg_len = (unsigned)octets;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (timeout && has_passed(&end))
			break;
	}
	return (int)done;
}

EXPORTED int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	const uint8_t mark = marks_get(fd);

	return mark ? receive_many(fd, mark, messages, count, flags, timeout)
		    : real_calls()->recvmmsg(fd, messages, count, flags, timeout);
}

EXPORTED ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags)
{
	if (size > room)
		__chk_fail();
	return recv(fd, buffer, size, flags);
}

EXPORTED ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags, __SOCKADDR_ARG name,
				socklen_t *len)
{
	if (size > room)
		__chk_fail();
	return recvfrom(fd, buffer, size, flags, name, len);
}

EXPORTED ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room)
{
	if (size > room)
		__chk_fail();
	return read(fd, buffer, size);
}

EXPORTED ssize_t sendto(int fd, const void *buffer, size_t size, int flags, __CONST_SOCKADDR_ARG name, socklen_t len)
{
	const uint8_t mark = marks_get(fd);

	return mark ? send_to(fd, mark, buffer, size, flags, name.__sockaddr__, len)
		    : real_calls()->sendto(fd, buffer, size, flags, name, len);
}

EXPORTED ssize_t send(int fd, const void *buffer, size_t size, int flags)
{
	const uint8_t mark = marks_get(fd);

	return mark ? send_to(fd, mark, buffer, size, flags, NULL, 0) : real_calls()->send(fd, buffer, size, flags);
}

EXPORTED ssize_t write(int fd, const void *buffer, size_t size)
{
	const uint8_t mark = marks_get(fd);

	return mark ? send_to(fd, mark, buffer, size, 0, NULL, 0) : real_calls()->write(fd, buffer, size);
}

EXPORTED ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const uint8_t mark = marks_get(fd);

	return mark ? datagram_send(start_shim(), fd, mark, msg, flags) : real_calls()->sendmsg(fd, msg, flags);
}

EXPORTED ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	const uint8_t mark = marks_get(fd);
	const struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count };

	return mark ? datagram_send(start_shim(), fd, mark, &msg, 0) : real_calls()->writev(fd, pieces, count);
}

static int send_many(int fd, uint8_t mark, struct mmsghdr *messages, unsigned count, int flags)
{
	unsigned done = 0;

	for (; done < count; done++) {
		const ssize_t octets = datagram_send(start_shim(), fd, mark, &messages[done].msg_hdr, flags);
		if (octets < 0)
			return done > 0 ? (int)done : -1;
		messages[done].msg_len = (unsigned)octets;
	}
	return (int)done;
}

EXPORTED int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	const uint8_t mark = marks_get(fd);

	return mark ? send_many(fd, mark, messages, count, flags) : real_calls()->sendmmsg(fd, messages, count, flags);
}

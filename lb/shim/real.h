/* The calls that the shim replaces, as the next library has them. */
#ifndef CIDLB_SHIM_REAL_H
#define CIDLB_SHIM_REAL_H

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL_CALLS(X)                                                                                                  \
	X(recv)                                                                                                        \
	X(recvfrom)                                                                                                    \
	X(recvmsg)                                                                                                     \
	X(recvmmsg)                                                                                                    \
	X(read)                                                                                                        \
	X(readv)                                                                                                       \
	X(send)                                                                                                        \
	X(sendto)                                                                                                      \
	X(sendmsg)                                                                                                     \
	X(sendmmsg)                                                                                                    \
	X(write)                                                                                                       \
	X(writev)                                                                                                      \
	X(bind)                                                                                                        \
	X(connect)                                                                                                     \
	X(setsockopt)                                                                                                  \
	X(close)                                                                                                       \
	X(close_range)                                                                                                 \
	X(closefrom)                                                                                                   \
	X(dup)                                                                                                         \
	X(dup2)                                                                                                        \
	X(dup3)                                                                                                        \
	X(fcntl)                                                                                                       \
	X(fcntl64)                                                                                                     \
	X(poll)                                                                                                        \
	X(ppoll)                                                                                                       \
	X(select)                                                                                                      \
	X(pselect)                                                                                                     \
	X(epoll_ctl)                                                                                                   \
	X(syscall)

struct real_calls {
#define X(name) __typeof__(name) *name;
	REAL_CALLS(X)
#undef X
};

/* Complete at any time, because another library's start may call us before ours. */
const struct real_calls *real_calls(void);

#endif

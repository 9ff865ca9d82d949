/* The calls of the C library that wait for descriptors. They do what they always do. But the shim learns which
 * descriptors somebody waits for before receiving: datagram_receive() must not block on those. */
#include "shim/polls.h"

#include <sys/syscall.h>

#include "shim/marks.h"
#include "shim/real.h"

#define EXPORTED __attribute__((visibility("default")))

void __chk_fail(void) __attribute__((noreturn));
int __poll_chk(struct pollfd *polled, nfds_t count, int timeout_ms, size_t room);
int __ppoll_chk(struct pollfd *polled, nfds_t count, const struct timespec *timeout, const sigset_t *signals,
		size_t room);

static void note_polled(const struct pollfd *polled, nfds_t count)
{
	for (nfds_t i = 0; polled && i < count; i++)
		if (polled[i].events & (POLLIN | POLLRDNORM))
			marks_note_polled(polled[i].fd);
}

EXPORTED int poll(struct pollfd *polled, nfds_t count, int timeout_ms)
{
	note_polled(polled, count);
	return real_calls()->poll(polled, count, timeout_ms);
}

EXPORTED int ppoll(struct pollfd *polled, nfds_t count, const struct timespec *timeout, const sigset_t *signals)
{
	note_polled(polled, count);
	return real_calls()->ppoll(polled, count, timeout, signals);
}

EXPORTED int __poll_chk(struct pollfd *polled, nfds_t count, int timeout_ms, size_t room)
{
	if (room / sizeof *polled < count)
		__chk_fail();
	return poll(polled, count, timeout_ms);
}

EXPORTED int __ppoll_chk(struct pollfd *polled, nfds_t count, const struct timespec *timeout, const sigset_t *signals,
			 size_t room)
{
	if (room / sizeof *polled < count)
		__chk_fail();
	return ppoll(polled, count, timeout, signals);
}

/* The set may be larger than fd_set, as the kernel allows. */
static void note_selected(int count, const fd_set *readable)
{
	const fd_mask *words = (const fd_mask *)(const void *)readable;

	for (int fd = 0; readable && fd < count; fd++)
		if (words[fd / NFDBITS] & (fd_mask)(1UL << fd % NFDBITS))
			marks_note_polled(fd);
}

EXPORTED int select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timeval *timeout)
{
	note_selected(count, readable);
	return real_calls()->select(count, readable, writable, exceptional, timeout);
}

EXPORTED int pselect(int count, fd_set *readable, fd_set *writable, fd_set *exceptional, const struct timespec *timeout,
		     const sigset_t *signals)
{
	note_selected(count, readable);
	return real_calls()->pselect(count, readable, writable, exceptional, timeout, signals);
}

EXPORTED int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	if (operation != EPOLL_CTL_DEL)
		marks_note_polled(fd);
	return real_calls()->epoll_ctl(epoll, operation, fd, event);
}

void polls_note(long number, const long *arguments)
{
	switch (number) {
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		note_polled((const struct pollfd *)arguments[0], (nfds_t)arguments[1]);
		break;
#ifdef SYS_select
	case SYS_select:
#endif
	case SYS_pselect6:
		note_selected((int)arguments[0], (const fd_set *)arguments[1]);
		break;
	case SYS_epoll_ctl:
		if (arguments[1] != EPOLL_CTL_DEL)
			marks_note_polled((int)arguments[2]);
		break;
	default:
		break;
	}
}

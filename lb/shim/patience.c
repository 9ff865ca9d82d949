#include "shim/patience.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "shim/marks.h"
#include "shim/real.h"

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void patience_begin(struct patience *patience, int fd, int flags)
{
	patience->fd = fd;
	patience->flags = flags;
	patience->begin_ms = now_ms();
	patience->limit_ms = 0;
	patience->holds = false;
}

/* Those that come of what a thread does are not held: blocked, they kill. */
static void hold(struct patience *patience)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_BLOCK, &all, &patience->before);
	patience->holds = true;
}

/* Those that were held arrive now, before this returns. errno stays as it is. */
static void release(struct patience *patience)
{
	const int saved = errno;

	if (patience->holds)
		pthread_sigmask(SIG_SETMASK, &patience->before, NULL);
	patience->holds = false;
	errno = saved;
}

/* As signal(7) says: with SO_RCVTIMEO, SA_RESTART does not restart the call. */
static bool interrupts(const struct patience *patience, int signal)
{
	struct sigaction action;

	if (sigismember(&patience->before, signal) == 1 || sigaction(signal, NULL, &action) != 0 ||
	    action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL)
		return false;
	return !(action.sa_flags & SA_RESTART) || patience->limit_ms > 0;
}

/* Of those in the set. */
static bool any_interrupts(const struct patience *patience, const sigset_t *signals)
{
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		if (sigismember(signals, signal) == 1 && interrupts(patience, signal))
			return true;
	return false;
}

/* Lets signals through that were held. -1 with EINTR: one of them ends the call. */
static int let_through(struct patience *patience)
{
	sigset_t pending;

	if (sigpending(&pending) != 0)
		return 0;
	const bool ends = any_interrupts(patience, &pending);
	/* One that nobody catches may end the process. */
	if (ends || !sigisemptyset(&pending)) {
		release(patience);
		hold(patience);
	}
	if (ends)
		errno = EINTR;
	return ends ? -1 : 0;
}

/* SO_RCVTIMEO; 0: for ever. Rounded up. */
static int64_t limit_of(int fd)
{
	struct timeval limit = { 0 };
	socklen_t len = sizeof limit;

	if (getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &len) != 0)
		return 0;
	return (int64_t)limit.tv_sec * 1000 + (limit.tv_usec + 999) / 1000;
}

/* -1 with EBADF: meanwhile the descriptor was closed, or has become another file, whose data is not ours. */
static int check_descriptor(const struct patience *patience)
{
	if (marks_get(patience->fd))
		return 0;
	errno = EBADF;
	return -1;
}

int patience_go_on(struct patience *patience)
{
	if (check_descriptor(patience) != 0)
		return -1;
	if (patience->flags & MSG_DONTWAIT)
		return 0;
	if (marks_is_polled(patience->fd) || real_calls()->fcntl(patience->fd, F_GETFL) & O_NONBLOCK) {
		patience->flags |= MSG_DONTWAIT;
		return 0;
	}
	if (patience->holds)
		return let_through(patience);
	patience->limit_ms = limit_of(patience->fd);
	hold(patience);
	return 0;
}

/* Waits until there is something, while signals come as they do without us. 0: there is nothing to be read, but
 * something to be told. -1 with errno: the call is over. */
static int wait_for_any(const struct patience *patience)
{
	struct pollfd polled = { .fd = patience->fd, .events = POLLIN | POLLRDHUP };
	struct timespec left;
	sigset_t all;
	int ready;

	sigfillset(&all);
	do {
		const int64_t left_ms = patience->begin_ms + patience->limit_ms - now_ms();
		left = (struct timespec){ .tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000 };
		if (patience->limit_ms > 0 && left_ms <= 0) {
			errno = EAGAIN;
			return -1;
		}
		ready = real_calls()->ppoll(&polled, 1, patience->limit_ms > 0 ? &left : NULL, &patience->before);
		/* Which one came is not known. A server that has a handler without SA_RESTART knows EINTR. */
	} while (ready == 0 || (ready < 0 && errno == EINTR && !any_interrupts(patience, &all)));
	return ready < 0 ? -1 : (polled.revents & (POLLIN | POLLRDHUP | POLLHUP)) == POLLIN;
}

ssize_t patience_receive(struct patience *patience, struct msghdr *msg)
{
	const struct msghdr asked = *msg;

	while (patience->holds && !(patience->flags & MSG_DONTWAIT)) {
		const ssize_t len = real_calls()->recvmsg(patience->fd, msg, patience->flags | MSG_DONTWAIT);
		if (len >= 0 || errno != EAGAIN)
			return len;
		*msg = asked;
		const int any = wait_for_any(patience);
		if (any < 0 || check_descriptor(patience) != 0)
			return -1;
		/* An error's datagram waits to be read, or the socket was shut down: the kernel knows what to say. */
		if (any == 0)
			release(patience);
	}
	return real_calls()->recvmsg(patience->fd, msg, patience->flags);
}

void patience_end(struct patience *patience)
{
	release(patience);
}

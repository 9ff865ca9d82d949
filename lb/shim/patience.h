/* How long a call that receives waits on after a datagram that was none, and what ends it.
 *
 * To the server the call must look as if that datagram had not come. So it is one wait, with one SO_RCVTIMEO, and a
 * signal ends it whether it comes while the kernel waits or while the shim looks at a datagram. For this, signals are
 * held from the first such datagram on, but for the wait itself. One that has come is let through after each. Without
 * this, somebody who sends fast enough would keep a server from its signals.
 *
 * A value belongs to one call of one thread.
 */
#ifndef CIDLB_SHIM_PATIENCE_H
#define CIDLB_SHIM_PATIENCE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct patience {
	int fd, flags;    /* of the call */
	int64_t begin_ms; /* monotonic */
	int64_t limit_ms; /* SO_RCVTIMEO, once it holds signals; 0: none */
	bool holds;       /* signals */
	sigset_t before;  /* what the thread itself blocks, while it holds */
};

void patience_begin(struct patience *patience, int fd, int flags);

/* Like recvmsg(), with what is left of the call's time. */
ssize_t patience_receive(struct patience *patience, struct msghdr *msg);

/* After a datagram that was none. -1: the call is over. EINTR: by a signal. EBADF: the descriptor is no more what it
 * was. */
int patience_go_on(struct patience *patience);

/* The call is over. errno stays as it is. */
void patience_end(struct patience *patience);

#endif

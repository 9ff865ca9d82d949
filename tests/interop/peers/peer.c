#include "tests/interop/peers/peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(const char *port)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_port = htons((in_port_t)atoi(port)),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), yes = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) != 0 ||
	    bind(fd, (struct sockaddr *)&own, sizeof own) != 0) {
		perror(port);
		exit(1);
	}
	return fd;
}

int peer_accept(const char *port, struct sockaddr_in *peer)
{
	pid_t first = getpid();
	int fd = listen_on(port);

	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		socklen_t len = sizeof *peer;
		char octet;

		/* The socket that holds the first datagram becomes the peer's, and a new one listens. */
		if (recvfrom(fd, &octet, 1, MSG_PEEK, (struct sockaddr *)peer, &len) < 0 ||
		    connect(fd, (struct sockaddr *)peer, len) != 0)
			continue;
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != first)
				_exit(0);
			return fd;
		}
		close(fd);
		fd = listen_on(port);
	}
}

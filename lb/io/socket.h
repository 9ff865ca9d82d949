/* The kernel's UDP sockets: how they are bound, and how to receive and send through them (io.h). A handle is a
 * descriptor. */
#ifndef CIDLB_IO_SOCKET_H
#define CIDLB_IO_SOCKET_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/addr.h"
#include "io/io.h"

enum socket_use {
	SOCKET_LISTENER, /* reports the local address of each datagram */
	SOCKET_ENDPOINT, /* the same; may use IPv6 sources that are not the host's; ICMP errors are queued */
	/* Sends and receives many datagrams at a time (io_send.pmtu, io_datagram.segment). Only at an address of this
	 * host. ICMP errors are queued. */
	SOCKET_TUNNEL,
};

enum socket_group {
	/* The first of an SO_REUSEPORT group, or alone. Refuses an address that anybody has bound (-EADDRINUSE). */
	SOCKET_FIRST,
	SOCKET_FURTHER, /* joins the group */
};

/* Binds a non-blocking socket. It reports the kernel's drops. It sends in fragments what is larger than the path's MTU.
 * A tunnel is alone at its address. Returns the descriptor, or -errno. */
int socket_bind(const struct addr *addr, enum socket_use use, enum socket_group group);

/* Asks for a receive buffer of so many octets. Without privilege the kernel gives at most net.core.rmem_max. */
void socket_set_rcvbuf(int fd, uint32_t octets);

/* The number of datagrams that the kernel has dropped at a socket so far. */
uint32_t socket_kernel_drops(int fd);

/* Reads the address that a datagram came to, if the control message has it. Else `local` is unchanged. */
void socket_read_local(const struct cmsghdr *c, uint8_t local[static 16]);

/* An io that receives and sends through sockets. NULL: out of memory. */
struct io *socket_io_new(void);
void socket_io_free(struct io *io);

#endif

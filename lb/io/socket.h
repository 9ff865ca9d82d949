/* The kernel's UDP sockets: binding them, and receiving and sending through them (io.h). A handle is a descriptor. */
#ifndef CIDLB_IO_SOCKET_H
#define CIDLB_IO_SOCKET_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/addr.h"
#include "io/io.h"

enum socket_use {
	SOCKET_LISTENER, /* reports the local address of each datagram */
	SOCKET_ENDPOINT, /* too; IPv6 sources outside the host's addresses may be used, and ICMP errors are queued */
	SOCKET_TUNNEL,   /* for datagrams that are sent and received many at a time (io_send.pmtu, io_datagram.segment).
			    The address must be one of this host's. ICMP errors are queued */
};

enum socket_group {
	SOCKET_FIRST, /* of an SO_REUSEPORT group, or alone: refuses an address that anybody has bound (-EADDRINUSE) */
	SOCKET_FURTHER, /* joins the group */
};

/* Non-blocking; reports the kernel's drops, and sends what is larger than the path's MTU in fragments. A tunnel is
 * alone at its address. Returns the descriptor, or -errno. */
int socket_bind(const struct addr *addr, enum socket_use use, enum socket_group group);

/* Asks for a receive buffer; without privilege the kernel gives no more than net.core.rmem_max. */
void socket_set_rcvbuf(int fd, uint32_t octets);

/* Datagrams that the kernel has dropped at a socket so far. */
uint32_t socket_kernel_drops(int fd);

/* The address that a datagram came to, if that is what the control message says. */
void socket_read_local(const struct cmsghdr *c, uint8_t local[static 16]);

/* Receives and sends through sockets. NULL: out of memory. */
struct io *socket_io_new(void);
void socket_io_free(struct io *io);

#endif

/* The kernel's UDP sockets: how they are bound, and how to receive and send through them (io.h). A handle is a
 * descriptor. */
#ifndef CIDLB_IO_SOCKET_H
#define CIDLB_IO_SOCKET_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/addr.h"
#include "io/io.h"

enum socket_use {
	SOCKET_LISTENER, /* reports the local address and the interface of each datagram */
	SOCKET_ENDPOINT, /* the same; may use IPv6 sources that are not the host's; ICMP errors are queued */
	/* Sends and receives many datagrams at a time (io_send.pmtu, io_datagram.segment). Only at an address of this
	 * host. ICMP errors are queued. */
	SOCKET_TUNNEL,
};

enum socket_group {
	/* No other socket can be bound at its address, whoever asks. Refuses an address that anybody has bound
	 * (-EADDRINUSE). */
	SOCKET_ALONE,
	/* The first of an SO_REUSEPORT group. Refuses the same. Then any process of the user that made the socket can
	 * join the group, and gets its share of the datagrams. */
	SOCKET_FIRST,
	SOCKET_FURTHER, /* joins the group */
};

/* What else a socket may be asked for. Flags. */
enum socket_extra {
	SOCKET_FREEBIND = 1, /* also at an address that this host does not have, and may have later */
	SOCKET_BESIDE = 2, /* beside sockets that are to be closed, at an address that they have too: socket_yield() */
};

/* Binds a non-blocking socket. It reports the kernel's drops. It sends in fragments what is larger than the MTU of the
 * interface, or in IPv6 of the path. A tunnel is alone at its address. Returns the descriptor, or -errno. */
int socket_bind(const struct addr *addr, enum socket_use use, enum socket_group group);
int socket_bind_with(const struct addr *addr, enum socket_use use, enum socket_group group, unsigned extras);

/* Makes a socket that is bound already, by a cidlb before, what socket_bind_with() would make of a new one, but for its
 * group. 0 or -errno. */
int socket_adopt(int fd, const struct addr *addr, enum socket_use use, unsigned extras);

/* From now on others of the same user can join its group (SOCKET_FURTHER). 0 or -errno. */
int socket_open_group(int fd);

/* The address that a UDP socket is bound to. -errno; -EPROTOTYPE: it is none. */
int socket_name(int fd, struct addr *out);

/* From now on it tells the TTL and the traffic class of each datagram, for mode dsr. It costs the others some
 * nanoseconds each, so not all are told to. */
void socket_tell_hop(int fd);

/* Lets SOCKET_BESIDE bind where this socket is (true), or nobody (false). In between, anybody on this host could bind
 * there. */
void socket_yield(int fd, bool yields);

/* Nothing more arrives at the socket, but at others that are bound there. What has arrived stays, and it can send as
 * before. Returns 0 or -errno. */
int socket_retire(int fd);
/* True if something waits in it. */
bool socket_holds(int fd);

/* Asks for a receive buffer of so many octets. Without privilege the kernel gives at most net.core.rmem_max. */
void socket_set_rcvbuf(int fd, uint32_t octets);

/* How many octets of receive buffer it has. */
uint32_t socket_rcvbuf(int fd);

/* The number of datagrams that the kernel has dropped at a socket so far. */
uint32_t socket_kernel_drops(int fd);

/* Reads the address that a datagram came to, and the index of the interface, if the control message has them. Else both
 * are unchanged. */
void socket_read_local(const struct cmsghdr *c, uint8_t local[static 16], uint32_t *iface);

/* An io that receives and sends through sockets. NULL: out of memory. */
struct io *socket_io_new(void);
void socket_io_free(struct io *io);

#endif

/* Sockets: binding them, and whole batches of datagrams in and out.
 *
 * An inbox and an outbox belong to one worker; nothing is allocated after worker start.
 */
#ifndef CIDLB_IO_H
#define CIDLB_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/stats.h"
#include "common/addr.h"

enum io_family { IO_V4, IO_V6, IO_FAMILIES };

enum {
	IO_BATCH = 32, /* datagrams per system call: more gain nothing (measured), and batches this small are fair */
	IO_DATAGRAM = 65536,      /* octets: no UDP datagram is larger */
	IO_CONTROL = 128,         /* octets of control messages per datagram */
	IO_TRIES = 8,             /* of one send, while it meets the errors of others */
	IO_OUTBOX = 2 * IO_BATCH, /* datagrams that an outbox holds */
	IO_HEAD = 80,             /* octets that may precede a payload */
};

socklen_t io_sockaddr(struct sockaddr_storage *out, const struct addr *addr);
struct addr io_addr(const struct sockaddr_storage *from);

/* One member of an SO_REUSEPORT group, bound to `addr`, non-blocking, that reports the local address of each datagram
 * and the kernel's drops, and sends what is larger than the path's MTU in fragments. first: refuses an address that
 * anybody has bound (-EADDRINUSE). endpoint: IPv6 sources outside the host's addresses may be used, and ICMP errors are
 * queued (icmp.h). Returns the descriptor, or -errno. */
int io_bind(const struct addr *addr, bool first, bool endpoint);

/* The only socket at `addr`, which must be an address of this host: for datagrams that are sent and received many at a
 * time (io_send.path, io_datagram.segment). ICMP errors are queued, and what is too large for the path is sent in
 * fragments. */
int io_bind_tunnel(const struct addr *addr);

/* Asks for a receive buffer; without privilege the kernel gives no more than net.core.rmem_max. */
void io_set_rcvbuf(int fd, uint32_t octets);

/* Datagrams that the kernel has dropped at a socket so far. */
uint32_t io_kernel_drops(int fd);

struct io_datagram {
	uint8_t *data;
	size_t len; /* octets */
	struct addr from;
	uint8_t local[16]; /* the address it was sent to */
	size_t segment; /* octets; not 0: it is several from one sender, each of so many octets but the last, which may
			   be shorter */
};

struct io_inbox;
struct io_inbox *io_inbox_new(void);
void io_inbox_free(struct io_inbox *inbox);

/* The address that a datagram came to, if that is what the control message says. */
void io_read_local(const struct cmsghdr *c, uint8_t local[static 16]);

/* Receives at most IO_BATCH datagrams without waiting. Returns how many, with *out their array, valid until the next
 * call. *kernel_drops is the socket's drop count so far, unchanged if nothing was said. */
size_t io_receive(struct io_inbox *inbox, int fd, struct io_datagram **out, uint32_t *kernel_drops);

/* What a worker has learnt of the way to one address. */
struct io_pmtu {
	struct addr to;
	uint32_t since_ms; /* when it began to learn */
	uint16_t most; /* octets: larger datagrams leave in fragments, the kernel has said so. 0: UDP_SEGMENT does not
			  work there */
	stats_counter *segmented;  /* datagrams that left several at a time */
	stats_counter *fragmented; /* datagrams that were too large */
};

/* One datagram to be sent; the payload stays where it is until io_flush(). */
struct io_send {
	int fd;
	const uint8_t *head; /* precedes the payload; copied */
	size_t head_len;     /* octets, 0..IO_HEAD */
	const uint8_t *data;
	size_t len; /* octets */
	struct addr to;
	const uint8_t *local; /* source address, 16 octets; NULL: the socket's own; copied */
	struct io_pmtu *path; /* not NULL: may leave together with others of this path; then `local` is NULL */
	uint64_t stream;      /* with a path: datagrams of one stream keep their order */
	uint32_t queue; /* what io_drain is told of the socket's error queue; 0: it has none, or nobody reads it */
	stats_counter *sent, *refused;
};

/* Reads the error queue of a socket that refused a send, a bounded part of it, and does with the errors what is due.
 * Returns how many of them were ICMP's. */
typedef size_t io_drain(void *ctx, int fd, uint32_t queue);

/* drain: may be NULL if no send has a `queue`. */
struct io_outbox;
struct io_outbox *io_outbox_new(io_drain *drain, void *ctx);
void io_outbox_free(struct io_outbox *outbox);

/* Puts one datagram into the outbox, which has room for two per datagram of a batch, and is flushed first if it is
 * full: where that can happen, nothing may be locked that io_drain locks. */
void io_queue(struct io_outbox *outbox, const struct io_send *send);

/* Sends everything, a system call per socket and batch, and counts each datagram as sent or refused. A refusal is
 * final, unless the socket has an error queue and it may be the ICMP error of another datagram: then the queue is
 * drained, and the send is tried again, IO_TRIES times in all, until it is refused with no such error about. Those
 * with a path leave as trains (gso.h); where the kernel refuses such a send for its size, or altogether, the path
 * remembers that, and they leave one by one. */
void io_flush(struct io_outbox *outbox);

#endif

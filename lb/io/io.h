/* Batches of datagrams in and out. What they come from and go to stands behind a table of functions: the kernel's
 * sockets (socket.h), or a double of tests and measurements. The rest, which is the outbox, is the same for all.
 *
 * A `struct io` and an outbox belong to one worker; nothing is allocated after worker start.
 */
#ifndef CIDLB_IO_H
#define CIDLB_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sockaddr.h"
#include "base/stats.h"
#include "common/addr.h"

enum io_family { IO_V4, IO_V6, IO_FAMILIES };

enum {
	IO_BATCH = 32, /* datagrams per system call: more gain nothing (measured), and batches this small are fair */
	IO_DATAGRAM = 65536,      /* octets: no UDP datagram is larger */
	IO_TRIES = 8,             /* of one send, while it meets the errors of others */
	IO_OUTBOX = 2 * IO_BATCH, /* datagrams that an outbox holds */
	IO_HEAD = 80,             /* octets that may precede a payload */
};

struct io_datagram {
	uint8_t *data;
	size_t len; /* octets */
	struct addr from;
	uint8_t local[16]; /* the address it was sent to */
	size_t segment; /* octets; not 0: it is several from one sender, each of so many octets but the last, which may
			   be shorter */
};

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
	int handle;          /* what it leaves through; -1: nothing, it is refused */
	const uint8_t *head; /* precedes the payload; copied */
	size_t head_len;     /* octets, 0..IO_HEAD */
	const uint8_t *data;
	size_t len; /* octets */
	struct addr to;
	const uint8_t *local; /* source address, 16 octets; NULL: the handle's own; copied */
	struct io_pmtu *pmtu; /* not NULL: may leave together with others of this path; then `local` is NULL */
	uint64_t stream;      /* with a path: datagrams of one stream keep their order */
	uint32_t queue;       /* what io_drain is told of the handle's errors; 0: it has none, or nobody reads them */
	stats_counter *sent, *refused;
};

struct gso;        /* gso.h */
struct icmp_error; /* icmp.h */
struct io;

/* An implementation. `handle`: one of its ends; a descriptor of sockets, and whatever a double takes for one. */
struct io_ops {
	/* Receives at most IO_BATCH datagrams without waiting. Returns how many, with *out their array, valid until the
	 * next call. *kernel_drops is the handle's drop count so far, unchanged if nothing was said. */
	size_t (*receive)(struct io *io, int handle, struct io_datagram **out, uint32_t *kernel_drops);
	/* Sends what `groups` makes of `sends`, the groups from `first` on, without waiting: 0 first, and then again
	 * what is left of the same groups. Returns how many groups have left, or -errno: the first was refused. */
	int (*send)(struct io *io, int handle, const struct io_send *sends, const struct gso *groups, size_t first);
	/* Reads a bounded number of the ICMP errors about what was sent, without waiting. Returns how many, with *out
	 * their array, valid until the next call; *more: there may be others. */
	size_t (*errors)(struct io *io, int handle, struct icmp_error **out, bool *more);
};

/* The first member of what an implementation keeps. */
struct io {
	const struct io_ops *ops;
};

/* Reads the errors of a handle that refused a send, a bounded part of them, and does with them what is due. Returns how
 * many of them were ICMP's. */
typedef size_t io_drain(void *ctx, int handle, uint32_t queue);

/* Sends through `io`, which must outlive it. drain: may be NULL if no send has a `queue`. NULL: out of memory. */
struct io_outbox;
struct io_outbox *io_outbox_new(struct io *io, io_drain *drain, void *ctx);
void io_outbox_free(struct io_outbox *outbox);

/* Puts one datagram into the outbox, which has room for two per datagram of a batch, and is flushed first if it is
 * full: where that can happen, nothing may be locked that io_drain locks. */
void io_queue(struct io_outbox *outbox, const struct io_send *send);

/* Sends everything, in one call per handle, and counts each datagram as sent or refused. A refusal is final, unless the
 * handle has errors to read and it may be the ICMP error of another datagram: then these are drained, and the send is
 * tried again, IO_TRIES times in all, until it is refused with no such error about. Those with a path leave in groups
 * (gso.h); where the kernel refuses such a send for its size, or altogether, the path remembers that, and they leave
 * one by one. */
void io_flush(struct io_outbox *outbox);

/* The names of other folders for base/sockaddr.h. */
static inline socklen_t io_sockaddr(struct sockaddr_storage *out, const struct addr *addr)
{
	return sockaddr_write(out, addr);
}

static inline struct addr io_addr(const struct sockaddr_storage *from)
{
	return sockaddr_read(from);
}

#endif

/* Batches of datagrams in and out. What they come from and go to stands behind a table of functions: the kernel's
 * sockets (socket.h), or a double in tests and measurements. The outbox is the same for all of them.
 *
 * A `struct io` and an outbox belong to one worker. Nothing is allocated after the worker has started.
 */
#ifndef CIDLB_IO_H
#define CIDLB_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stats.h"
#include "common/addr.h"

enum io_family { IO_V4, IO_V6, IO_FAMILIES };

enum {
	IO_BATCH = 32, /* datagrams per system call; more were measured to gain nothing, and small batches are fair */
	IO_DATAGRAM = 65536,      /* octets; no UDP datagram is larger */
	IO_TRIES = 8,             /* attempts of one send that meets ICMP errors of other datagrams */
	IO_OUTBOX = 2 * IO_BATCH, /* datagrams that an outbox holds */
	IO_HEAD = 80,             /* octets that may precede a payload */
};

struct io_datagram {
	uint8_t *data;
	size_t len; /* octets */
	struct addr from;
	uint8_t local[16]; /* the address it was sent to */
	uint32_t iface;    /* index of the interface it came in on; 0: unknown */
	uint8_t ttl; /* or hop limit, with which it came in; 0: unknown, as the socket was not told to say (socket.h) */
	uint8_t tos; /* or traffic class; 0: also unknown */
	bool to_group; /* `local` is a multicast or broadcast address, so nothing can be sent from it */
	/* Octets. If not 0, these are several datagrams of one sender. Each has this size; only the last may be
	 * shorter. */
	size_t segment;
};

/* What a worker has learnt of the path to one address. */
struct io_pmtu {
	struct addr to;
	uint32_t since_ms; /* when it began to learn */
	/* Octets. Larger datagrams leave in fragments, as the kernel has said. 0: UDP_SEGMENT does not work there. */
	uint16_t most;
	stats_counter *segmented;  /* datagrams that left several at a time */
	stats_counter *fragmented; /* datagrams that were too large */
};

/* A neighbour on a link. */
struct io_link {
	uint32_t iface; /* index of the interface */
	uint8_t mac[6];
};

/* One datagram to be sent. The payload stays where it is until io_flush(). */
struct io_send {
	int handle;          /* what it leaves through; -1: nothing, so it is refused */
	const uint8_t *head; /* precedes the payload; copied */
	size_t head_len;     /* octets, 0..IO_HEAD */
	const uint8_t *data;
	size_t len; /* octets */
	struct addr to;
	const uint8_t *local; /* source address, 16 octets; NULL: the handle's own; copied */
	/* NULL: it leaves alone. Else it may leave together with others of this path. Then `local` is NULL, and there
	 * is at least one octet of head or data. */
	struct io_pmtu *pmtu;
	/* Datagrams of one stream leave in the order in which they were queued: with `pmtu` those of one handle, else
	 * whatever handles they leave through. 0 without `pmtu`: of none. */
	uint64_t stream;
	/* NULL, or the handle is a BARE_LINK (bare.h), head and data are an IP packet, and `to` tells only its version.
	 * Valid until io_flush(). */
	const struct io_link *link;
	uint32_t queue; /* what io_drain is told of the handle's errors; 0: it has none, or nobody reads them */
	/* Both NULL: it is a part of a datagram, whose last part counts for all. */
	struct stats_sent *sent;
	stats_counter *refused;
	size_t before; /* octets of the parts before this one, which are counted with it */
};

struct gso;        /* gso.h */
struct icmp_error; /* icmp.h */
struct io;

/* An implementation. A `handle` is one of its ends: a descriptor for sockets, and any number for a double. */
struct io_ops {
	/* Receives at most IO_BATCH datagrams without waiting. Returns how many; an error counts as none. *out is their
	 * array, valid until the next call. *kernel_drops becomes the number of datagrams dropped at the handle so far.
	 * It is unchanged if the kernel did not tell. */
	size_t (*receive)(struct io *io, int handle, struct io_datagram **out, uint32_t *kernel_drops);
	/* Sends groups of `sends` without waiting, those from `first` on. Call it with first = 0, then with the rest of
	 * the same groups. Returns how many groups have left. -errno: the first of them was refused. */
	int (*send)(struct io *io, int handle, const struct io_send *sends, const struct gso *groups, size_t first);
	/* Reads a bounded number of the ICMP errors about what was sent, without waiting. Returns how many; 0: none, or
	 * they cannot be read. *out is their array, valid until the next call. *more: there may be others. */
	size_t (*errors)(struct io *io, int handle, struct icmp_error **out, bool *more);
};

/* The struct of an implementation begins with this. */
struct io {
	const struct io_ops *ops;
};

/* Reads a bounded number of errors of a handle that refused a send, and acts on them. Returns how many of them were
 * ICMP errors. */
typedef size_t io_drain(void *ctx, int handle, uint32_t queue);

/* An outbox that sends through `io`, which must outlive it. `drain` may be NULL if no send has a `queue`. NULL: out of
 * memory. */
struct io_outbox;
struct io_outbox *io_outbox_new(struct io *io, io_drain *drain, void *ctx);
void io_outbox_free(struct io_outbox *outbox);

/* Puts one datagram into the outbox. There is room for two per datagram of a batch. A full outbox is flushed first.
 * Where that can happen, the caller may hold no lock that io_drain takes. */
void io_queue(struct io_outbox *outbox, const struct io_send *send);

/* Sends everything, in one call per handle, and counts each datagram as sent or refused. A stream that goes from one
 * handle to another takes more calls: first leaves what comes before the change.
 *
 * A refusal is final, with one exception. If the handle has errors to read, the refusal may be the ICMP error of
 * another datagram. Then these errors are drained and the send is tried again, until it is refused without such an
 * error. There are IO_TRIES attempts in all.
 *
 * Datagrams with a path leave in groups (gso.h). The kernel may refuse such a send for its size, or altogether. Then
 * the path remembers that, and these datagrams leave one by one.
 */
void io_flush(struct io_outbox *outbox);

#endif

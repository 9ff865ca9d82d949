/* Counters. One writer each (a worker), relaxed, summed by the control thread.
 *
 * Identities, asserted after every end-to-end run:
 *   received = sum of verdicts                              per listener
 *   sum of routed verdicts = sent up + sum of refused up    per pool
 *   replies + copies = sent down + sum of refused down      per pool
 * Indexed by uid (common/snapshot.h), so that a reload keeps every total.
 */
#ifndef CIDLB_BASE_STATS_H
#define CIDLB_BASE_STATS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proxy2.h"
#include "common/verdict.h"

enum { STATS_LISTENERS = 64, STATS_POOLS = 64, STATS_BACKENDS = 4096 };

/* Why a routed datagram, or a backend's reply, was not sent. */
enum refused {
	REFUSED_FLOWS,      /* no flow to be had: no endpoint, port or descriptor is left */
	REFUSED_SEND,       /* the kernel refused the send, twice */
	REFUSED_BUDGET,     /* downlink: only addresses that may get no more (ownership.h) */
	REFUSED_PLAINTEXT,  /* downlink: on the endpoint of a session, and protected by no key */
	REFUSED_NO_ADDRESS, /* uplink: the name of the backend has never been resolved */
	REFUSED_NEXT_HOP,   /* uplink, mode dsr: there is no route to the backend, or no neighbour has its address */
	REFUSED_TTL,        /* uplink, mode dsr: it has passed too many hops, and may be in a loop */
	REFUSED_REASONS,
};

/* Why a datagram at a tunnel's socket was dropped: enum proxy2_result but PROXY2_GOOD, and these. */
enum tunnel_drop {
	TUNNEL_OUTER_SOURCE = PROXY2_RESULTS, /* from an address that no backend of the pool has */
	TUNNEL_SERVICE,                       /* its inner source is no listener of the pool */
	TUNNEL_DROPS,
};

/* Why a datagram at an endpoint of a pool without a table was dropped. */
enum stateless_drop {
	STATELESS_CHECK,  /* its address was not written here */
	STATELESS_SOURCE, /* from an address that no backend of the pool has */
	STATELESS_DROPS,
};

typedef _Atomic uint64_t stats_counter;

/* Datagrams and the octets of their payloads. Who counts one counts the other, so they share a cache line. */
struct stats_sent {
	stats_counter datagrams, octets;
};

enum { STATS_BATCH_SIZES = 6 /* 1, 2, up to 4, 8, 16, 32 datagrams */ };

struct stats {
	stats_counter received[STATS_LISTENERS];
	stats_counter verdicts[STATS_LISTENERS][VERDICTS];
	stats_counter kernel_drops[STATS_LISTENERS];
	struct stats_sent sent_up[STATS_BACKENDS];
	struct stats_sent sent_down[STATS_BACKENDS];
	stats_counter begun[STATS_BACKENDS];    /* new sessions: handshakes, and flows of plain UDP */
	stats_counter answered[STATS_BACKENDS]; /* first answers to them; one session may get several */
	stats_counter refused_up[STATS_POOLS][REFUSED_REASONS];
	stats_counter refused_down[STATS_POOLS][REFUSED_REASONS];
	stats_counter replies[STATS_POOLS];  /* datagrams from backends that belong to a flow, or have a good address or
						header */
	stats_counter copies[STATS_POOLS];   /* further sends of one reply: ownership.h */
	stats_counter withheld[STATS_POOLS]; /* copies that were not sent, because the address may get no more */
	stats_counter
		own_endpoint[STATS_POOLS];    /* uplinks of a session that left through an endpoint of their source */
	stats_counter reflected[STATS_POOLS]; /* replies that went beyond three times what the address had sent, and
						 it had shown nothing: handshake.h */
	stats_counter rrc[STATS_POOLS];       /* handshakes over whose server checks return routability (RFC 9853) */
	stats_counter handshakes_begun[STATS_POOLS];
	stats_counter handshakes_led[STATS_POOLS];  /* of those that began: by what they offered to resume */
	stats_counter handshakes_over[STATS_POOLS]; /* mode nat: the backend has spoken under the keys of the session */
	stats_counter moves[STATS_POOLS];           /* mode nat: changes of address after which a session went on */
	stats_counter rescued[STATS_POOLS];         /* mode nat: sessions that went on after one */
	stats_counter icmp_errors[STATS_BACKENDS];
	stats_counter wrong_interface[STATS_BACKENDS]; /* replies that came in through another interface */
	stats_counter foreign_cids[STATS_BACKENDS];    /* ServerHellos whose CID leads to another backend, or to none */
	stats_counter sessions[STATS_BACKENDS];        /* mode nat: those that were answered behind their handshake */
	stats_counter stateless_dropped[STATS_POOLS][STATELESS_DROPS];
	stats_counter tunnel_dropped[STATS_POOLS][TUNNEL_DROPS];
	stats_counter tunnel_segmented[STATS_POOLS];  /* uplink datagrams that left several in one send */
	stats_counter tunnel_fragmented[STATS_POOLS]; /* uplink datagrams that were too large for the path */
	stats_counter dsr_fragmented[STATS_POOLS];    /* uplink datagrams that left in fragments */
	stats_counter batches[STATS_BATCH_SIZES];     /* receives that gave something, by size */
	stats_counter batched;                        /* datagrams in them */
	stats_counter endpoint_drops;                 /* by the kernel, of datagrams from backends */
	stats_counter strays; /* datagrams, and ICMP errors, on an endpoint that belong to no flow */
} __attribute__((aligned(64)));

/* One writer: no locked instruction. */
static inline void stats_add(stats_counter *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* A receive gave so many datagrams, 1 to 32. */
static inline void stats_add_batch(struct stats *stats, size_t datagrams)
{
	const int size = datagrams > 1 ? 64 - __builtin_clzll(datagrams - 1) : 0;

	stats_add(&stats->batches[size], 1);
	stats_add(&stats->batched, datagrams);
}

static inline uint64_t stats_read(const stats_counter *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Adds every counter of `one` to `sum`. Control thread. */
void stats_sum(struct stats *sum, const struct stats *one);

const char *refused_name(enum refused reason);
const char *stateless_drop_name(enum stateless_drop reason);
const char *tunnel_drop_name(unsigned reason); /* proxy2_result_name(), or that of an enum tunnel_drop */

#endif

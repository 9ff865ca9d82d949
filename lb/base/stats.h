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
	REFUSED_BUDGET,     /* downlink: only addresses on their three-fold limit */
	REFUSED_NO_ADDRESS, /* uplink: the name of the backend has never been resolved */
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

struct stats {
	stats_counter received[STATS_LISTENERS];
	stats_counter verdicts[STATS_LISTENERS][VERDICTS];
	stats_counter kernel_drops[STATS_LISTENERS];
	stats_counter sent_up[STATS_BACKENDS];
	stats_counter sent_down[STATS_BACKENDS];
	stats_counter refused_up[STATS_POOLS][REFUSED_REASONS];
	stats_counter refused_down[STATS_POOLS][REFUSED_REASONS];
	stats_counter replies[STATS_POOLS];  /* datagrams from backends that belong to a flow, or have a good address or
						header */
	stats_counter copies[STATS_POOLS];   /* further sends of one reply: ownership.h */
	stats_counter contests[STATS_POOLS]; /* contests begun */
	stats_counter icmp_errors[STATS_BACKENDS];
	stats_counter stateless_dropped[STATS_POOLS][STATELESS_DROPS];
	stats_counter tunnel_dropped[STATS_POOLS][TUNNEL_DROPS];
	stats_counter tunnel_segmented[STATS_POOLS];  /* uplink datagrams that left several in one send */
	stats_counter tunnel_fragmented[STATS_POOLS]; /* uplink datagrams that were too large for the path */
	stats_counter endpoint_drops;                 /* by the kernel, of datagrams from backends */
	stats_counter strays; /* datagrams, and ICMP errors, on an endpoint that belong to no flow */
} __attribute__((aligned(64)));

/* One writer: no locked instruction. */
static inline void stats_add(stats_counter *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
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

/* Forwarding: from a decision to the wire and back. A mode is a row of functions, each called once per batch, in a file
 * of its own. On the packet path a datagram of a known flow costs no allocation, no log line and no shared lock.
 *
 * To add a mode: a file here, a row below, and a line in control/table_build.c that chooses it. `recall`, `admit` and
 * both functions for ClientHellos may be NULL. `uplinks` and `error` are required, and so is `replies` if answers come
 * back. Then a mode without `own_socket` also needs a place in forward_at_endpoints.
 */
#ifndef CIDLB_PATH_FORWARD_H
#define CIDLB_PATH_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "common/dtls.h"
#include "common/hello.h"
#include "common/route.h"
#include "io/icmp.h"
#include "io/io.h"
#include "path/path.h"
#include "path/table.h"

/* One uplink datagram on its way. */
struct uplink {
	const struct io_datagram *datagram;
	const struct table_listener *listener;
	const struct snapshot_pool *pool;
	const struct table_pool *settings;
	const struct dtls_view *view; /* DTLS pools */
	const struct route_out *decision;
	/* The number of the service address (service_addrs.h): the uid of the listener, unless `recall` finds
	 * another. */
	uint16_t service;
	/* Pools that learn CIDs: another backend (index) that has given out the CID of the datagram. Before the batch
	 * is routed, `recall` may choose it. SNAPSHOT_NO_BACKEND: there is none. */
	uint16_t shared;
	/* The forwarder's own, from `recall` on. */
	uint64_t handshake; /* handshakes_source() or handshakes_led(), from hints_recall() */
	bool led;           /* a ClientHello that offers to resume what some server can (resumed.h) */
	uint16_t only;      /* mode nat: flow_key.only */
	bool of_source;     /* mode nat: it goes by the flow of its source; else by that of its session */
	uint32_t flow_hash;
	struct flow *flow; /* NULL: none was found. It was alive then */
};

/* Uplinks of one listener, and so of one pool. */
struct batch {
	const struct table_listener *listener;
	const struct snapshot_pool *pool;
	const struct table_pool *settings;
	size_t count; /* 0..IO_BATCH */
	struct route_in in[IO_BATCH];
	struct route_out out[IO_BATCH];
	struct uplink up[IO_BATCH];
};

/* What one receive returned. */
struct replies {
	const struct table *table;
	const struct io_datagram *datagrams;
	size_t count;  /* 1..IO_BATCH */
	uint16_t pool; /* index of the pool to whose own socket they came; TABLE_NONE: to endpoints */
	/* Those that are of no concern any more. Pools share endpoints. There one forwarder after the other takes the
	 * replies that are its own. Taken from the beginning is what came in through a wrong interface. */
	bool taken[IO_BATCH];
	struct addr endpoints[IO_BATCH];
	stats_counter *unclaimed[IO_BATCH]; /* the counter for it if no forwarder takes it */
};

/* A datagram that we sent, and that was not delivered, as an ICMP error says. */
struct undelivered {
	const struct table *table;
	const struct icmp_error *error;
	uint16_t pool; /* index of the pool through whose own socket it left, or whose it may be of those that share
			  one; TABLE_NONE: through an endpoint */
	struct addr endpoint; /* the endpoint it left through, if it left through one */
};

/* A mode. The table has one for each pool. */
struct forwarder {
	bool own_socket; /* backends answer to a socket per worker that is the pool's own; else to endpoints */
	/* Before the batch is routed: adds what is remembered of its sources. That is a hint; and a first ClientHello
	 * that is repeated does not begin a handshake (view.hello_first), because a server may have answered it: over a
	 * slow network it is repeated before the answer can be there. NULL: nothing is remembered. */
	void (*recall)(struct path *path, struct batch *batch);
	/* After routing: turns what may not go on into a drop. NULL: all may. */
	void (*admit)(struct path *path, struct batch *batch);
	/* After that, for each ClientHello in turn: what it is to what is remembered of its source's handshake. It
	 * changes nothing. NULL: nothing is remembered, so each is HELLO_BEGINS. */
	enum hello_step (*hello_look)(struct path *path, struct uplink *up);
	/* Remembers the ClientHello, which hello_rate lets pass. It comes before hello_look() of the next one of the
	 * batch, so that a later fragment finds what the first one was. */
	void (*hello_take)(struct path *path, struct uplink *up);
	/* Behind hello_rate: queues each datagram that was routed to its backend, or counts it as refused. */
	void (*uplinks)(struct path *path, struct batch *batch);
	/* Queues each reply to its device, or counts why it does not. NULL: none comes back. */
	void (*replies)(struct path *path, struct replies *replies);
	/* The uid of the backend that a datagram was for. SNAPSHOT_NO_BACKEND: it was not one of this mode's. */
	uint16_t (*error)(struct path *path, const struct undelivered *datagram);
};

extern const struct forwarder forward_nat_follow;    /* nat.c; rebind = "follow" */
extern const struct forwarder forward_nat_backend;   /* nat.c; rebind = "backend" */
extern const struct forwarder forward_nat_stateless; /* nat_stateless.c */
extern const struct forwarder forward_tunnel;        /* tunnel.c */
extern const struct forwarder forward_dsr;           /* dsr.c */

/* The forwarders that replies and errors at endpoints are shown to, in this order, up to NULL. The last one counts the
 * replies that nobody takes. */
extern const struct forwarder *const forward_at_endpoints[];

/* True: the ClientHello goes where what it offers to resume leads. */
static inline bool uplink_is_led(const struct uplink *up)
{
	return up->led && up->decision->verdict == VERDICT_HINT;
}

/* False: the datagram was not routed and goes no further. The trace, if one runs, is told. */
static inline bool uplink_routed_or_traced(const struct path *path, const struct uplink *up)
{
	struct trace_ring *trace;

	if (verdict_is_routed(up->decision->verdict))
		return true;
	if ((trace = path_trace(path)))
		trace_up(trace, up, NULL);
	return false;
}

#endif

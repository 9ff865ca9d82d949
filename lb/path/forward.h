/* Forwarding: from a decision to the wire and back, one file per mode. On the packet path: no allocation, log or shared
 * lock for a datagram of a known flow. */
#ifndef CIDLB_PATH_FORWARD_H
#define CIDLB_PATH_FORWARD_H

#include <stdint.h>

#include "common/dtls.h"
#include "common/route.h"
#include "io/io.h"
#include "path/table.h"
#include "path/worker.h"

/* One uplink datagram on its way. */
struct uplink {
	const struct table *table;
	const struct io_datagram *datagram;
	const struct table_listener *listener;
	const struct snapshot_pool *pool;
	const struct table_pool *settings;
	const struct dtls_view *view; /* DTLS pools */
	const struct route_out *decision;
	uint16_t service;   /* service_addrs.h */
	uint32_t flow_hash; /* mode nat: nat_hash() */
};

/* Mode nat (nat.c). */

/* What the flow of a source is found by (flows_prefetch_keys()), for nat_hint(). */
uint32_t nat_hash_source(const struct worker *worker, const struct uplink *up);

/* The backend (stable number) of the source's live flow, or ROUTE_NO_HINT. `up` needs no decision, but its
 * flow_hash. */
uint16_t nat_hint(struct worker *worker, const struct uplink *up);

/* The same for what nat_uplink() looks for first. Of a datagram that is not routed by CID it is that of its source. */
uint32_t nat_hash(const struct worker *worker, const struct uplink *up);

/* Queues a routed datagram to its backend, or counts it as refused. */
void nat_uplink(struct worker *worker, const struct uplink *up);

/* A datagram arrived on `endpoint`: queues it to everybody who gets it (ownership.h), or counts why nobody does. `hash`
 * is that of the endpoint and who sent it (flows_hash_end()). */
void nat_reply(struct worker *worker, const struct table *table, const struct io_datagram *reply,
	       const struct addr *endpoint, uint32_t hash);

/* Mode tunnel (tunnel.c). */

/* Queues a routed datagram to its backend behind a header, or counts it as refused. */
void tunnel_uplink(struct worker *worker, const struct uplink *up);

/* What one receive at the socket of pool `at` (index) gave: takes the datagrams apart, and queues each to its device,
 * or counts why not. */
void tunnel_replies(struct worker *worker, const struct table *table, uint16_t at, const struct io_datagram *replies);

#endif

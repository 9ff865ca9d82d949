/* route(): one datagram, one verdict. A pure function of snapshot, datagram, source and hint: no clock, no I/O.
 *
 * The rules, in order:
 *   1. not DTLS                  dropped: malformed, type, epoch0_data
 *   2. an epoch-0 ClientHello    rule 4, whatever follows in the datagram
 *   3. a CID                     opened by the layout. Id known: its backend, also when down; in maint: dropped.
 *                                Unknown id or misfit: dropped, or hash of the CID
 *   4. no CID                    ClientHello: hash of the source. Else: the hint while up or draining, else that hash
 *   5. a plain UDP pool          the hint while up or draining, else the hash of the source
 * If a hash finds no backend, the verdict is no_backend.
 */
#ifndef CIDLB_ROUTE_H
#define CIDLB_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include "cid.h"
#include "dtls.h"
#include "snapshot.h"
#include "verdict.h"

#define ROUTE_NO_HINT UINT16_MAX

struct route_in {
	const uint8_t *data;
	size_t len; /* octets */
	struct addr source;
	struct dtls_view view; /* from dtls_walk(); unused in plain UDP pools */
	/* Uid of a live flow's backend, from forwarder.recall (path/forward.h), or ROUTE_NO_HINT. Only for datagrams
	 * without a CID. */
	uint16_t hint;
};

struct route_out {
	enum verdict verdict;
	uint16_t backend;   /* index in pool->backends if routed, else SNAPSHOT_NO_BACKEND */
	uint8_t cid_len;    /* octets; 0: dropped, or not routed by CID */
	const uint8_t *cid; /* in the datagram */
};

/* True if rule 3 will decide on the datagram in this pool: it has a CID, and the pool reads CIDs. */
bool route_by_cid(const struct snapshot_pool *pool, const struct dtls_view *view);

/* In DTLS pools `in->view` must be filled. */
void route(struct route_out *out, const struct snapshot_pool *pool, const struct route_in *in);

/* The same for `count` datagrams of one pool. Prefetches the table rows that later datagrams will need. */
void route_batch(struct route_out *out, const struct snapshot_pool *pool, const struct route_in *in, size_t count);

#endif

/* route(): one datagram, one verdict. A pure function of snapshot, datagram, source and hint: no clock, no I/O.
 *
 * The rules, in order:
 *   0. nobody can be answered    dropped: bad_source (bad_sources.h). In plain UDP pools, too. What was sent to many
 *                                addresses at once counts here as well: it comes without a source
 *   1. not DTLS                  dropped: malformed, type, epoch0_data
 *   2. an epoch-0 ClientHello    rule 4. Beside what no device sends with it: dropped, mixed
 *   3. a CID                     beside what no device sends with it: dropped, mixed. Else opened by the layout. Id
 *                                known: its backend, also when down; in maint: dropped. Unknown id or misfit: dropped,
 *                                or hash of the CID
 *   4. no CID                    a ClientHello that begins a handshake: hash of the source. Anything else, and one
 *                                that is repeated: the hint while that is up or draining, else that hash
 *   5. a plain UDP pool          the hint while up or draining, else the hash of the source
 * If a hash finds no backend, the verdict is no_backend.
 *
 * A pool of scheme "learned" cannot open a CID: who gave it out, and how long it is, comes with the datagram. Of one
 * that is not known rule 3 only says that it is unknown. With unknown_cid = "hash" it goes by rule 4 if its record is
 * whole with the length that CIDs of the pool have: as it shows nothing, it is found where its source leads.
 *
 * A pool of scheme "none" does not know how long a CID is. So of a datagram with a CID it reads only what stands before
 * the CID, and routes it by rule 4. Where unknown CIDs are hashed, the rest is read with the layout's length, or with
 * the one that a CID of quic-lb states itself. If the record does not fit that length, no server with such CIDs can
 * read on either.
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
	/* Uid of the backend that is remembered for the source, from forwarder.recall (path/forward.h), or
	 * ROUTE_NO_HINT. Asked for whatever has no CID and does not begin a handshake: a later ClientHello, a later
	 * fragment, the key exchange, data without a CID; and in plain UDP pools for all. */
	uint16_t hint;
	/* For pools of scheme "learned": who gave out the CID, as an index in pool->backends, or SNAPSHOT_NO_BACKEND,
	 * and its length. 0: no length that the pool has fits the record. */
	uint16_t learned_at;
	uint8_t learned_len;
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

/* cidlb's own decision: snapshots built and datagrams routed by the code that the balancer runs (common/snapshot.h,
 * common/route.h).
 *
 * Two pools have the same servers. In one, CIDs carry the server's id (node-id, two octets of eight). In the other,
 * CIDs are ignored (scheme none), so that all goes by the consistent hash of the source. Pure.
 */
#ifndef CIDLB_BENCH_CHURN_CIDLB_H
#define CIDLB_BENCH_CHURN_CIDLB_H

#include "bench/programs/churn/member.h"
#include "common/addr.h"

struct cidlb;

enum { CIDLB_BATCH = 32 };

/* -ENOMEM: nothing was made. */
int cidlb_new(struct cidlb **out);
void cidlb_free(struct cidlb *cidlb);

/* Publishes a snapshot of these members. The absent are not in the configuration, and those down are found so. Those
 * draining are in drain in the pool with CIDs alone: in the other a drain would move the sessions that are there.
 * -ENOMEM: nothing has changed. */
int cidlb_publish(struct cidlb *cidlb, const struct member *members, size_t count);

/* The hash of the pool without CIDs; all contenders use it for their own tables. */
uint64_t cidlb_hash(const struct cidlb *cidlb, const struct addr *source);

/* The pool without CIDs, for as long as `cidlb` lives. Its fill() is of what was published last. */
struct table cidlb_table(const struct cidlb *cidlb);

/* Records with a CID of their own each: the one that the server homes[i] gave out to sessions[i], a number. */
struct cidlb_records {
	const uint16_t *homes;
	const uint32_t *sessions;
	const struct addr *sources;
	size_t count; /* up to CIDLB_BATCH */
};

/* Where datagrams go, or MEMBER_NONE for one that is dropped: records with CIDs; ClientHellos in the pool with CIDs;
 * records without CIDs in the other pool. `count` is up to CIDLB_BATCH. */
void cidlb_route_cids(const struct cidlb *cidlb, uint16_t *to, const struct cidlb_records *records);
void cidlb_route_hellos(const struct cidlb *cidlb, uint16_t *to, const struct addr *sources, size_t count);
void cidlb_route_plain(const struct cidlb *cidlb, uint16_t *to, const struct addr *sources, size_t count);

#endif

/* What a configuration asks of the routing table: the specs that snapshot_build() takes, with stable numbers. Control
 * thread only.
 *
 * The names belong to the configuration, which must outlive the spec.
 */
#ifndef CIDLB_CONTROL_TABLE_SPEC_H
#define CIDLB_CONTROL_TABLE_SPEC_H

#include <stddef.h>

#include "base/host_addrs.h"
#include "common/claims.h"
#include "common/learned.h"
#include "common/snapshot.h"
#include "conf/conf.h"
#include "control/learned_file.h"
#include "control/uids.h"
#include "path/table.h"

/* Where a pool keeps what it learns, by enum learned_kind: a loan. NULL: it does not learn. */
struct table_spec_learned {
	struct learned *of[LEARNED_KINDS];
};

struct table_spec {
	struct snapshot_pool_spec *pools; /* in the order of conf->pools */
	size_t pool_count;
	struct snapshot_backend *backends; /* of all pools, one after the other; pools[i].backends points in here */
	size_t backend_count;
	struct snapshot_id **of_file;       /* per pool: the ids of the configuration; one of length 0 ends them */
	struct snapshot_id **ids;           /* per pool: from table_spec_set_ids(), or NULL */
	struct table_hop *hops;             /* of each of `backends`; of mode dsr: dsr.h */
	struct table_spec_learned *learned; /* per pool */
	struct host_addrs host;             /* a loan of the caller's; none after table_spec_make() */
};

/* Makes the spec of `conf`. Every backend begins as up, in the administrative state of the file, and owns the id that
 * the file gives it. The caller may change all that before snapshot_build(). `backends` gives out a backend's number
 * within the scope of its pool's number. -ENOMEM. -ENOSPC: there is no number left. On an error `out` is empty. */
int table_spec_make(struct table_spec *out, const struct conf *conf, struct uids *pools, struct uids *backends);

/* Gives the ids of pools[pool] to their owners in `claims`. An id of the file without an owner in that pool is as in
 * the file. What an earlier call set is forgotten. 0, or -ENOMEM: all stay as they were. */
int table_spec_set_ids(struct table_spec *spec, size_t pool, const struct claims *claims);

/* Leaves an empty spec. */
void table_spec_free(struct table_spec *spec);

#endif

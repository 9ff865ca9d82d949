/* What a configuration asks of the routing table: the specs that snapshot_build() takes, with stable numbers. Control
 * thread only.
 *
 * The names belong to the configuration, which must outlive the spec.
 */
#ifndef CIDLB_CONTROL_TABLE_SPEC_H
#define CIDLB_CONTROL_TABLE_SPEC_H

#include <stddef.h>

#include "common/claims.h"
#include "common/snapshot.h"
#include "conf/conf.h"
#include "control/uids.h"

struct table_spec {
	struct snapshot_pool_spec *pools; /* in the order of conf->pools */
	size_t pool_count;
	struct snapshot_backend *backends; /* of all pools, one behind the other; pools[i].backends points in here */
	size_t backend_count;
	struct snapshot_id **of_file; /* per pool: the ids of the configuration, up to one of no length */
	struct snapshot_id **ids;     /* per pool: of table_spec_set_ids(), or NULL */
};

/* Every backend starts up, in the administrative state of the file, and owns the id that the file gives it; the caller
 * may change all that before snapshot_build(). A backend's number is given out by `backends` within the scope of its
 * pool's number. -ENOMEM, or -ENOSPC: there is no number left. `out` is then empty. */
int table_spec_make(struct table_spec *out, const struct conf *conf, struct uids *pools, struct uids *backends);

/* The ids of pools[pool] go to their owners as `claims` has them; those of the file without an owner in that pool are
 * as in the file, and what an earlier call knew is forgotten. -ENOMEM: all stay as they were. */
int table_spec_set_ids(struct table_spec *spec, size_t pool, const struct claims *claims);

/* Leaves an empty one. */
void table_spec_free(struct table_spec *spec);

#endif

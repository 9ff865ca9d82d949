/* Who forwards beside the workers: the fast path (xdp/), of which control/ knows nothing else. Control thread. */
#ifndef CIDLB_CONTROL_BESIDE_H
#define CIDLB_CONTROL_BESIDE_H

#include <stddef.h>

#include "base/stats.h"

struct control;
struct table;
struct uids_in_use;
struct view_fast;

struct beside {
	/* A table is published, and no worker reads the one before any more. It stays until the next call. */
	void (*follow)(void *ctx, const struct table *table);
	/* Several times a second. */
	void (*tick)(void *ctx);
	/* Adds what it has counted. */
	void (*sum)(void *ctx, struct stats *sum);
	/* What these numbers do not have is forgotten. */
	void (*forget)(void *ctx, const struct uids_in_use *used);
	/* A trace wants to see everything, and no longer does. */
	void (*trace_begins)(void *ctx);
	void (*trace_ends)(void *ctx);
	/* Fills view.fast, which is all zero. */
	void (*look)(void *ctx, struct view_fast *out);
	void *ctx;
};

/* From now on `beside` is called. It is copied; NULL: no longer. If a table is published already, it follows it at
 * once. */
void control_set_beside(struct control *control, const struct beside *beside);

#endif

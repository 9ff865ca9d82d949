/* The pools of a view (view.h). Control thread. */
#ifndef CIDLB_CONTROL_VIEW_POOL_H
#define CIDLB_CONTROL_VIEW_POOL_H

#include "control/view.h"

/* The pool at index `at`, without what view_pools_sum() fills in. */
void view_pool(struct control *control, size_t at, struct view_pool *out);

/* Fills in what the backends of all configured pools have counted. */
void view_pools_sum(const struct control *control, const struct stats *sum, struct view_pool *pools);

#endif

/* When the devices behind servers that drain will have spoken, by the intervals seen so far. Control thread. */
#ifndef CIDLB_ADMIN_FORECAST_H
#define CIDLB_ADMIN_FORECAST_H

#include <jansson.h>

#include "control/view.h"

struct control;

/* {"POOL/NAME": {"half_s", "all_s", "late", "new", "by_s"}} for each backend that drains and has flows, in one walk
 * through all flows. late: so many devices have been silent for longer than ever; new: so many without an interval;
 * by_s: until then each of the others has spoken or is late. NULL: out of memory. */
json_t *forecasts_new(struct control *control, const struct view *view);

/* That of a backend, borrowed, or NULL. `forecasts` may be NULL. */
json_t *forecasts_find(const json_t *forecasts, const struct view_backend *backend);

#endif

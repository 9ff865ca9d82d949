/* The fast path, as `cidlbctl status` and the page at / of admin.http show it. Control thread. */
#ifndef CIDLB_ADMIN_FAST_JSON_H
#define CIDLB_ADMIN_FAST_JSON_H

#include <jansson.h>

#include "control/view.h"

/* null: none is configured. `datagrams` and `replies` are what it took; `of_datagrams` and `of_replies` are all.
 * NULL if memory runs out. */
json_t *fast_json(const struct view *view);

#endif

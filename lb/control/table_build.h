/* From a configuration to the table that workers read. Control thread. */
#ifndef CIDLB_CONTROL_TABLE_BUILD_H
#define CIDLB_CONTROL_TABLE_BUILD_H

#include "conf/conf.h"
#include "control/table_spec.h"
#include "path/table.h"

/* Makes the table of `conf` and of the pools in `spec`, whose health and administrative states are taken as they are.
 * listener_uids: by index in conf->listeners. What `previous` (may be NULL) has as well is shared with it. The caller
 * publishes or frees the table. NULL: out of memory. */
struct table *table_build(const struct conf *conf, const struct table_spec *spec, const uint16_t *listener_uids,
			  const struct table *previous);

/* The endpoints of a pool of mode nat. */
void table_build_space(struct endpoint_space *out, const struct conf_nat *nat);

#endif

/* The sources that no datagram may come from (common/bad_sources.h), of a configuration and of this host. Control
 * thread. */
#ifndef CIDLB_CONTROL_TABLE_BAD_SOURCES_H
#define CIDLB_CONTROL_TABLE_BAD_SOURCES_H

#include "common/bad_sources.h"
#include "conf/conf.h"
#include "control/table_spec.h"
#include "path/table.h"

/* `pools`: those of the table, with their sockets, in the order of conf->pools; NULL: no socket is open. The caller
 * frees them, or gives them to the snapshot. NULL: out of memory. */
struct bad_sources *table_bad_sources_new(const struct conf *conf, const struct table_spec *spec,
					  const struct table_pool *pools);

#endif

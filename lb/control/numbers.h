/* The stable numbers of a node: the one place that gives listeners, pools and backends theirs (uids.h). Control thread.
 */
#ifndef CIDLB_CONTROL_NUMBERS_H
#define CIDLB_CONTROL_NUMBERS_H

#include <stdint.h>

#include "conf/conf.h"
#include "control/table_spec.h"
#include "control/uids.h"
#include "control/uids_in_use.h"

struct numbers {
	struct uids *listeners; /* by address, which is what a device knows: under a new name a listener keeps its
				   sockets, and goes on answering */
	struct uids *pools, *backends;
};

/* -ENOMEM: numbers_free() takes what there is. */
int numbers_new(struct numbers *out);
void numbers_free(struct numbers *numbers);

/* The spec of `conf` (table_spec_make()), and the numbers of its listeners, by index in conf->listeners. -ENOMEM, or
 * -ENOSPC: there are no more numbers; `spec` is then empty. */
int numbers_give(struct numbers *numbers, const struct conf *conf, struct table_spec *spec,
		 uint16_t listener_uids[static CONF_MAX_LISTENERS]);

/* uids_take_back() of all three. */
void numbers_take_back(struct numbers *numbers, const struct uids_in_use *used);

#endif

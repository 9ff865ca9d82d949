/* The stable numbers of a node. Listeners, pools and backends get theirs only here (uids.h). Control thread. */
#ifndef CIDLB_CONTROL_NUMBERS_H
#define CIDLB_CONTROL_NUMBERS_H

#include <stdint.h>

#include "conf/conf.h"
#include "control/table_spec.h"
#include "control/uids.h"
#include "control/uids_in_use.h"

struct numbers {
	/* By address, because that is what a device knows. A listener with a new name keeps its sockets and goes on
	 * answering. */
	struct uids *listeners;
	struct uids *pools, *backends;
};

/* 0, or -ENOMEM: numbers_free() frees what there is. */
int numbers_new(struct numbers *out);
void numbers_free(struct numbers *numbers);

/* Makes the spec of `conf` (table_spec_make()), and gives its listeners their numbers, by index in conf->listeners.
 * -ENOMEM. -ENOSPC: there are no more numbers. On an error `spec` is empty. */
int numbers_give(struct numbers *numbers, const struct conf *conf, struct table_spec *spec,
		 uint16_t listener_uids[static CONF_MAX_LISTENERS]);

/* uids_take_back() for all three. */
void numbers_take_back(struct numbers *numbers, const struct uids_in_use *used);

#endif

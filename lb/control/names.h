/* The names of backends: which ones the DNS is asked for, and what comes of an answer. Control thread. */
#ifndef CIDLB_CONTROL_NAMES_H
#define CIDLB_CONTROL_NAMES_H

#include "conf/conf.h"
#include "control/table_spec.h"
#include "health/resolve.h"

struct control;

/* Fills in the last good addresses of backends with names; one that never had any keeps the address 0. */
void names_recall(const struct control *control, const struct conf *conf, struct table_spec *spec);

/* Has the DNS asked for the names of the running configuration, and for no others. -errno: those of before stay. */
int names_follow(struct control *control);

void names_on_answer(void *ctx, const struct resolve_name *name,
		     const struct resolve_answer *answer); /* resolve_report; ctx: the control */

#endif

/* The names of backends: which ones the DNS is asked for, and what follows from an answer. Control thread. */
#ifndef CIDLB_CONTROL_NAMES_H
#define CIDLB_CONTROL_NAMES_H

#include "conf/conf.h"
#include "control/table_spec.h"
#include "health/resolve.h"

struct control;

/* Fills in the last good address of every backend with a name. A backend that never had one keeps the address 0. */
void names_recall(const struct control *control, const struct conf *conf, struct table_spec *spec);

/* Has the DNS asked for the names of the running configuration, and for no others. 0, or -errno: the names of before
 * stay. */
int names_follow(struct control *control);

/* Takes an answer. A resolve_report; ctx: the control. */
void names_on_answer(void *ctx, const struct resolve_name *name, const struct resolve_answer *answer);

#endif

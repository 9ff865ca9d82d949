/* The doors by which cidlb is asked and told: admin.http and admin.socket. The daemon's; control thread. */
#ifndef CIDLB_START_DOORS_H
#define CIDLB_START_DOORS_H

#include <event2/event.h>

#include "conf/conf.h"

struct control;
struct doors;

/* Has admin.http follow the configuration: it opens, moves and closes with what is applied from now on, or refuses it.
 * -errno. */
int doors_new(struct doors **out, struct control *control, struct event_base *base);

/* Opens admin.socket, as `conf` has it; that stays as it is. As root still: the usual directories let nobody else. 0,
 * also if the usual socket cannot be had, which is logged, or -errno (logged). */
int doors_open_socket(struct doors *doors, const struct conf *conf);

/* Lets everybody go, ends the trace that runs. While there still are workers. NULL is fine. */
void doors_free(struct doors *doors);

#endif

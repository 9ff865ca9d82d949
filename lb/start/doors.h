/* The doors through which cidlb is asked and told: admin.http and admin.socket. Owner: the daemon. Control thread. */
#ifndef CIDLB_START_DOORS_H
#define CIDLB_START_DOORS_H

#include <event2/event.h>

#include "conf/conf.h"

struct control;
struct doors;

/* Has admin.http follow the configuration. It opens, moves and closes with what is applied from now on, or refuses it.
 * 0 or -errno. */
int doors_new(struct doors **out, struct control *control, struct event_base *base);

/* Opens admin.socket as `conf` has it. It stays so over reloads. Called while cidlb is still root, because the usual
 * directories admit nobody else. 0, also if only the usual socket cannot be opened. Else -errno. Both are logged. */
int doors_open_socket(struct doors *doors, const struct conf *conf);

/* Ends the running trace and lets everybody go. Called while there still are workers. NULL is fine. */
void doors_free(struct doors *doors);

#endif

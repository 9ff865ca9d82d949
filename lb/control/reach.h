/* On which interface the replies of each backend come in, as the routing table of the host says it: that which leads
 * there. What a backend on this host sends comes in, for the kernel, on the interface that has the address it is sent
 * to.
 *
 * Asked when a table is built and when routes, rules, links or addresses change. Control thread. */
#ifndef CIDLB_CONTROL_REACH_H
#define CIDLB_CONTROL_REACH_H

#include <stdint.h>

#include "control/table_spec.h"
#include "io/netlink.h"

struct control;
struct event;

struct reach {
	struct netlink *netlink; /* NULL: the kernel cannot be asked, so replies count from any interface */
	struct event *changed, *timer;
	uint32_t generation; /* of what is known: grows when something has changed */
};

/* What is known of one backend. */
struct reach_known {
	uint8_t ip[16];
	uint32_t generation, iface;
};

/* 0, also if the kernel cannot be asked, which is logged; or -ENOMEM. Called before the sandbox. */
int reach_open(struct control *control);
void reach_close(struct control *control);

/* Asks anew: another configuration may have other endpoints. */
void reach_forget(struct control *control);

/* Sets the interfaces of the backends in `spec`, which is that of `conf`. Returns whether one is another than before.
 */
bool reach_find(struct control *control, const struct conf *conf, struct table_spec *spec);

#endif

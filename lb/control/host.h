/* Follows the addresses of this host. A listener on a wildcard address has all of them, and no datagram may come from
 * one of them with the listener's port (common/bad_sources.h). Control thread. */
#ifndef CIDLB_CONTROL_HOST_H
#define CIDLB_CONTROL_HOST_H

struct control;

/* Reads them for the first time, before the sandbox. Where they cannot be read, cidlb does without. */
void host_open(struct control *control);

/* Once a second: reads them again where a listener needs them. If they have changed, there will be another table. */
void host_tick(struct control *control);

#endif

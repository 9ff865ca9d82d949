/* What cidlb does, in one line for `systemctl status`. Control thread. */
#ifndef CIDLB_START_STATUS_H
#define CIDLB_START_STATUS_H

struct control;

enum { STATUS_OCTETS = 1024 };

/* As "serves 1 listener, 1 pool: 5 of 6 servers up, 1 draining". If so, it goes on with why the node is not ready, that
 * it was told to leave, and why the last reload was refused. */
void status_write(char out[static STATUS_OCTETS], struct control *control);

#endif

/* The shim of this process. */
#ifndef CIDLB_SHIM_START_H
#define CIDLB_SHIM_START_H

#include "shim/datagram.h"

/* Set before main(), unless another library's start binds a socket: then at that time. */
struct shim *start_shim(void);

/* Marks a socket whose port is to be tunnelled; all others stay as they are. -EACCES: it should be, and cannot: a line
 * has said why. */
int start_tunnel(int fd);

#endif

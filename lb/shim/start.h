/* The shim of this process. */
#ifndef CIDLB_SHIM_START_H
#define CIDLB_SHIM_START_H

#include "shim/datagram.h"

/* Set up before main(), or earlier if another library's start binds a socket. */
struct shim *start_shim(void);

/* Marks a socket whose port is to be tunnelled, and leaves all others as they are. -EACCES: it should be tunnelled and
 * cannot; a line has said why. */
int start_tunnel(int fd);

#endif

#ifndef CIDLB_BENCH_LIB_NET_H
#define CIDLB_BENCH_LIB_NET_H

/* Makes sockets of this thread belong to a network namespace, a file, from now on. NULL: nothing changes. Returns 0 or
 * -errno. */
int net_enter(const char *file);

#endif

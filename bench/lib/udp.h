/* Non-blocking UDP sockets over struct addr. */
#ifndef CIDLB_BENCH_LIB_UDP_H
#define CIDLB_BENCH_LIB_UDP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/addr.h"

enum { UDP_MAX_OCTETS = 65535 };

/* Makes a socket bound to `at`, with a large receive buffer. Returns the descriptor or -errno. */
int udp_listen(const struct addr *at);

/* Makes a socket connected to `to`, from a free port that is not `not_port` (0: any). *port becomes that port. `from`:
 * an address of this host, without a port. NULL: the address that the route says. Returns the descriptor or -errno. */
int udp_connect(const struct addr *to, const struct addr *from, uint16_t not_port, uint16_t *port);

/* Returns the octets read or -errno. -EAGAIN: there is nothing more. ICMP errors of earlier sends are passed over. */
ssize_t udp_receive(int fd, void *data, size_t size, struct addr *from);

/* `to`: NULL for a connected socket. Returns 0 or -errno. An ICMP error of an earlier datagram is passed over. */
int udp_send(int fd, const struct addr *to, const void *data, size_t len);

#endif

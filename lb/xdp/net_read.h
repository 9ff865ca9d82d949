/* The network around cidlb, asked of the kernel: struct fast_net (xdp/net.h). Control thread. */
#ifndef CIDLB_XDP_NET_READ_H
#define CIDLB_XDP_NET_READ_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "io/netlink.h"
#include "xdp/net.h"

enum {
	FAST_AROUND_PATHS = 1024, /* routes of a family that are read */
	FAST_AROUND_STALE = 64,
};

struct fast_around;

/* NULL: out of memory. `ifindexes`: of the interfaces that the program is attached to, at most FAST_INTERFACES. */
struct fast_around *fast_around_new(const uint32_t *ifindexes, size_t count);
void fast_around_free(struct fast_around *around);

/* Asks anew. `wanted`: addresses whose neighbours count as known also when the kernel has not seen them lately; they
 * are told of by fast_around_stale(). Gateways are such, too. 0, or -errno: then nobody knows any way. */
int fast_around_read(struct fast_around *around, struct netlink *netlink, const struct addr *wanted, size_t count);

/* What was read, until it is read again. */
const struct fast_net *fast_around_net(const struct fast_around *around);

/* The neighbours that are used, and should be asked after, because what goes there bypasses the kernel. */
const struct addr *fast_around_stale(const struct fast_around *around, size_t *count);

/* Of what was read, so much did not find room: routes, neighbours, hops. Where a route is left out, all that its family
 * has are. */
unsigned fast_around_left_out(const struct fast_around *around);

#endif

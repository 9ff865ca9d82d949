/* The network around cidlb, as the fast path needs it: its interfaces, and the next hop to any address. A value;
 * whoever fills it knows where from. */
#ifndef CIDLB_XDP_NET_H
#define CIDLB_XDP_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/host_addrs.h"
#include "xdp/fast_map.h"

struct fast_neighbour {
	struct fast_ip ip;
	uint16_t hop; /* index in hops */
};

struct fast_net {
	struct fast_interface interfaces[FAST_INTERFACES];
	size_t interface_count;
	struct fast_hop hops[FAST_HOPS];
	/* Per family (0: IPv4, 1: IPv6), the longest prefixes first. None: nobody knows a way. */
	struct fast_route routes[2][FAST_ROUTES];
	size_t route_count[2];
	struct fast_neighbour *neighbours; /* on links that need no gateway; a loan */
	size_t neighbour_count;
	const struct host_addrs *host; /* a loan */
};

static inline struct fast_ip fast_ip_of(const uint8_t ip[static 16])
{
	struct fast_ip out;

	__builtin_memcpy(&out, ip, sizeof out);
	return out;
}

/* The first `bits` (0..128) of an address. */
struct fast_ip fast_ip_mask(unsigned bits);

/* The next hop, or one with MTU 0: nobody knows it. */
struct fast_hop fast_net_hop(const struct fast_net *net, const struct addr *to);

/* The number of the interface, or FAST_INTERFACES: it is none of the fast path's. */
uint8_t fast_net_device(const struct fast_net *net, uint32_t ifindex);

#endif

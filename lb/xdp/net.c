#include "xdp/net.h"

struct fast_ip fast_ip_mask(unsigned bits)
{
	uint8_t octets[16];

	for (unsigned i = 0; i < sizeof octets; i++) {
		const unsigned left = bits > 8 * i ? bits - 8 * i : 0;

		octets[i] = (uint8_t)(0xff00 >> (left < 8 ? left : 8));
	}
	return fast_ip_of(octets);
}

static bool has(const struct fast_route *route, const struct fast_ip *ip)
{
	return (ip->words[0] & route->mask.words[0]) == route->ip.words[0] &&
	       (ip->words[1] & route->mask.words[1]) == route->ip.words[1];
}

static uint16_t neighbour_hop(const struct fast_net *net, const struct fast_ip *ip)
{
	for (size_t i = 0; i < net->neighbour_count; i++)
		if (net->neighbours[i].ip.words[0] == ip->words[0] && net->neighbours[i].ip.words[1] == ip->words[1])
			return net->neighbours[i].hop;
	return FAST_NO_HOP;
}

struct fast_hop fast_net_hop(const struct fast_net *net, const struct addr *to)
{
	const struct fast_ip ip = fast_ip_of(to->ip);
	const size_t family = addr_is_v4(to) ? 0 : 1;

	for (size_t i = 0; i < net->route_count[family]; i++) {
		const struct fast_route *route = &net->routes[family][i];

		if (!has(route, &ip))
			continue;
		const uint16_t hop = route->hop == FAST_NO_HOP ? neighbour_hop(net, &ip) : route->hop;
		return hop < FAST_HOPS ? net->hops[hop] : (struct fast_hop){ .mtu = 0 };
	}
	return (struct fast_hop){ .mtu = 0 };
}

uint8_t fast_net_device(const struct fast_net *net, uint32_t ifindex)
{
	uint8_t device = 0;

	while (device < net->interface_count && net->interfaces[device].ifindex != ifindex)
		device++;
	return device < net->interface_count ? device : (uint8_t)FAST_INTERFACES;
}

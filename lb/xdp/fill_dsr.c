/* Mode dsr: the program sends where the sockets send, as control/dsr.h has found it out. */
#include <string.h>

#include "xdp/fill_parts.h"

/* Straight to the neighbour. A route may lead to it through a router, which would send a frame back. */
static void fill_link(struct fast_backend *row, const struct fast_net *net, const struct table_hop *to)
{
	const uint8_t device = fast_net_device(net, to->link.iface);

	if (device == FAST_INTERFACES)
		return;
	row->hop = (struct fast_hop){ .mtu = to->mtu, .device = device };
	memcpy(row->hop.to, to->link.mac, sizeof row->hop.to);
	memcpy(row->hop.from, net->interfaces[device].mac, sizeof row->hop.from);
}

void fast_fill_dsr(struct fast_backend *row, const struct fast_fill *fill, size_t pool, size_t backend)
{
	static const uint8_t unknown[16];
	const struct table_pool *settings = &fill->table->pools[pool];
	const struct table_hop *to = &settings->hops[backend];

	row->local = fast_ip_of(to->from);
	if (to->mtu == 0)
		return;
	if (settings->dsr_encap == TABLE_L2)
		fill_link(row, fill->net, to);
	else if (memcmp(to->from, unknown, sizeof unknown) != 0)
		row->hop = fast_net_hop(fill->net, &fill->table->snapshot->pools[pool].backends[backend].addr);
}

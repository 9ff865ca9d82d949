#include "xdp/net_read.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/host_addrs.h"

enum { FAMILIES = 2, UNKNOWN = 0 /* the hop where nobody knows the way */, V4_BITS_AT = 96 };

struct fast_around {
	struct fast_net net;
	struct host_addrs host;
	struct netlink_link links[FAST_INTERFACES]; /* of the interfaces; iface 0: it is not there */
	struct netlink_path paths[FAST_AROUND_PATHS];
	size_t path_count;
	uint32_t route_ifaces[FAMILIES][FAST_ROUTES]; /* of a route without gateway */
	uint16_t route_mtus[FAMILIES][FAST_ROUTES];
	size_t hop_count;
	struct netlink_neighbour seen[FAST_NEIGHBOUR_ROWS];
	size_t seen_count;
	struct fast_neighbour neighbours[FAST_NEIGHBOUR_ROWS];
	struct addr stale[FAST_AROUND_STALE];
	size_t stale_count;
	unsigned left_out;
};

struct fast_around *fast_around_new(const uint32_t *ifindexes, size_t count)
{
	struct fast_around *around = calloc(1, sizeof *around);

	if (!around)
		return NULL;
	around->net.neighbours = around->neighbours;
	around->net.host = &around->host;
	for (size_t i = 0; i < count && i < FAST_INTERFACES; i++)
		around->net.interfaces[around->net.interface_count++].ifindex = ifindexes[i];
	return around;
}

void fast_around_free(struct fast_around *around)
{
	if (around)
		host_addrs_free(&around->host);
	free(around);
}

const struct fast_net *fast_around_net(const struct fast_around *around)
{
	return &around->net;
}

const struct addr *fast_around_stale(const struct fast_around *around, size_t *count)
{
	*count = around->stale_count;
	return around->stale;
}

unsigned fast_around_left_out(const struct fast_around *around)
{
	return around->left_out;
}

static void link_take(void *ctx, const struct netlink_link *link)
{
	struct fast_around *around = ctx;
	const uint8_t device = fast_net_device(&around->net, link->iface);

	if (device == FAST_INTERFACES || !link->is_ethernet)
		return;
	around->links[device] = *link;
	memcpy(around->net.interfaces[device].mac, link->mac, sizeof link->mac);
}

static void neighbour_take(void *ctx, const struct netlink_neighbour *neighbour)
{
	struct fast_around *around = ctx;

	if (fast_net_device(&around->net, neighbour->iface) == FAST_INTERFACES)
		return;
	if (around->seen_count == FAST_NEIGHBOUR_ROWS)
		around->left_out++;
	else
		around->seen[around->seen_count++] = *neighbour;
}

/* What goes to an address of a link is passed up. */
static void path_take(void *ctx, const struct netlink_path *path)
{
	struct fast_around *around = ctx;

	if (path->bits >= 10 && addr_is_of_link(path->to))
		return;
	if (around->path_count == FAST_AROUND_PATHS)
		around->left_out++;
	else
		around->paths[around->path_count++] = *path;
}

/* The longest prefixes first, and of one prefix the route that the kernel takes. */
static int path_compare(const void *one, const void *other)
{
	const struct netlink_path *a = one, *b = other;
	const int order = a->bits != b->bits ? (int)b->bits - (int)a->bits : memcmp(a->to, b->to, sizeof a->to);

	return order ? order : a->metric < b->metric ? -1 : a->metric > b->metric;
}

static bool same_prefix(const struct netlink_path *a, const struct netlink_path *b)
{
	return a->bits == b->bits && memcmp(a->to, b->to, sizeof a->to) == 0;
}

static uint16_t mtu_of(const struct netlink_link *link, uint16_t of_route)
{
	const uint16_t mtu = link->mtu < UINT16_MAX ? (uint16_t)link->mtu : UINT16_MAX;

	return of_route && of_route < mtu ? of_route : mtu;
}

/* The index of the hop to a neighbour, or UNKNOWN. */
static uint16_t hop_to(struct fast_around *around, const struct netlink_neighbour *neighbour, uint16_t of_route)
{
	const uint8_t device = fast_net_device(&around->net, neighbour->iface);
	const struct netlink_link *link = &around->links[device];
	struct fast_hop hop = { .device = device };

	if (link->iface == 0 || !link->is_up)
		return UNKNOWN;
	hop.mtu = mtu_of(link, of_route);
	memcpy(hop.to, neighbour->mac, sizeof hop.to);
	memcpy(hop.from, link->mac, sizeof hop.from);
	for (uint16_t i = 1; i < around->hop_count; i++)
		if (memcmp(&around->net.hops[i], &hop, sizeof hop) == 0)
			return i;
	if (around->hop_count == FAST_HOPS) {
		around->left_out++;
		return UNKNOWN;
	}
	around->net.hops[around->hop_count] = hop;
	return (uint16_t)around->hop_count++;
}

static void stale_note(struct fast_around *around, const struct netlink_neighbour *neighbour)
{
	if (neighbour->is_sure || around->stale_count == FAST_AROUND_STALE)
		return;
	struct addr *stale = &around->stale[around->stale_count++];

	memcpy(stale->ip, neighbour->ip, sizeof stale->ip);
	stale->port = 0;
	if (addr_is_of_link(stale->ip))
		addr_set_scope(stale->ip, neighbour->iface);
}

static uint16_t gateway_hop(struct fast_around *around, const struct netlink_path *path)
{
	for (size_t i = 0; i < around->seen_count; i++) {
		const struct netlink_neighbour *neighbour = &around->seen[i];

		if (neighbour->iface != path->iface || memcmp(neighbour->ip, path->gateway, sizeof path->gateway) != 0)
			continue;
		stale_note(around, neighbour);
		return hop_to(around, neighbour, path->mtu);
	}
	return UNKNOWN;
}

static void route_add(struct fast_around *around, size_t family, const struct netlink_path *path)
{
	const size_t at = around->net.route_count[family]++;
	struct fast_route *route = &around->net.routes[family][at];

	*route = (struct fast_route){ .ip = fast_ip_of(path->to), .mask = fast_ip_mask(path->bits), .hop = UNKNOWN };
	route->ip.words[0] &= route->mask.words[0];
	route->ip.words[1] &= route->mask.words[1];
	around->route_ifaces[family][at] = 0;
	around->route_mtus[family][at] = path->mtu;
	if (!path->is_simple || fast_net_device(&around->net, path->iface) == FAST_INTERFACES)
		return;
	if (path->has_gateway) {
		route->hop = gateway_hop(around, path);
	} else {
		route->hop = FAST_NO_HOP;
		around->route_ifaces[family][at] = path->iface;
	}
}

/* Two routes that the kernel may both take: only it knows. */
static void paths_sort_out(struct fast_around *around)
{
	size_t kept = 0;

	qsort(around->paths, around->path_count, sizeof *around->paths, path_compare);
	for (size_t i = 0; i < around->path_count; i++) {
		struct netlink_path *last = kept ? &around->paths[kept - 1] : NULL;

		if (!last || !same_prefix(last, &around->paths[i]))
			around->paths[kept++] = around->paths[i];
		else if (last->metric == around->paths[i].metric)
			last->is_simple = false;
	}
	around->path_count = kept;
}

static int routes_read(struct fast_around *around, struct netlink *netlink, size_t family)
{
	static const uint8_t families[FAMILIES] = { AF_INET, AF_INET6 };
	const unsigned left_out = around->left_out;
	int plain = netlink_is_plain(netlink, families[family]), err;

	if (plain <= 0)
		return plain;
	around->path_count = 0;
	err = netlink_paths(netlink, families[family], path_take, around);
	if (err)
		return err;
	paths_sort_out(around);
	if (around->path_count > FAST_ROUTES)
		around->left_out += (unsigned)(around->path_count - FAST_ROUTES);
	/* Where one is missing, a shorter one would be taken for it. */
	for (size_t i = 0; around->left_out == left_out && i < around->path_count; i++)
		route_add(around, family, &around->paths[i]);
	return 0;
}

static bool is_wanted(const struct netlink_neighbour *neighbour, const struct addr *wanted, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(wanted[i].ip, neighbour->ip, sizeof neighbour->ip) == 0)
			return true;
	return false;
}

/* The route to a neighbour, or FAST_ROUTES: it is behind a gateway, or on another link. */
static size_t route_of(const struct fast_around *around, const struct netlink_neighbour *neighbour, size_t family)
{
	const struct fast_ip ip = fast_ip_of(neighbour->ip);

	for (size_t i = 0; i < around->net.route_count[family]; i++) {
		const struct fast_route *route = &around->net.routes[family][i];

		if ((ip.words[0] & route->mask.words[0]) != route->ip.words[0] ||
		    (ip.words[1] & route->mask.words[1]) != route->ip.words[1])
			continue;
		return around->route_ifaces[family][i] == neighbour->iface ? i : FAST_ROUTES;
	}
	return FAST_ROUTES;
}

/* A device that was not seen lately may be another one by now. What goes to it through the kernel has that ask. */
static void neighbours_add(struct fast_around *around, const struct addr *wanted, size_t count)
{
	for (size_t i = 0; i < around->seen_count; i++) {
		const struct netlink_neighbour *neighbour = &around->seen[i];
		struct addr addr = { .port = 0 };

		memcpy(addr.ip, neighbour->ip, sizeof addr.ip);
		const size_t family = addr_is_v4(&addr) ? 0 : 1, route = route_of(around, neighbour, family);
		const bool is_used = neighbour->is_sure || is_wanted(neighbour, wanted, count);

		if (route == FAST_ROUTES || !is_used)
			continue;
		stale_note(around, neighbour);
		const uint16_t hop = hop_to(around, neighbour, around->route_mtus[family][route]);
		if (hop != UNKNOWN)
			around->neighbours[around->net.neighbour_count++] =
				(struct fast_neighbour){ fast_ip_of(neighbour->ip), hop };
	}
}

static void forget(struct fast_around *around)
{
	memset(around->links, 0, sizeof around->links);
	memset(around->net.hops, 0, sizeof around->net.hops);
	memset(around->net.route_count, 0, sizeof around->net.route_count);
	for (size_t i = 0; i < around->net.interface_count; i++)
		memset(around->net.interfaces[i].mac, 0, sizeof around->net.interfaces[i].mac);
	around->net.neighbour_count = around->seen_count = around->stale_count = 0;
	around->hop_count = UNKNOWN + 1;
	around->left_out = 0;
	host_addrs_free(&around->host);
}

int fast_around_read(struct fast_around *around, struct netlink *netlink, const struct addr *wanted, size_t count)
{
	int err;

	forget(around);
	err = host_addrs_read(&around->host);
	if (!err)
		err = netlink_links(netlink, link_take, around);
	if (!err)
		err = netlink_neighbours(netlink, neighbour_take, around);
	for (size_t family = 0; !err && family < FAMILIES; family++)
		err = routes_read(around, netlink, family);
	if (err)
		memset(around->net.route_count, 0, sizeof around->net.route_count);
	else
		neighbours_add(around, wanted, count);
	return err;
}

/* What the kernel says of this host's routes, links and addresses (rtnetlink). Two sockets: one for questions, which
 * the kernel answers before the send returns, and one that tells of changes. Both are opened before the sandbox, which
 * lets nobody open another.
 *
 * Owner: the control thread. Nothing here needs a privilege.
 */
#ifndef CIDLB_IO_NETLINK_H
#define CIDLB_IO_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netlink;

/* 0 or -errno. */
int netlink_open(struct netlink **out);
/* The same, and changes of neighbours are told of as well. */
int netlink_open_all(struct netlink **out);
/* NULL is fine. */
void netlink_close(struct netlink *netlink);

/* A descriptor that is readable when routes, rules, links or addresses have changed. */
int netlink_changes(const struct netlink *netlink);

/* Reads a bounded number of changes, and drops them: what they say is asked for. True: there were some. */
bool netlink_read_changes(struct netlink *netlink);

/* The way to an address. */
struct netlink_route {
	bool local; /* the address is this host's own */
	/* The index of the interface that leads there, or has the address: the loopback has those of a prefix that is
	 * local. 0: unknown, because there is no route or more than one, or other tables than the usual ones decide. */
	uint32_t iface;
};

/* For datagrams to `to` from `from`, an address of this host and of the same family, because rules may look at that.
 * NULL: from wherever the kernel likes. Both are as in struct addr. */
struct netlink_route netlink_route(struct netlink *netlink, const uint8_t to[static 16], const uint8_t *from);

/* The next hop to an address. */
struct netlink_hop {
	uint32_t iface;      /* 0: there is no route, or the address is this host's own */
	uint16_t mtu;        /* of the link */
	bool behind_gateway; /* a router stands between */
	uint8_t from[16];    /* what leaves for it leaves from here; all 0: the kernel does not say */
	bool has_mac;        /* the kernel knows its neighbour of that address; never behind a gateway */
	bool is_sure;        /* and has seen it lately */
	uint8_t mac[6];
};

struct netlink_hop netlink_hop(struct netlink *netlink, const uint8_t to[static 16]);

/* The name of an interface, or "". Returns `out`. */
const char *netlink_name(struct netlink *netlink, uint32_t iface, char out[static IF_NAMESIZE]);

/* Shows `visit` each address of this host, in both families. 0, or -errno: not all were shown. */
typedef void netlink_visit(void *ctx, uint32_t iface, const uint8_t ip[static 16]);
int netlink_addresses(struct netlink *netlink, netlink_visit *visit, void *ctx);

/* netlink_dump.c: all that the kernel has of a kind. Each returns 0, or -errno: not all were shown. */

struct netlink_link {
	uint32_t iface, mtu;
	bool is_up;
	bool is_ethernet; /* else it has no `mac` */
	uint8_t mac[6];
};

typedef void netlink_visit_link(void *ctx, const struct netlink_link *link);
int netlink_links(struct netlink *netlink, netlink_visit_link *visit, void *ctx);

/* A route of the main table. */
struct netlink_path {
	uint8_t to[16];
	uint8_t bits;   /* of `to`, as it stands there: of an IPv4 route 96 and more */
	bool is_simple; /* one next hop, on `iface`. Else only the kernel knows what becomes of a packet */
	bool has_gateway;
	uint8_t gateway[16];
	uint32_t iface, metric;
	uint16_t mtu; /* 0: that of the link */
};

typedef void netlink_visit_path(void *ctx, const struct netlink_path *path);
/* `family`: AF_INET or AF_INET6. */
int netlink_paths(struct netlink *netlink, uint8_t family, netlink_visit_path *visit, void *ctx);

/* 1: only the main table decides where packets of that family go that are not for this host. 0: there are other rules,
 * or routes behind it. Or -errno. */
int netlink_is_plain(struct netlink *netlink, uint8_t family);

struct netlink_neighbour {
	uint8_t ip[16];
	uint32_t iface;
	bool is_sure; /* as in netlink_hop */
	uint8_t mac[6];
};

/* Only those whose address is known. */
typedef void netlink_visit_neighbour(void *ctx, const struct netlink_neighbour *neighbour);
int netlink_neighbours(struct netlink *netlink, netlink_visit_neighbour *visit, void *ctx);

#endif

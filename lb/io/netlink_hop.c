/* The next hop to an address: route, link and neighbour. */
#include <linux/if_link.h>
#include <string.h>
#include <sys/socket.h>

#include "common/addr.h"
#include "io/netlink_priv.h"

enum { MAC_OCTETS = 6 };

static void route_read(void *ctx, struct nlmsghdr *message)
{
	struct netlink_hop *hop = ctx;
	const struct rtmsg *body = NLMSG_DATA(message);

	if (message->nlmsg_type != RTM_NEWROUTE || body->rtm_type != RTN_UNICAST)
		return;
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof *body, attribute));) {
		if (attribute->rta_type == RTA_OIF)
			hop->iface = netlink_attribute_u32(attribute);
		else if (attribute->rta_type == RTA_GATEWAY || attribute->rta_type == RTA_VIA)
			hop->behind_gateway = true;
		else if (attribute->rta_type == RTA_PREFSRC)
			(void)netlink_attribute_ip(hop->from, attribute);
	}
}

static void link_read(void *ctx, struct nlmsghdr *message)
{
	struct netlink_hop *hop = ctx;

	if (message->nlmsg_type != RTM_NEWLINK)
		return;
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof(struct ifinfomsg), attribute));)
		if (attribute->rta_type == IFLA_MTU) {
			const uint32_t mtu = netlink_attribute_u32(attribute);

			hop->mtu = mtu < UINT16_MAX ? (uint16_t)mtu : UINT16_MAX;
		}
}

static void neighbour_read(void *ctx, struct nlmsghdr *message)
{
	static const unsigned valid = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
	struct netlink_hop *hop = ctx;
	const struct ndmsg *body = NLMSG_DATA(message);

	if (message->nlmsg_type != RTM_NEWNEIGH || !(body->ndm_state & valid))
		return;
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof *body, attribute));)
		if (attribute->rta_type == NDA_LLADDR && RTA_PAYLOAD(attribute) == MAC_OCTETS) {
			memcpy(hop->mac, RTA_DATA(attribute), MAC_OCTETS);
			hop->has_mac = true;
			hop->is_sure = !(body->ndm_state & NUD_STALE);
		}
}

static struct netlink_question question_of(uint16_t type, size_t body)
{
	return (struct netlink_question){ .header = { .nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
						      .nlmsg_type = type,
						      .nlmsg_flags = NLM_F_REQUEST } };
}

static void ask(struct netlink *netlink, struct netlink_question *question,
		void (*visit)(void *ctx, struct nlmsghdr *message), struct netlink_hop *hop)
{
	if (netlink_question_send(netlink, question) == 0)
		(void)netlink_answer_read(netlink, visit, hop);
}

struct netlink_hop netlink_hop(struct netlink *netlink, const uint8_t to[static 16])
{
	struct netlink_question route = question_of(RTM_GETROUTE, sizeof route.route.body),
				link = question_of(RTM_GETLINK, sizeof link.link),
				neighbour = question_of(RTM_GETNEIGH, sizeof neighbour.neighbour.body);
	struct addr addr = { .port = 0 };
	struct netlink_hop hop = { .iface = addr_scope(to) };

	memcpy(addr.ip, to, sizeof addr.ip);
	const bool v4 = addr_is_v4(&addr);
	const unsigned octets = v4 ? 4 : 16;
	const uint8_t family = v4 ? AF_INET : AF_INET6;
	route.route.body.rtm_family = family;
	route.route.body.rtm_dst_len = (uint8_t)(8 * octets);
	netlink_address_add(&route, RTA_DST, to, octets);
	if (hop.iface == 0)
		ask(netlink, &route, route_read, &hop);
	if (hop.iface == 0)
		return hop;
	link.link.ifi_index = (int)hop.iface;
	ask(netlink, &link, link_read, &hop);
	neighbour.neighbour.body.ndm_family = family;
	neighbour.neighbour.body.ndm_ifindex = (int)hop.iface;
	netlink_address_add(&neighbour, NDA_DST, to, octets);
	ask(netlink, &neighbour, neighbour_read, &hop);
	return hop;
}

/* All links, routes, rules and neighbours. */
#include <errno.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sockaddr.h"
#include "io/netlink_priv.h"

enum { MAC_OCTETS = 6, V4_BITS_AT = 96 };

/* A dump: its visitor, and what the reader needs. */
struct dump {
	union {
		netlink_visit_link *link;
		netlink_visit_path *path;
		netlink_visit_neighbour *neighbour;
	} visit;
	void *ctx;
	uint8_t family;
	bool is_plain; /* of rules */
};

static int dump(struct netlink *netlink, struct netlink_question *question, uint16_t type, size_t body,
		void (*read)(void *ctx, struct nlmsghdr *message), struct dump *dump)
{
	int err;

	question->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
	question->header.nlmsg_type = type;
	question->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	err = netlink_question_send(netlink, question);
	return err ? err : netlink_answer_read(netlink, read, dump);
}

static void link_read(void *ctx, struct nlmsghdr *message)
{
	const struct dump *dump = ctx;
	const struct ifinfomsg *body = NLMSG_DATA(message);
	struct netlink_link link = { .iface = (uint32_t)body->ifi_index, .is_up = body->ifi_flags & IFF_UP };

	if (message->nlmsg_type != RTM_NEWLINK)
		return;
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof *body, attribute));) {
		if (attribute->rta_type == IFLA_MTU) {
			link.mtu = netlink_attribute_u32(attribute);
		} else if (attribute->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(attribute) == MAC_OCTETS) {
			memcpy(link.mac, RTA_DATA(attribute), MAC_OCTETS);
			link.is_ethernet = body->ifi_type == ARPHRD_ETHER;
		}
	}
	dump->visit.link(dump->ctx, &link);
}

int netlink_links(struct netlink *netlink, netlink_visit_link *visit, void *ctx)
{
	struct netlink_question question = { .link = { .ifi_family = AF_UNSPEC } };
	struct dump links = { .visit.link = visit, .ctx = ctx };

	return dump(netlink, &question, RTM_GETLINK, sizeof question.link, link_read, &links);
}

static uint16_t mtu_read(const struct rtattr *metrics)
{
	const size_t octets = RTA_PAYLOAD(metrics);
	const uint8_t *at = RTA_DATA(metrics);

	for (size_t i = 0; i + sizeof(struct rtattr) <= octets;) {
		struct rtattr one;
		uint32_t mtu;

		memcpy(&one, at + i, sizeof one);
		if (one.rta_len < sizeof one || one.rta_len > octets - i)
			break;
		if (one.rta_type == RTAX_MTU && one.rta_len >= RTA_LENGTH(sizeof mtu)) {
			memcpy(&mtu, at + i + RTA_LENGTH(0), sizeof mtu);
			return mtu < UINT16_MAX ? (uint16_t)mtu : 0;
		}
		i += RTA_ALIGN(one.rta_len);
	}
	return 0;
}

static void path_attribute(struct netlink_path *path, const struct rtattr *attribute)
{
	switch (attribute->rta_type) {
	case RTA_DST:
		path->is_simple &= netlink_attribute_ip(path->to, attribute);
		break;
	case RTA_GATEWAY:
		path->has_gateway = true;
		path->is_simple &= netlink_attribute_ip(path->gateway, attribute);
		break;
	case RTA_OIF:
		path->iface = netlink_attribute_u32(attribute);
		break;
	case RTA_PRIORITY:
		path->metric = netlink_attribute_u32(attribute);
		break;
	case RTA_METRICS:
		path->mtu = mtu_read(attribute);
		break;
	/* Several next hops, one of the other family, a route that depends on the source, a tunnel of the kernel's. */
	case RTA_MULTIPATH:
	case RTA_VIA:
	case RTA_SRC:
	case RTA_ENCAP:
		path->is_simple = false;
		break;
	default:
		break;
	}
}

static void path_read(void *ctx, struct nlmsghdr *message)
{
	const struct dump *dump = ctx;
	const struct rtmsg *body = NLMSG_DATA(message);
	const bool v4 = dump->family == AF_INET;
	struct netlink_path path = {
		.bits = (uint8_t)(body->rtm_dst_len + (v4 ? V4_BITS_AT : 0)),
		.is_simple = body->rtm_type == RTN_UNICAST && body->rtm_tos == 0 && body->rtm_src_len == 0 &&
			     !(body->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)),
	};

	if (message->nlmsg_type != RTM_NEWROUTE || body->rtm_family != dump->family ||
	    (body->rtm_flags & RTM_F_CLONED) || body->rtm_table != RT_TABLE_MAIN)
		return;
	if (v4)
		sockaddr_read_v4(path.to, &(struct in_addr){ 0 });
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof *body, attribute));)
		path_attribute(&path, attribute);
	path.is_simple &= path.iface != 0;
	dump->visit.path(dump->ctx, &path);
}

/* A table that there is not is an empty one. */
static int routes_dump(struct netlink *netlink, uint8_t family, uint8_t table,
		       void (*read)(void *ctx, struct nlmsghdr *message), struct dump *routes)
{
	struct netlink_question question = { .route.body = { .rtm_family = family, .rtm_table = table } };
	const int err = dump(netlink, &question, RTM_GETROUTE, sizeof question.route.body, read, routes);

	return err == -ENOENT ? 0 : err;
}

int netlink_paths(struct netlink *netlink, uint8_t family, netlink_visit_path *visit, void *ctx)
{
	struct dump paths = { .visit.path = visit, .ctx = ctx, .family = family };

	return routes_dump(netlink, family, RT_TABLE_MAIN, path_read, &paths);
}

static void default_read(void *ctx, struct nlmsghdr *message)
{
	struct dump *dump = ctx;
	const struct rtmsg *body = NLMSG_DATA(message);

	if (message->nlmsg_type == RTM_NEWROUTE && body->rtm_table == RT_TABLE_DEFAULT)
		dump->is_plain = false;
}

/* The rules that every host has name a table and nothing else. */
static void rule_read(void *ctx, struct nlmsghdr *message)
{
	struct dump *dump = ctx;
	const struct fib_rule_hdr *body = NLMSG_DATA(message);

	if (message->nlmsg_type != RTM_NEWRULE || body->family != dump->family)
		return;
	if (body->action != FR_ACT_TO_TBL || body->dst_len || body->src_len || body->tos ||
	    (body->table != RT_TABLE_LOCAL && body->table != RT_TABLE_MAIN && body->table != RT_TABLE_DEFAULT))
		dump->is_plain = false;
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof *body, attribute));)
		switch (attribute->rta_type) {
		case FRA_TABLE:
		case FRA_PRIORITY:
		case FRA_PROTOCOL:
		case FRA_SUPPRESS_PREFIXLEN: /* it is always there; all ones: nothing is suppressed */
			if (attribute->rta_type == FRA_SUPPRESS_PREFIXLEN &&
			    netlink_attribute_u32(attribute) != UINT32_MAX)
				dump->is_plain = false;
			break;
		default:
			dump->is_plain = false;
		}
}

int netlink_is_plain(struct netlink *netlink, uint8_t family)
{
	struct netlink_question question = { .rule = { .family = family } };
	struct dump rules = { .family = family, .is_plain = true };
	int err = dump(netlink, &question, RTM_GETRULE, sizeof question.rule, rule_read, &rules);

	if (!err)
		err = routes_dump(netlink, family, RT_TABLE_DEFAULT, default_read, &rules);
	return err ? err : rules.is_plain;
}

static void neighbour_read(void *ctx, struct nlmsghdr *message)
{
	static const unsigned valid = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
	const struct dump *dump = ctx;
	const struct ndmsg *body = NLMSG_DATA(message);
	struct netlink_neighbour neighbour = { .iface = (uint32_t)body->ndm_ifindex,
					       .is_sure = !(body->ndm_state & NUD_STALE) };
	bool has_ip = false, has_mac = false;

	if (message->nlmsg_type != RTM_NEWNEIGH || !(body->ndm_state & valid) || (body->ndm_flags & NTF_PROXY))
		return;
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof *body, attribute));) {
		if (attribute->rta_type == NDA_DST) {
			has_ip = netlink_attribute_ip(neighbour.ip, attribute);
		} else if (attribute->rta_type == NDA_LLADDR && RTA_PAYLOAD(attribute) == MAC_OCTETS) {
			memcpy(neighbour.mac, RTA_DATA(attribute), MAC_OCTETS);
			has_mac = true;
		}
	}
	if (has_ip && has_mac)
		dump->visit.neighbour(dump->ctx, &neighbour);
}

int netlink_neighbours(struct netlink *netlink, netlink_visit_neighbour *visit, void *ctx)
{
	struct netlink_question question = { .neighbour.body = { .ndm_family = AF_UNSPEC } };
	struct dump neighbours = { .visit.neighbour = visit, .ctx = ctx };

	return dump(netlink, &question, RTM_GETNEIGH, sizeof question.neighbour.body, neighbour_read, &neighbours);
}

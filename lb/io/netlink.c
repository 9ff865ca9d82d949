#include "io/netlink_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "common/addr.h"

_Static_assert(sizeof(struct rtmsg) == NLMSG_ALIGN(sizeof(struct rtmsg)), "nothing stands before the attributes");

static int socket_open(uint32_t groups)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = groups };
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&local, sizeof local) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

enum {
	GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
		 RTMGRP_IPV4_RULE | 1 << (RTNLGRP_IPV6_RULE - 1),
};

static int open_for(struct netlink **out, uint32_t groups)
{
	struct netlink *netlink = calloc(1, sizeof *netlink);
	int err;

	if (!netlink)
		return -ENOMEM;
	netlink->questions = socket_open(0);
	netlink->changes = socket_open(groups);
	if (netlink->questions >= 0 && netlink->changes >= 0) {
		*out = netlink;
		return 0;
	}
	err = netlink->questions < 0 ? netlink->questions : netlink->changes;
	netlink_close(netlink);
	return err;
}

int netlink_open(struct netlink **out)
{
	return open_for(out, GROUPS);
}

/* With strict checks the kernel shows the one table that is asked for (Linux 4.20). */
int netlink_open_all(struct netlink **out)
{
	const int on = 1;
	int err = open_for(out, GROUPS | RTMGRP_NEIGH);

	if (!err && setsockopt((*out)->questions, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on) < 0) {
		err = -errno;
		netlink_close(*out);
	}
	return err;
}

void netlink_close(struct netlink *netlink)
{
	if (!netlink)
		return;
	if (netlink->questions >= 0)
		close(netlink->questions);
	if (netlink->changes >= 0)
		close(netlink->changes);
	free(netlink);
}

int netlink_changes(const struct netlink *netlink)
{
	return netlink->changes;
}

bool netlink_read_changes(struct netlink *netlink)
{
	bool read = false;

	/* ENOBUFS says that some were lost, which is a change like the others. */
	for (unsigned i = 0; i < CHANGES; i++)
		if (recv(netlink->changes, netlink->answer, sizeof netlink->answer, MSG_DONTWAIT) >= 0 ||
		    errno == ENOBUFS)
			read = true;
		else
			break;
	return read;
}

int netlink_question_send(struct netlink *netlink, struct netlink_question *question)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t sent;

	/* What is left of an answer that nobody read to its end. */
	while (recv(netlink->questions, netlink->answer, sizeof netlink->answer, MSG_DONTWAIT) >= 0)
		;
	question->header.nlmsg_seq = ++netlink->serial;
	sent = sendto(netlink->questions, question, question->header.nlmsg_len, MSG_DONTWAIT,
		      (const struct sockaddr *)&kernel, sizeof kernel);
	return sent < 0 ? -errno : (size_t)sent == question->header.nlmsg_len ? 0 : -EIO;
}

/* The message at `at` of a part of an answer that has `len` octets. NULL: it ends there. */
static struct nlmsghdr *message_at(struct netlink *netlink, size_t at, size_t len)
{
	struct nlmsghdr *message = (struct nlmsghdr *)(netlink->answer + at);

	return at + sizeof *message <= len && message->nlmsg_len >= sizeof *message && message->nlmsg_len <= len - at
		       ? message
		       : NULL;
}

const struct rtattr *netlink_attribute_next(const struct nlmsghdr *message, size_t body, const struct rtattr *before)
{
	const uint8_t *const begin = (const uint8_t *)message;
	const size_t at =
		before ? (size_t)((const uint8_t *)before - begin) + RTA_ALIGN(before->rta_len) : NLMSG_SPACE(body);
	const struct rtattr *attribute = (const struct rtattr *)(begin + at);

	return at + sizeof *attribute <= message->nlmsg_len && attribute->rta_len >= sizeof *attribute &&
			       attribute->rta_len <= message->nlmsg_len - at
		       ? attribute
		       : NULL;
}

int netlink_answer_read(struct netlink *netlink, void (*visit)(void *ctx, struct nlmsghdr *message), void *ctx)
{
	struct sockaddr_nl from = { 0 };

	for (;;) {
		socklen_t from_len = sizeof from;
		const ssize_t len = recvfrom(netlink->questions, netlink->answer, sizeof netlink->answer, MSG_DONTWAIT,
					     (struct sockaddr *)&from, &from_len);
		struct nlmsghdr *message;

		if (len < 0)
			return -errno;
		for (size_t at = 0; (message = message_at(netlink, at, (size_t)len));
		     at += NLMSG_ALIGN(message->nlmsg_len)) {
			struct nlmsgerr refusal;

			if (from.nl_pid != 0 || message->nlmsg_seq != netlink->serial)
				continue;
			if (message->nlmsg_type == NLMSG_DONE)
				return 0;
			if (message->nlmsg_type == NLMSG_ERROR) {
				memcpy(&refusal, NLMSG_DATA(message), sizeof refusal);
				return refusal.error;
			}
			visit(ctx, message);
			if (!(message->nlmsg_flags & NLM_F_MULTI))
				return 0;
		}
	}
}

uint32_t netlink_attribute_u32(const struct rtattr *attribute)
{
	uint32_t value = 0;

	if (RTA_PAYLOAD(attribute) >= sizeof value)
		memcpy(&value, RTA_DATA(attribute), sizeof value);
	return value;
}

bool netlink_attribute_ip(uint8_t ip[static 16], const struct rtattr *attribute)
{
	struct in_addr v4;

	if (RTA_PAYLOAD(attribute) == sizeof v4) {
		memcpy(&v4, RTA_DATA(attribute), sizeof v4);
		sockaddr_read_v4(ip, &v4);
		return true;
	}
	if (RTA_PAYLOAD(attribute) != 16)
		return false;
	memcpy(ip, RTA_DATA(attribute), 16);
	return true;
}

struct route {
	struct netlink_route is;
	bool certain;
};

static void route_read(void *ctx, struct nlmsghdr *message)
{
	struct route *route = ctx;
	const struct rtmsg *body = NLMSG_DATA(message);
	uint32_t table = body->rtm_table;
	bool several = false;

	if (message->nlmsg_type != RTM_NEWROUTE)
		return;
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof *body, attribute));) {
		if (attribute->rta_type == RTA_OIF)
			route->is.iface = netlink_attribute_u32(attribute);
		else if (attribute->rta_type == RTA_TABLE)
			table = netlink_attribute_u32(attribute);
		else if (attribute->rta_type == RTA_MULTIPATH)
			several = true;
	}
	route->is.local = body->rtm_type == RTN_LOCAL;
	route->certain = (route->is.local || body->rtm_type == RTN_UNICAST) && !several &&
			 (table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT || table == RT_TABLE_LOCAL);
}

void netlink_address_add(struct netlink_question *question, unsigned short type, const uint8_t *ip, unsigned octets)
{
	const struct rtattr attribute = { .rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(octets) };
	uint8_t *at = (uint8_t *)question + question->header.nlmsg_len, bare[16];

	memcpy(bare, ip, sizeof bare);
	addr_set_scope(bare, 0);
	memcpy(at, &attribute, sizeof attribute);
	memcpy(at + RTA_LENGTH(0), bare + 16 - octets, octets);
	question->header.nlmsg_len += (uint32_t)RTA_SPACE(octets);
}

/* Asks for the route itself (RTM_F_FIB_MATCH), and not for the next hop that this address would take of several. */
struct netlink_route netlink_route(struct netlink *netlink, const uint8_t to[static 16], const uint8_t *from)
{
	struct route route = { 0 };
	struct addr addr = { .port = 0 };
	struct netlink_question question = { .header = { .nlmsg_len = NLMSG_LENGTH(sizeof question.route.body),
							 .nlmsg_type = RTM_GETROUTE,
							 .nlmsg_flags = NLM_F_REQUEST } };

	memcpy(addr.ip, to, sizeof addr.ip);
	/* It says itself where it is. */
	if (addr_scope(to) != 0)
		return (struct netlink_route){ .iface = addr_scope(to) };
	const bool v4 = addr_is_v4(&addr);
	const unsigned octets = v4 ? 4 : 16;
	question.route.body = (struct rtmsg){ .rtm_family = v4 ? AF_INET : AF_INET6,
					      .rtm_dst_len = (uint8_t)(8 * octets),
					      .rtm_src_len = from ? (uint8_t)(8 * octets) : 0,
					      .rtm_flags = RTM_F_FIB_MATCH | RTM_F_LOOKUP_TABLE };
	netlink_address_add(&question, RTA_DST, to, octets);
	if (from)
		netlink_address_add(&question, RTA_SRC, from, octets);
	if (netlink_question_send(netlink, &question) || netlink_answer_read(netlink, route_read, &route) ||
	    !route.certain)
		route.is.iface = 0;
	return route.is;
}

static void name_read(void *ctx, struct nlmsghdr *message)
{
	char *out = ctx;

	if (message->nlmsg_type != RTM_NEWLINK)
		return;
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof(struct ifinfomsg), attribute));)
		if (attribute->rta_type == IFLA_IFNAME && RTA_PAYLOAD(attribute) <= IF_NAMESIZE)
			memcpy(out, RTA_DATA(attribute), RTA_PAYLOAD(attribute));
	out[IF_NAMESIZE - 1] = '\0';
}

const char *netlink_name(struct netlink *netlink, uint32_t iface, char out[static IF_NAMESIZE])
{
	struct netlink_question question = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
			    .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_REQUEST },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)iface },
	};

	out[0] = '\0';
	if (netlink_question_send(netlink, &question) == 0)
		(void)netlink_answer_read(netlink, name_read, out);
	return out;
}

struct addresses {
	netlink_visit *visit;
	void *ctx;
};

/* On a link between two hosts IFA_ADDRESS is the other one, and IFA_LOCAL this one. */
static void address_read(void *ctx, struct nlmsghdr *message)
{
	const struct addresses *addresses = ctx;
	const struct ifaddrmsg *body = NLMSG_DATA(message);
	const struct rtattr *local = NULL, *address = NULL;
	uint8_t ip[16];

	if (message->nlmsg_type != RTM_NEWADDR)
		return;
	for (const struct rtattr *attribute = NULL;
	     (attribute = netlink_attribute_next(message, sizeof *body, attribute));) {
		if (attribute->rta_type == IFA_LOCAL)
			local = attribute;
		else if (attribute->rta_type == IFA_ADDRESS)
			address = attribute;
	}
	if (!local)
		local = address;
	if (local && body->ifa_family == AF_INET && RTA_PAYLOAD(local) == sizeof(struct in_addr)) {
		struct in_addr v4;

		memcpy(&v4, RTA_DATA(local), sizeof v4);
		sockaddr_read_v4(ip, &v4);
	} else if (local && body->ifa_family == AF_INET6 && RTA_PAYLOAD(local) == sizeof ip) {
		memcpy(ip, RTA_DATA(local), sizeof ip);
	} else {
		return;
	}
	addresses->visit(addresses->ctx, body->ifa_index, ip);
}

int netlink_addresses(struct netlink *netlink, netlink_visit *visit, void *ctx)
{
	struct addresses addresses = { visit, ctx };
	struct netlink_question question = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			    .nlmsg_type = RTM_GETADDR,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.address = { .ifa_family = AF_UNSPEC },
	};
	int err = netlink_question_send(netlink, &question);

	return err ? err : netlink_answer_read(netlink, address_read, &addresses);
}

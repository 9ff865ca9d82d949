#include "io/messages.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/sockaddr.h"

static size_t control_write(uint8_t *control, int level, int type, const void *value, size_t len)
{
	struct msghdr header = { .msg_control = control, .msg_controllen = MESSAGES_CONTROL };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), value, len);
	return CMSG_SPACE(len);
}

static size_t control_write_local(uint8_t *control, const uint8_t *local, bool v4)
{
	struct in6_pktinfo info6 = { 0 };
	struct in_pktinfo info = { 0 };

	if (v4) {
		memcpy(&info.ipi_spec_dst, local + 12, 4);
		return control_write(control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	}
	info6.ipi6_ifindex = sockaddr_write_v6(&info6.ipi6_addr, local);
	return control_write(control, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
}

/* A group of several datagrams has a path, and so no source address. */
static size_t control_of(uint8_t *control, const struct gso_send *group, const struct io_send *leader)
{
	if (group->segment)
		return control_write(control, SOL_UDP, UDP_SEGMENT, &group->segment, sizeof group->segment);
	return leader->local ? control_write_local(control, leader->local, addr_is_v4(&leader->to)) : 0;
}

/* Returns the first free vector after the group. */
static struct iovec *payload_write(struct iovec *next, const struct io_send *sends, const struct gso *groups,
				   const struct gso_send *group)
{
	for (size_t i = 0; i < group->count; i++) {
		const struct io_send *send = &sends[groups->order[group->at + i]];

		if (send->head_len)
			*next++ =
				(struct iovec){ .iov_base = (void *)(uintptr_t)send->head, .iov_len = send->head_len };
		*next++ = (struct iovec){ .iov_base = (void *)(uintptr_t)send->data, .iov_len = send->len };
	}
	return next;
}

static socklen_t link_write(struct sockaddr_storage *out, const struct io_link *link, bool v4)
{
	struct sockaddr_ll name = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(v4 ? ETH_P_IP : ETH_P_IPV6),
				    .sll_ifindex = (int)link->iface,
				    .sll_halen = sizeof link->mac };

	memcpy(name.sll_addr, link->mac, sizeof link->mac);
	memcpy(out, &name, sizeof name);
	return sizeof name;
}

static socklen_t name_write(struct sockaddr_storage *out, const struct io_send *send)
{
	return send->link ? link_write(out, send->link, addr_is_v4(&send->to)) : sockaddr_write(out, &send->to);
}

void messages_write(struct messages *out, const struct io_send *sends, const struct gso *groups)
{
	struct iovec *vectors = out->vectors;

	for (size_t i = 0; i < groups->count; i++) {
		const struct gso_send *group = &groups->sends[i];
		const struct io_send *leader = &sends[groups->order[group->at]];
		const size_t control_len = control_of(out->control[i], group, leader);
		struct iovec *next = payload_write(vectors, sends, groups, group);

		out->headers[i].msg_hdr = (struct msghdr){
			.msg_name = &out->to[i],
			.msg_namelen = name_write(&out->to[i], leader),
			.msg_iov = vectors,
			.msg_iovlen = (size_t)(next - vectors),
			.msg_control = control_len ? out->control[i] : NULL,
			.msg_controllen = control_len,
		};
		vectors = next;
	}
}

#include "io/socket_priv.h"

#include <netinet/udp.h>
#include <string.h>

#include "base/sockaddr.h"
#include "io/socket.h"

void socket_inbox_init(struct socket_inbox *inbox)
{
	for (size_t i = 0; i < IO_BATCH; i++) {
		inbox->vectors[i] = (struct iovec){ .iov_base = inbox->data[i], .iov_len = IO_DATAGRAM };
		inbox->headers[i].msg_hdr =
			(struct msghdr){ .msg_name = &inbox->from[i], .msg_iov = &inbox->vectors[i], .msg_iovlen = 1 };
		inbox->datagrams[i].data = inbox->data[i];
	}
}

void socket_read_local(const struct cmsghdr *c, uint8_t local[static 16], uint32_t *iface)
{
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		sockaddr_read_v4(local, &info.ipi_addr);
		*iface = (uint32_t)info.ipi_ifindex;
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		(void)sockaddr_read_v6(local, &info.ipi6_addr, info.ipi6_ifindex);
		*iface = info.ipi6_ifindex;
	}
}

/* The kernel tells an address of this host that it would answer from. That differs from the address that a datagram was
 * sent to if this is one of many. 0.0.0.0: it does not know. */
static bool is_to_group(const struct cmsghdr *c)
{
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		return info.ipi_spec_dst.s_addr != info.ipi_addr.s_addr && info.ipi_spec_dst.s_addr != INADDR_ANY;
	}
	if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		return info.ipi6_addr.s6_addr[0] == 0xff;
	}
	return false;
}

static void segment_read(const struct cmsghdr *c, struct io_datagram *datagram)
{
	int segment;

	memcpy(&segment, CMSG_DATA(c), sizeof segment);
	datagram->segment = (size_t)segment;
}

static bool is_of(const struct cmsghdr *c, int v4_type, int v6_type)
{
	return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == v4_type) ||
	       (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == v6_type);
}

/* False: it is neither TTL nor traffic class. */
static bool hop_read(const struct cmsghdr *c, struct io_datagram *datagram)
{
	int value = 0;

	if (!is_of(c, IP_TTL, IPV6_HOPLIMIT) && !is_of(c, IP_TOS, IPV6_TCLASS))
		return false;
	/* Of IPv4 the traffic class is an octet. */
	if (c->cmsg_len == CMSG_LEN(1))
		value = *CMSG_DATA(c);
	else
		memcpy(&value, CMSG_DATA(c), sizeof value);
	*(is_of(c, IP_TTL, IPV6_HOPLIMIT) ? &datagram->ttl : &datagram->tos) = (uint8_t)value;
	return true;
}

static void local_read(const struct cmsghdr *c, struct io_datagram *datagram)
{
	socket_read_local(c, datagram->local, &datagram->iface);
	datagram->to_group |= is_to_group(c);
}

static void control_read(struct msghdr *header, struct io_datagram *datagram, uint32_t *kernel_drops)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(kernel_drops, CMSG_DATA(c), sizeof *kernel_drops);
		else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			segment_read(c, datagram);
		else if (!hop_read(c, datagram))
			local_read(c, datagram);
	}
}

size_t socket_receive(struct io *io, int fd, struct io_datagram **out, uint32_t *kernel_drops)
{
	struct socket_inbox *inbox = &((struct socket_io *)io)->in;
	int count;

	for (size_t i = 0; i < IO_BATCH; i++) {
		inbox->headers[i].msg_hdr.msg_namelen = sizeof inbox->from[i];
		inbox->headers[i].msg_hdr.msg_control = inbox->control[i];
		inbox->headers[i].msg_hdr.msg_controllen = MESSAGES_CONTROL;
	}
	/* A pending ICMP error fails one receive. The next round receives what it held up. */
	count = recvmmsg(fd, inbox->headers, IO_BATCH, MSG_DONTWAIT, NULL);
	*out = inbox->datagrams;
	for (int i = 0; i < count; i++) {
		struct io_datagram *datagram = &inbox->datagrams[i];

		datagram->len = inbox->headers[i].msg_len;
		datagram->segment = 0;
		datagram->iface = 0;
		datagram->ttl = 0;
		datagram->tos = 0;
		datagram->to_group = false;
		datagram->from = sockaddr_read(&inbox->from[i]);
		control_read(&inbox->headers[i].msg_hdr, datagram, kernel_drops);
	}
	return count > 0 ? (size_t)count : 0;
}

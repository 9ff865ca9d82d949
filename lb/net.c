#include "net.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUTBOX = 2 * NET_BATCH };

socklen_t net_sockaddr(struct sockaddr_storage *out, const struct addr *addr)
{
	if (addr_is_v4(addr)) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;

		*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(addr->port) };
		memcpy(&in->sin_addr, addr->ip + 12, 4);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(addr->port) };
	memcpy(&in6->sin6_addr, addr->ip, 16);
	return sizeof *in6;
}

static void ip_from_v4(uint8_t ip[static 16], const struct in_addr *in)
{
	memset(ip, 0, 10);
	memset(ip + 10, 0xff, 2);
	memcpy(ip + 12, in, 4);
}

struct addr net_addr(const struct sockaddr_storage *from)
{
	struct addr addr = { .port = 0 };

	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)from;

		ip_from_v4(addr.ip, &in->sin_addr);
		addr.port = ntohs(in->sin_port);
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;

		memcpy(addr.ip, &in6->sin6_addr, 16);
		addr.port = ntohs(in6->sin6_port);
	}
	return addr;
}

static int option_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int options_v4(int fd, bool endpoint)
{
	int err = option_set(fd, IPPROTO_IP, IP_PKTINFO, 1);

	if (!err)
		err = option_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	if (!err && endpoint)
		err = option_set(fd, IPPROTO_IP, IP_RECVERR, 1);
	return err;
}

static int options_v6(int fd, bool endpoint)
{
	int err = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

	if (!err)
		err = option_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (!err)
		err = option_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	if (!err && endpoint)
		err = option_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	if (!err && endpoint)
		err = option_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	return err;
}

static int options_before_bind(int fd, bool v4, bool first, bool endpoint)
{
	int err = v4 ? options_v4(fd, endpoint) : options_v6(fd, endpoint);

	/* The group is opened by a member that joins none, so that a second cidlb cannot slip into it. */
	if (!err && !first)
		err = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err)
		err = option_set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	return err;
}

void net_set_rcvbuf(int fd, uint32_t octets)
{
	if (option_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)octets) < 0)
		(void)option_set(fd, SOL_SOCKET, SO_RCVBUF, (int)octets);
}

int net_bind(const struct addr *addr, bool first, bool endpoint)
{
	struct sockaddr_storage local;
	socklen_t len = net_sockaddr(&local, addr);
	int fd = socket(local.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = options_before_bind(fd, addr_is_v4(addr), first, endpoint);
	if (!err && bind(fd, (struct sockaddr *)&local, len) < 0)
		err = -errno;
	if (!err && first)
		err = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

uint32_t net_kernel_drops(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof memory;

	(void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len);
	return memory[SK_MEMINFO_DROPS];
}

struct net_inbox {
	struct mmsghdr headers[NET_BATCH];
	struct iovec vectors[NET_BATCH];
	struct sockaddr_storage from[NET_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[NET_BATCH][NET_CONTROL];
	struct net_datagram datagrams[NET_BATCH];
	uint8_t data[NET_BATCH][NET_DATAGRAM];
};

struct net_inbox *net_inbox_new(void)
{
	struct net_inbox *inbox = calloc(1, sizeof *inbox);

	if (!inbox)
		return NULL;
	for (size_t i = 0; i < NET_BATCH; i++) {
		inbox->vectors[i] = (struct iovec){ .iov_base = inbox->data[i], .iov_len = NET_DATAGRAM };
		inbox->headers[i].msg_hdr = (struct msghdr){ .msg_name = &inbox->from[i], .msg_iov = &inbox->vectors[i], .msg_iovlen = 1 };
		inbox->datagrams[i].data = inbox->data[i];
	}
	return inbox;
}

void net_inbox_free(struct net_inbox *inbox)
{
	free(inbox);
}

void net_read_local(const struct cmsghdr *c, uint8_t local[static 16])
{
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		ip_from_v4(local, &info.ipi_addr);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		memcpy(local, &info.ipi6_addr, 16);
	}
}

static void control_read(struct msghdr *header, struct net_datagram *datagram, uint32_t *kernel_drops)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(kernel_drops, CMSG_DATA(c), sizeof *kernel_drops);
		else
			net_read_local(c, datagram->local);
	}
}

size_t net_receive(struct net_inbox *inbox, int fd, struct net_datagram **out, uint32_t *kernel_drops)
{
	int count;

	for (size_t i = 0; i < NET_BATCH; i++) {
		inbox->headers[i].msg_hdr.msg_namelen = sizeof inbox->from[i];
		inbox->headers[i].msg_hdr.msg_control = inbox->control[i];
		inbox->headers[i].msg_hdr.msg_controllen = NET_CONTROL;
	}
	/* A pending ICMP error fails a receive once; the next round comes to what it held up. */
	count = recvmmsg(fd, inbox->headers, NET_BATCH, MSG_DONTWAIT, NULL);
	*out = inbox->datagrams;
	for (int i = 0; i < count; i++) {
		struct net_datagram *datagram = &inbox->datagrams[i];

		datagram->len = inbox->headers[i].msg_len;
		datagram->from = net_addr(&inbox->from[i]);
		control_read(&inbox->headers[i].msg_hdr, datagram, kernel_drops);
	}
	return count > 0 ? (size_t)count : 0;
}

struct net_outbox {
	size_t count;
	struct net_send sends[OUTBOX];
	struct mmsghdr headers[OUTBOX];
	struct iovec vectors[OUTBOX];
	struct sockaddr_storage to[OUTBOX];
	_Alignas(struct cmsghdr) uint8_t control[OUTBOX][NET_CONTROL];
	const struct net_send *grouped[OUTBOX];
};

struct net_outbox *net_outbox_new(void)
{
	return calloc(1, sizeof(struct net_outbox));
}

void net_outbox_free(struct net_outbox *outbox)
{
	free(outbox);
}

void net_queue(struct net_outbox *outbox, const struct net_send *send)
{
	if (outbox->count == OUTBOX)
		net_flush(outbox);
	outbox->sends[outbox->count++] = *send;
}

static size_t control_write(uint8_t *control, const uint8_t *local, bool v4)
{
	struct msghdr header = { .msg_control = control, .msg_controllen = NET_CONTROL };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);

	if (v4) {
		struct in_pktinfo info = { 0 };

		memcpy(&info.ipi_spec_dst, local + 12, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(c), &info, sizeof info);
		return CMSG_SPACE(sizeof info);
	}
	struct in6_pktinfo info = { 0 };

	memcpy(&info.ipi6_addr, local, 16);
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof info);
	memcpy(CMSG_DATA(c), &info, sizeof info);
	return CMSG_SPACE(sizeof info);
}

static void header_fill(struct net_outbox *outbox, size_t at, const struct net_send *send)
{
	struct msghdr *header = &outbox->headers[at].msg_hdr;

	outbox->vectors[at] = (struct iovec){ .iov_base = (void *)(uintptr_t)send->data, .iov_len = send->len };
	*header = (struct msghdr){ .msg_name = &outbox->to[at], .msg_iov = &outbox->vectors[at], .msg_iovlen = 1 };
	header->msg_namelen = net_sockaddr(&outbox->to[at], &send->to);
	if (send->local) {
		header->msg_control = outbox->control[at];
		header->msg_controllen = control_write(outbox->control[at], send->local, addr_is_v4(&send->to));
	}
	outbox->grouped[at] = send;
}

static void group_send(struct net_outbox *outbox, int fd, size_t count)
{
	unsigned tries = 0;

	for (size_t at = 0; at < count;) {
		int sent = sendmmsg(fd, outbox->headers + at, (unsigned)(count - at), MSG_DONTWAIT);

		if (sent > 0) {
			for (int i = 0; i < sent; i++)
				stats_add(outbox->grouped[at + (size_t)i]->sent, 1);
			at += (size_t)sent;
			tries = 0;
		} else if (++tries == NET_TRIES || errno == EAGAIN) {
			stats_add(outbox->grouped[at++]->refused, 1);
			tries = 0;
		}
	}
}

void net_flush(struct net_outbox *outbox)
{
	bool done[OUTBOX] = { false };

	for (size_t first = 0; first < outbox->count; first++) {
		size_t grouped = 0;
		int fd = outbox->sends[first].fd;

		if (done[first])
			continue;
		for (size_t i = first; i < outbox->count; i++) {
			if (outbox->sends[i].fd != fd)
				continue;
			header_fill(outbox, grouped++, &outbox->sends[i]);
			done[i] = true;
		}
		group_send(outbox, fd, grouped);
	}
	outbox->count = 0;
}

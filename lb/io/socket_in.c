#include "io/io.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

socklen_t io_sockaddr(struct sockaddr_storage *out, const struct addr *addr)
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

struct addr io_addr(const struct sockaddr_storage *from)
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

enum use { USE_LISTENER, USE_ENDPOINT, USE_TUNNEL };

static int options_v4(int fd, enum use use)
{
	int err = option_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);

	if (!err && use != USE_TUNNEL)
		err = option_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (!err && use != USE_LISTENER)
		err = option_set(fd, IPPROTO_IP, IP_RECVERR, 1);
	return err;
}

static int options_v6(int fd, enum use use)
{
	int err = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

	if (!err)
		err = option_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	if (!err && use != USE_TUNNEL)
		err = option_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (!err && use == USE_ENDPOINT)
		err = option_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	if (!err && use != USE_LISTENER)
		err = option_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	return err;
}

/* A group is opened by a member that joins none, so that a second cidlb cannot slip into it. */
static int options_before_bind(int fd, bool v4, bool first, enum use use)
{
	int err = v4 ? options_v4(fd, use) : options_v6(fd, use);

	if (!err && !first)
		err = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err)
		err = option_set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	return err;
}

void io_set_rcvbuf(int fd, uint32_t octets)
{
	if (option_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)octets) < 0)
		(void)option_set(fd, SOL_SOCKET, SO_RCVBUF, (int)octets);
}

static int bind_for(const struct addr *addr, bool first, enum use use)
{
	struct sockaddr_storage local;
	socklen_t len = io_sockaddr(&local, addr);
	int fd = socket(local.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = options_before_bind(fd, addr_is_v4(addr), first, use);
	if (!err && bind(fd, (struct sockaddr *)&local, len) < 0)
		err = -errno;
	if (!err && first && use != USE_TUNNEL)
		err = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int io_bind(const struct addr *addr, bool first, bool endpoint)
{
	return bind_for(addr, first, endpoint ? USE_ENDPOINT : USE_LISTENER);
}

int io_bind_tunnel(const struct addr *addr)
{
	int fd = bind_for(addr, true, USE_TUNNEL);

	/* Without it datagrams come one by one, which is only slower. */
	if (fd >= 0)
		(void)option_set(fd, SOL_UDP, UDP_GRO, 1);
	return fd;
}

uint32_t io_kernel_drops(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof memory;

	(void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len);
	return memory[SK_MEMINFO_DROPS];
}

struct io_inbox {
	struct mmsghdr headers[IO_BATCH];
	struct iovec vectors[IO_BATCH];
	struct sockaddr_storage from[IO_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[IO_BATCH][IO_CONTROL];
	struct io_datagram datagrams[IO_BATCH];
	uint8_t data[IO_BATCH][IO_DATAGRAM];
};

struct io_inbox *io_inbox_new(void)
{
	struct io_inbox *inbox = calloc(1, sizeof *inbox);

	if (!inbox)
		return NULL;
	for (size_t i = 0; i < IO_BATCH; i++) {
		inbox->vectors[i] = (struct iovec){ .iov_base = inbox->data[i], .iov_len = IO_DATAGRAM };
		inbox->headers[i].msg_hdr =
			(struct msghdr){ .msg_name = &inbox->from[i], .msg_iov = &inbox->vectors[i], .msg_iovlen = 1 };
		inbox->datagrams[i].data = inbox->data[i];
	}
	return inbox;
}

void io_inbox_free(struct io_inbox *inbox)
{
	free(inbox);
}

void io_read_local(const struct cmsghdr *c, uint8_t local[static 16])
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

static void segment_read(const struct cmsghdr *c, struct io_datagram *datagram)
{
	int segment;

	memcpy(&segment, CMSG_DATA(c), sizeof segment);
	datagram->segment = (size_t)segment;
}

static void control_read(struct msghdr *header, struct io_datagram *datagram, uint32_t *kernel_drops)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(kernel_drops, CMSG_DATA(c), sizeof *kernel_drops);
		else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			segment_read(c, datagram);
		else
			io_read_local(c, datagram->local);
	}
}

size_t io_receive(struct io_inbox *inbox, int fd, struct io_datagram **out, uint32_t *kernel_drops)
{
	int count;

	for (size_t i = 0; i < IO_BATCH; i++) {
		inbox->headers[i].msg_hdr.msg_namelen = sizeof inbox->from[i];
		inbox->headers[i].msg_hdr.msg_control = inbox->control[i];
		inbox->headers[i].msg_hdr.msg_controllen = IO_CONTROL;
	}
	/* A pending ICMP error fails a receive once; the next round comes to what it held up. */
	count = recvmmsg(fd, inbox->headers, IO_BATCH, MSG_DONTWAIT, NULL);
	*out = inbox->datagrams;
	for (int i = 0; i < count; i++) {
		struct io_datagram *datagram = &inbox->datagrams[i];

		datagram->len = inbox->headers[i].msg_len;
		datagram->segment = 0;
		datagram->from = io_addr(&inbox->from[i]);
		control_read(&inbox->headers[i].msg_hdr, datagram, kernel_drops);
	}
	return count > 0 ? (size_t)count : 0;
}

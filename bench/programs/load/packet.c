#include "bench/programs/load/packet.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_OCTETS = 4 << 20 };

struct sockaddr_in packet_name(const struct addr *addr)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(addr->port) };

	memcpy(&name.sin_addr, addr->ip + 12, sizeof name.sin_addr);
	return name;
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value);
}

int packet_bind(const struct sockaddr_in *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* Without privilege the kernel gives no more than net.core.rmem_max. */
	if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_OCTETS))
		set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_OCTETS);
	if (set(fd, IPPROTO_IP, IP_PKTINFO, 1) || set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT) ||
	    set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1) || bind(fd, (const struct sockaddr *)name, sizeof *name)) {
		int err = errno;
		close(fd);
		return -err;
	}
	return fd;
}

unsigned packet_receive(struct packet_batch *batch, int fd)
{
	int count;

	for (size_t i = 0; i < PACKET_BATCH; i++) {
		batch->vectors[i][0] = (struct iovec){ .iov_base = batch->data[i], .iov_len = PACKET_OCTETS };
		batch->headers[i].msg_hdr = (struct msghdr){
			.msg_name = &batch->names[i],
			.msg_namelen = sizeof batch->names[i],
			.msg_iov = batch->vectors[i],
			.msg_iovlen = 1,
			.msg_control = batch->control[i],
			.msg_controllen = PACKET_CONTROL,
		};
	}
	count = recvmmsg(fd, batch->headers, PACKET_BATCH, MSG_DONTWAIT, NULL);
	return count > 0 ? (unsigned)count : 0;
}

int packet_note_times(int fd)
{
	return set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1) ? -errno : 0;
}

/* What the kernel says of a datagram, or NULL. */
static const void *said(struct packet_batch *batch, unsigned at, int level, int type)
{
	struct msghdr *header = &batch->headers[at].msg_hdr;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
		if (c->cmsg_level == level && c->cmsg_type == type)
			return CMSG_DATA(c);
	return NULL;
}

uint64_t packet_age_ns(struct packet_batch *batch, unsigned at)
{
	const void *noted = said(batch, at, SOL_SOCKET, SCM_TIMESTAMPNS);
	struct timespec then, now;

	if (!noted)
		return 0;
	memcpy(&then, noted, sizeof then);
	clock_gettime(CLOCK_REALTIME, &now); /* the kernel's notes are of this clock */
	return (uint64_t)((now.tv_sec - then.tv_sec) * 1000000000 + now.tv_nsec - then.tv_nsec);
}

uint32_t packet_local(struct packet_batch *batch, unsigned at)
{
	const void *noted = said(batch, at, IPPROTO_IP, IP_PKTINFO);
	struct in_pktinfo info;

	if (!noted)
		return 0;
	memcpy(&info, noted, sizeof info);
	return ntohl(info.ipi_addr.s_addr);
}

void packet_set_local(struct msghdr *header, void *control, uint32_t local)
{
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(local) };
	struct cmsghdr *c = control;

	header->msg_control = local ? control : NULL;
	header->msg_controllen = local ? CMSG_SPACE(sizeof info) : 0;
	if (!local)
		return;
	*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO };
	memcpy(CMSG_DATA(c), &info, sizeof info);
}

unsigned packet_send(struct mmsghdr *headers, unsigned count, int fd)
{
	unsigned refused = 0;

	for (unsigned at = 0; at < count;) {
		int sent = sendmmsg(fd, headers + at, count - at, MSG_DONTWAIT);

		if (sent > 0) {
			at += (unsigned)sent;
		} else {
			at++;
			refused++;
		}
	}
	return refused;
}

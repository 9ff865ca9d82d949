#include "io/answers.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* That of the kernel's own loopback test, which nobody sends. It cannot be taken back to none. */
enum { NO_PROTOCOL = ETH_P_LOOP };

static int filter_set(int fd, const struct answers_port *ports, size_t count)
{
	struct sock_filter code[ANSWERS_FILTER_MAX];
	struct sock_fprog program;
	const size_t len = answers_filter_make(code, ports, count);

	if (len == 0)
		return -ENOBUFS;
	memset(&program, 0, sizeof program); /* its padding, which the kernel reads too */
	program.filter = code;
	program.len = (unsigned short)len;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

/* To be shown the packets of a protocol, on all interfaces. */
static int bind_to(int fd, uint16_t protocol)
{
	const struct sockaddr_ll name = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol) };

	return bind(fd, (const struct sockaddr *)&name, sizeof name) < 0 ? -errno : 0;
}

int answers_open(void)
{
	const int on = 1;
	/* Of protocol 0 it is shown nothing. */
	const int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = filter_set(fd, NULL, 0);
	if (!err && setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0)
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

int answers_show(int fd, const struct answers_port *ports, size_t count)
{
	const int err = filter_set(fd, ports, count);

	return err ? err : bind_to(fd, count > 0 ? ETH_P_IP : NO_PROTOCOL);
}

/* What was sent on this machine may have no UDP checksum yet: its link would write it. */
static enum udp_packet_sum sum_of(struct msghdr *message)
{
	struct tpacket_auxdata told = { .tp_status = 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
			memcpy(&told, CMSG_DATA(c), sizeof told);
	return told.tp_status & TP_STATUS_CSUMNOTREADY ? UDP_PACKET_SUM_NOT : UDP_PACKET_SUM_HERE;
}

bool answers_read(int fd, uint8_t buffer[static ANSWERS_OCTETS], struct udp_packet *out, uint32_t *iface)
{
	struct sockaddr_ll from = { .sll_ifindex = 0 };
	struct iovec part = { .iov_base = buffer, .iov_len = ANSWERS_OCTETS };
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct msghdr message = {
		.msg_name = &from,
		.msg_namelen = sizeof from,
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control,
	};
	const ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);

	*iface = (uint32_t)from.sll_ifindex;
	return n >= 0 && udp_packet_read_v4(out, buffer, (size_t)n, sum_of(&message));
}

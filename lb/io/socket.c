#include "io/socket_priv.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "io/socket.h"

static int option_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int options_v4(int fd, enum socket_use use)
{
	int err = option_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);

	if (!err && use != SOCKET_TUNNEL)
		err = option_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (!err && use != SOCKET_LISTENER)
		err = option_set(fd, IPPROTO_IP, IP_RECVERR, 1);
	return err;
}

static int options_v6(int fd, enum socket_use use)
{
	int err = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

	if (!err)
		err = option_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	if (!err && use != SOCKET_TUNNEL)
		err = option_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (!err && use == SOCKET_ENDPOINT)
		err = option_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	if (!err && use != SOCKET_LISTENER)
		err = option_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	return err;
}

/* The first member of a group binds without SO_REUSEPORT, so that a second cidlb cannot slip into the group. */
static int options_before_bind(int fd, bool v4, enum socket_use use, enum socket_group group)
{
	int err = v4 ? options_v4(fd, use) : options_v6(fd, use);

	if (!err && group == SOCKET_FURTHER)
		err = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err)
		err = option_set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	return err;
}

void socket_set_rcvbuf(int fd, uint32_t octets)
{
	if (option_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)octets) < 0)
		(void)option_set(fd, SOL_SOCKET, SO_RCVBUF, (int)octets);
}

int socket_bind(const struct addr *addr, enum socket_use use, enum socket_group group)
{
	struct sockaddr_storage local;
	socklen_t len = sockaddr_write(&local, addr);
	int fd = socket(local.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = options_before_bind(fd, addr_is_v4(addr), use, group);
	if (!err && bind(fd, (struct sockaddr *)&local, len) < 0)
		err = -errno;
	if (!err && group == SOCKET_FIRST && use != SOCKET_TUNNEL)
		err = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (err) {
		close(fd);
		return err;
	}
	/* Without GRO datagrams come one by one, which is only slower. */
	if (use == SOCKET_TUNNEL)
		(void)option_set(fd, SOL_UDP, UDP_GRO, 1);
	return fd;
}

uint32_t socket_kernel_drops(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof memory;

	(void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len);
	return memory[SK_MEMINFO_DROPS];
}

static const struct io_ops ops = { .receive = socket_receive, .send = socket_send, .errors = socket_errors };

struct io *socket_io_new(void)
{
	struct socket_io *sockets = calloc(1, sizeof *sockets);

	if (!sockets)
		return NULL;
	sockets->io.ops = &ops;
	sockets->errors = icmp_inbox_new();
	socket_inbox_init(&sockets->in);
	if (sockets->errors)
		return &sockets->io;
	free(sockets);
	return NULL;
}

void socket_io_free(struct io *io)
{
	struct socket_io *sockets = (struct socket_io *)io;

	if (!sockets)
		return;
	icmp_inbox_free(sockets->errors);
	free(sockets);
}

size_t socket_errors(struct io *io, int fd, struct icmp_error **out, bool *more)
{
	return icmp_receive(((struct socket_io *)io)->errors, fd, out, more);
}

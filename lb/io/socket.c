#include "io/socket_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "io/socket.h"

static int option_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/* Without DF the routers cut up what is too large for a link, so nothing needs to be learnt of the path. What anybody
 * says of it in an ICMP message would cut up all that follows for ten minutes. So it is not believed. */
static int options_v4(int fd, enum socket_use use)
{
	int err = option_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);

	if (!err)
		err = option_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (!err && use != SOCKET_LISTENER)
		err = option_set(fd, IPPROTO_IP, IP_RECVERR, 1);
	return err;
}

/* Routers of IPv6 cut up nothing. Without belief in their messages a device behind a smaller link would never get
 * what is larger. Forged messages do little: they cut up what has more than 1,280 octets. */
static int options_v6(int fd, enum socket_use use)
{
	int err = option_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);

	if (!err)
		err = option_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (!err && use == SOCKET_ENDPOINT)
		err = option_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	if (!err && use != SOCKET_LISTENER)
		err = option_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	return err;
}

static int options_of_extras(int fd, bool v4, unsigned extras)
{
	int err = 0;

	if (extras & SOCKET_FREEBIND)
		err = v4 ? option_set(fd, IPPROTO_IP, IP_FREEBIND, 1) : option_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	if (!err && extras & SOCKET_BESIDE)
		err = option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return err;
}

/* What a socket may be told at any time. */
static int options_of_use(int fd, bool v4, enum socket_use use, unsigned extras)
{
	int err = v4 ? options_v4(fd, use) : options_v6(fd, use);

	if (!err)
		err = options_of_extras(fd, v4, extras);
	if (!err)
		err = option_set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	/* Without GRO datagrams come one by one, which is only slower. */
	if (use == SOCKET_TUNNEL)
		(void)option_set(fd, SOL_UDP, UDP_GRO, 1);
	return err;
}

/* The first member of a group binds without SO_REUSEPORT, so that a second cidlb cannot slip into the group. */
static int options_before_bind(int fd, bool v4, enum socket_group group)
{
	int err = v4 ? 0 : option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

	return !err && group == SOCKET_FURTHER ? socket_open_group(fd) : err;
}

int socket_open_group(int fd)
{
	return option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

int socket_adopt(int fd, const struct addr *addr, enum socket_use use, unsigned extras)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return options_of_use(fd, addr_is_v4(addr), use, extras);
}

int socket_name(int fd, struct addr *out)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof name, type_len = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return -errno;
	if (type != SOCK_DGRAM || (name.ss_family != AF_INET && name.ss_family != AF_INET6))
		return -EPROTOTYPE;
	*out = sockaddr_read(&name);
	return 0;
}

void socket_set_rcvbuf(int fd, uint32_t octets)
{
	if (option_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)octets) < 0)
		(void)option_set(fd, SOL_SOCKET, SO_RCVBUF, (int)octets);
}

/* The kernel refuses the one that is not of its family. */
void socket_tell_hop(int fd)
{
	(void)option_set(fd, IPPROTO_IP, IP_RECVTTL, 1);
	(void)option_set(fd, IPPROTO_IP, IP_RECVTOS, 1);
	(void)option_set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	(void)option_set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
}

void socket_yield(int fd, bool yields)
{
	(void)option_set(fd, SOL_SOCKET, SO_REUSEADDR, yields);
}

/* A connected socket gets only what its peer sends, and this one is its own. */
int socket_retire(int fd)
{
	static const struct addr loopback = { .ip = { [15] = 1 } },
				 loopback_v4 = { .ip = { [10] = 0xff, 0xff, 127, [15] = 1 } };
	struct sockaddr_storage name;
	socklen_t len = sizeof name;
	struct addr self;

	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return -errno;
	self = sockaddr_read(&name);
	if (addr_is_wildcard(&self))
		memcpy(self.ip, addr_is_v4(&self) ? loopback_v4.ip : loopback.ip, sizeof self.ip);
	len = sockaddr_write(&name, &self);
	return connect(fd, (struct sockaddr *)&name, len) < 0 ? -errno : 0;
}

bool socket_holds(int fd)
{
	return recv(fd, NULL, 0, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

int socket_bind(const struct addr *addr, enum socket_use use, enum socket_group group)
{
	return socket_bind_with(addr, use, group, 0);
}

int socket_bind_with(const struct addr *addr, enum socket_use use, enum socket_group group, unsigned extras)
{
	struct sockaddr_storage local;
	socklen_t len = sockaddr_write(&local, addr);
	int fd = socket(local.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = options_before_bind(fd, addr_is_v4(addr), group);
	if (!err)
		err = options_of_use(fd, addr_is_v4(addr), use, extras);
	if (!err && bind(fd, (struct sockaddr *)&local, len) < 0)
		err = -errno;
	if (!err && group == SOCKET_FIRST)
		err = socket_open_group(fd);
	if (err) {
		close(fd);
		return err;
	}
	if (extras & SOCKET_BESIDE)
		socket_yield(fd, false);
	return fd;
}

uint32_t socket_rcvbuf(int fd)
{
	socklen_t len = sizeof(int);
	int doubled = 0; /* the kernel adds as much for its own records */

	(void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &doubled, &len);
	return (uint32_t)doubled / 2;
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

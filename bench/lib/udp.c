#include "bench/lib/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t name_from_addr(union name *name, const struct addr *a)
{
	memset(name, 0, sizeof *name);
	if (addr_is_v4(a)) {
		name->v4.sin_family = AF_INET;
		name->v4.sin_port = htons(a->port);
		memcpy(&name->v4.sin_addr, a->ip + 12, 4);
		return sizeof name->v4;
	}
	name->v6.sin6_family = AF_INET6;
	name->v6.sin6_port = htons(a->port);
	struct addr bare = *a;
	addr_set_scope(bare.ip, 0);
	memcpy(&name->v6.sin6_addr, bare.ip, 16);
	name->v6.sin6_scope_id = addr_scope(a->ip);
	return sizeof name->v6;
}

static void name_to_addr(const union name *name, struct addr *a)
{
	if (name->any.sa_family == AF_INET) {
		*a = (struct addr){ .ip = { [10] = 0xff, [11] = 0xff }, .port = ntohs(name->v4.sin_port) };
		memcpy(a->ip + 12, &name->v4.sin_addr, 4);
	} else {
		*a = (struct addr){ .port = ntohs(name->v6.sin6_port) };
		memcpy(a->ip, &name->v6.sin6_addr, 16);
		addr_set_scope(a->ip, name->v6.sin6_scope_id);
	}
}

/* Bound to `at` and connected to `to`, either of which may be NULL. */
static int open_socket(const struct addr *at, const struct addr *to, int buffer_octets)
{
	union name name, peer;
	socklen_t len = name_from_addr(&name, at ? at : to);
	int fd = socket(name.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int on = 1;
	if (name.any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
		goto fail;
	/* Best effort: the kernel cuts it to net.core.rmem_max. */
	if (buffer_octets)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_octets, sizeof buffer_octets);
	if (at && bind(fd, &name.any, len))
		goto fail;
	if (to && connect(fd, &peer.any, name_from_addr(&peer, to)))
		goto fail;
	return fd;
fail:;
	int err = errno;
	close(fd);
	return -err;
}

int udp_listen(const struct addr *at)
{
	return open_socket(at, NULL, 4 << 20);
}

int udp_connect(const struct addr *to, const struct addr *from, uint16_t not_port, uint16_t *port)
{
	int taken = -1; /* holds the unwanted port, so that the next socket cannot get it */
	int fd;
	for (;;) {
		fd = open_socket(from, to, 0);
		if (fd < 0)
			break;
		union name name;
		socklen_t len = sizeof name;
		if (getsockname(fd, &name.any, &len)) {
			int err = errno;
			close(fd);
			fd = -err;
			break;
		}
		struct addr local;
		name_to_addr(&name, &local);
		*port = local.port;
		if (local.port != not_port || taken >= 0)
			break;
		taken = fd;
	}
	if (taken >= 0)
		close(taken);
	return fd;
}

/* How the kernel reports that an earlier datagram met an ICMP error. */
static bool is_icmp_error(int err)
{
	return err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH || err == EHOSTDOWN || err == EPROTO;
}

ssize_t udp_receive(int fd, void *data, size_t size, struct addr *from)
{
	for (;;) {
		union name name;
		socklen_t len = sizeof name;
		ssize_t got = recvfrom(fd, data, size, 0, &name.any, &len);
		if (got < 0 && (errno == EINTR || is_icmp_error(errno)))
			continue;
		if (got < 0)
			return -errno;
		if (from)
			name_to_addr(&name, from);
		return got;
	}
}

int udp_send(int fd, const struct addr *to, const void *data, size_t len)
{
	union name name;
	socklen_t name_len = to ? name_from_addr(&name, to) : 0;
	for (int tries = 0;; tries++) {
		ssize_t sent = sendto(fd, data, len, 0, to ? &name.any : NULL, name_len);
		if (sent >= 0)
			return (size_t)sent == len ? 0 : -EIO;
		if (errno != EINTR && (tries > 0 || !is_icmp_error(errno)))
			return -errno;
	}
}

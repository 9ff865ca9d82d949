#include "health/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/util.h>

#include "base/clock.h"
#include "base/sockaddr.h"

enum {
	/* RFC 6335, section 6: programs expect that these are taken for a while. */
	DYNAMIC_FIRST = 49152,
	DYNAMIC_PORTS = 65536 - DYNAMIC_FIRST,
	TRIES = 64, /* of ports that others have */
};

uint64_t probe_left_us(const struct probe *probe)
{
	uint64_t until_us = probe->began_us + (uint64_t)probe->spec.how.timeout_ms * 1000, now_us = clock_us();

	return until_us > now_us ? until_us - now_us : 0;
}

/* A dynamic port, and none of those of sessions unless these are all. They come one after the other, so that none comes
 * again soon: a server may still know it. */
static uint16_t next_port(struct probe *probe)
{
	const struct endpoint_space *sources = &probe->spec.sources;
	const unsigned first = sources->port_first > DYNAMIC_FIRST ? sources->port_first : DYNAMIC_FIRST;
	const unsigned taken = sources->port_last >= first ? sources->port_last - first + 1U : 0;
	const bool all_taken = taken == DYNAMIC_PORTS;
	const unsigned port = DYNAMIC_FIRST + ++probe->ports % (all_taken ? DYNAMIC_PORTS : DYNAMIC_PORTS - taken);

	return (uint16_t)(all_taken || port < first ? port : port + taken);
}

static int bind_to(int fd, const struct addr *local)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_write(&sa, local);

	return bind(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -errno;
}

/* Streams share no port with sessions, so there the kernel chooses. */
static int bind_to_sources(struct probe *probe, int fd, int type)
{
	const bool v4 = addr_is_v4(&probe->to);
	struct addr local;
	uint64_t random;
	int on = 1, err = -EADDRINUSE;

	evutil_secure_rng_get_bytes(&random, sizeof random);
	if (!endpoint_at(&local, &probe->spec.sources, v4, random, 0))
		return 0;
	if (!v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on) < 0)
		return -errno;
	for (unsigned i = 0; i < TRIES && err == -EADDRINUSE; i++) {
		local.port = type == SOCK_STREAM ? 0 : next_port(probe);
		err = bind_to(fd, &local);
	}
	return err;
}

int probe_socket(struct probe *probe, int type)
{
	int fd = socket(addr_is_v4(&probe->to) ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = fd < 0 ? -errno : bind_to_sources(probe, fd, type);

	if (fd >= 0 && err)
		close(fd);
	return err ? err : fd;
}

int probe_connect(const struct probe *probe, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_write(&sa, &probe->to);

	return connect(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -errno;
}

const char *probe_way(const struct probe *probe)
{
	if (probe->way == PROBE_ENCAP)
		return " through the encapsulation";
	return probe_is_tunnelled(probe) ? " through the tunnel" : "";
}

#include "health/probe.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sockaddr.h"

uint64_t probe_left_us(const struct probe *probe)
{
	uint64_t until_us = probe->began_us + (uint64_t)probe->spec.how.timeout_ms * 1000, now_us = clock_us();

	return until_us > now_us ? until_us - now_us : 0;
}

int probe_socket(const struct probe *probe, int type)
{
	int fd = socket(addr_is_v4(&probe->to) ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int probe_connect(const struct probe *probe, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_write(&sa, &probe->to);

	return connect(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -errno;
}

const char *probe_way(const struct probe *probe)
{
	return probe_is_tunnelled(probe) ? " through the tunnel" : "";
}

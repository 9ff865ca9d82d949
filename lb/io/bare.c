#include "io/bare.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

static int option_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/* A raw socket gets a copy of all that comes in with its protocol. */
static int let_nothing_in(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = { 1, &nothing };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

/* As a tunnel's socket (socket.c): it does not believe what anybody says of the path in IPv4. */
static int options_set(int fd, bool v4)
{
	int err = v4 ? option_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT)
		     : option_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);

	if (!err)
		err = v4 ? option_set(fd, IPPROTO_IP, IP_RECVERR, 1) : option_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	return err;
}

int bare_open(enum bare which)
{
	static const struct {
		int family, type, protocol;
	} kinds[BARES] = {
		[BARE_IPIP_V4] = { AF_INET, SOCK_RAW, IPPROTO_IPIP },
		[BARE_IPIP_V6] = { AF_INET6, SOCK_RAW, IPPROTO_IPV6 },
		[BARE_LINK] = { AF_PACKET, SOCK_DGRAM, 0 }, /* of protocol 0 it is shown nothing */
	};
	const int fd =
		socket(kinds[which].family, kinds[which].type | SOCK_NONBLOCK | SOCK_CLOEXEC, kinds[which].protocol);
	int err;

	if (fd < 0)
		return -errno;
	err = let_nothing_in(fd);
	if (!err && which != BARE_LINK)
		err = options_set(fd, which == BARE_IPIP_V4);
	if (!err)
		return fd;
	close(fd);
	return err;
}

#include "shim/start.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/plural.h"
#include "shim/filter.h"
#include "shim/marks.h"
#include "shim/real.h"
#include "shim/rewrite.h"

enum { INHERITED_DESCRIPTORS = 1024 };

static struct shim shim;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void after_fork(void)
{
	marks_own();
	table_recover(&shim.table);
}

static void start(void)
{
	notice_begin();
	settings_read(&shim.settings, getenv("CIDLB_SHIM_PORTS"), getenv("CIDLB_SHIM_KEY"), getenv("CIDLB_SHIM_NODES"));
	shim.table.key = siphash_key_derive(&shim.settings.keys.keys[0].key, "shim");
	if (shim.settings.port_count > 0)
		table_hold(&shim.table);
	marks_own();
	pthread_atfork(NULL, NULL, after_fork);
}

struct shim *start_shim(void)
{
	pthread_once(&once, start);
	return &shim;
}

static bool is_udp(int fd)
{
	int type = 0, protocol = 0;
	socklen_t type_len = sizeof type, protocol_len = sizeof protocol;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_DGRAM &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &protocol_len) == 0 && protocol == IPPROTO_UDP;
}

/* The index of its port, or -1. */
static int find_port(const struct settings *settings, int fd, sa_family_t *family, uint16_t *port)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof name;
	struct addr local;

	if (getsockname(fd, (struct sockaddr *)&name, &len) != 0 ||
	    rewrite_addr(&local, (struct sockaddr *)&name, len) != 0 || local.port == 0 || !is_udp(fd))
		return -1;
	*family = name.ss_family;
	*port = local.port;
	return settings->any_port ? 0 : settings_port(settings, local.port);
}

int start_tunnel(int fd)
{
	const struct settings *settings = &start_shim()->settings;
	const int saved = errno, off = 0;
	sa_family_t family;
	uint16_t port;

	const int at = settings->port_count > 0 || settings->any_port ? find_port(settings, fd, &family, &port) : -1;
	errno = saved;
	if (at < 0) {
		/* It may have the number of one that was closed behind our back. */
		if (fd >= 0)
			marks_clear((unsigned)fd, (unsigned)fd);
		return 0;
	}
	const bool refused = *settings->problem;
	if (!marks_set(fd, (uint8_t)((at + 1) | (family == AF_INET6 ? MARK_V6 : 0) | (refused ? MARK_REFUSED : 0)))) {
		notice_say("UDP port %u refused: descriptor %d is beyond %d", (unsigned)port, fd, MARKS_DESCRIPTORS);
		return -EACCES;
	}
	if (refused) {
		notice_say("UDP port %u refused: %s", (unsigned)port, settings->problem);
		return -EACCES;
	}
	/* Each datagram has a header of its own. */
	real_calls()->setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof off);
	real_calls()->setsockopt(fd, IPPROTO_UDP, UDP_GRO, &off, sizeof off);
	real_calls()->setsockopt(fd, IPPROTO_UDP, UDP_CORK, &off, sizeof off);
	const int err = filter_attach(fd, settings, family);
	errno = saved;
	notice_say("UDP port %u is tunnelled: %zu key%s, %zu node%s", (unsigned)port, settings->keys.count,
		   PLURAL(settings->keys.count), settings->node_count, PLURAL(settings->node_count));
	if (err)
		notice_say("UDP port %u has no socket filter: %s. What strangers send there wakes the server",
			   (unsigned)port, strerror(-err));
	return 0;
}

/* Sockets that whoever started us has bound are tunnelled, too. */
static void __attribute__((constructor)) start_early(void)
{
	real_calls();
	if (start_shim()->settings.port_count == 0 && !shim.settings.any_port)
		return;
	for (int fd = 0; fd < INHERITED_DESCRIPTORS; fd++)
		start_tunnel(fd);
}

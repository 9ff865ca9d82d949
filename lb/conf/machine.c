#include "conf/machine.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/host_addrs.h"
#include "base/sockaddr.h"

static unsigned count_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* The hard limit counts: start/daemon.c raises the soft one to it. */
static uint64_t read_descriptor_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY ? UINT64_MAX : limit.rlim_max;
}

/* A connected UDP socket knows its source, and sends nothing. */
static int source_towards(const struct addr *to, struct addr *out)
{
	struct sockaddr_storage sockaddr;
	socklen_t len = sockaddr_write(&sockaddr, to);
	const int fd = socket(sockaddr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sockaddr, len) < 0)
		err = -errno;
	len = sizeof sockaddr;
	if (!err && getsockname(fd, (struct sockaddr *)&sockaddr, &len) < 0)
		err = -errno;
	close(fd);
	if (err)
		return err;
	*out = sockaddr_read(&sockaddr);
	out->port = 0;
	return 0;
}

/* As they were at the first question since conf_machine_here(). Most configurations have none. */
static struct host_addrs host;
static bool host_is_read;
static int host_err;

static void host_read(void)
{
	if (host_is_read)
		return;
	host_addrs_free(&host);
	host_err = host_addrs_read(&host);
	host_is_read = true;
}

static bool is_here(const struct addr *addr)
{
	host_read();
	return host_addrs_have(&host, addr);
}

static bool has_prefix(const struct addr *first, uint8_t bits)
{
	const struct host_prefix prefix = { *first, bits };

	host_read();
	return host_err || host_addrs_have_all(&host, &prefix);
}

struct conf_machine conf_machine_here(void)
{
	host_is_read = false;
	return (struct conf_machine){ .cpus = count_cpus(),
				      .descriptors = read_descriptor_limit(),
				      .has_fast = CIDLB_HAS_FAST,
				      .source_towards = source_towards,
				      .is_here = is_here,
				      .has_prefix = has_prefix,
				      .iface = host_iface };
}

#include "base/host_addrs.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

enum { ANSWER_OCTETS = 32 << 10, PREFIXES_AT_FIRST = 64, PREFIXES_MAX = 65536, V4_AT = 12 };

static int socket_fd = -1;

/* The kernel must answer with the table asked for and no other (Linux 4.20). A host may have a million routes. */
int host_addrs_open(void)
{
	const struct timeval limit = { .tv_sec = 1 }; /* it answers at once */
	int on = 1, fd;

	if (socket_fd >= 0)
		return 0;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) {
		const int err = -errno;

		close(fd);
		return err;
	}
	socket_fd = fd;
	return 0;
}

static int add(struct host_addrs *addrs, const struct host_prefix *prefix)
{
	/* Full whenever the count is a power of two from PREFIXES_AT_FIRST on. */
	const bool full =
		addrs->count == 0 || (addrs->count >= PREFIXES_AT_FIRST && !(addrs->count & (addrs->count - 1)));
	struct host_prefix *grown;

	if (addrs->count >= PREFIXES_MAX)
		return -E2BIG;
	if (full) {
		grown = realloc(addrs->at, (addrs->count ? 2 * addrs->count : PREFIXES_AT_FIRST) * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		addrs->at = grown;
	}
	addrs->at[addrs->count++] = *prefix;
	return 0;
}

static int ask(uint8_t family, uint32_t number)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg body;
	} request = {
		.head = { .nlmsg_len = sizeof request,
			  .nlmsg_type = RTM_GETROUTE,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			  .nlmsg_seq = number },
		.body = { .rtm_family = family, .rtm_table = RT_TABLE_LOCAL, .rtm_type = RTN_LOCAL },
	};

	return send(socket_fd, &request, sizeof request, 0) < 0 ? -errno : 0;
}

/* A route of another kind, or without a destination, says nothing. */
static int read_route(struct host_addrs *out, struct nlmsghdr *message)
{
	struct rtmsg *route = NLMSG_DATA(message);
	unsigned left = (unsigned)RTM_PAYLOAD(message);
	const bool v4 = route->rtm_family == AF_INET;
	struct host_prefix prefix = { .bits = route->rtm_dst_len };
	bool has_destination = false;
	uint32_t iface = 0;

	if (route->rtm_type != RTN_LOCAL || route->rtm_table != RT_TABLE_LOCAL)
		return 0;
	if (v4)
		prefix.addr.ip[10] = prefix.addr.ip[11] = 0xff;
	for (struct rtattr *at = RTM_RTA(route); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		if (at->rta_type == RTA_OIF && RTA_PAYLOAD(at) == sizeof iface)
			memcpy(&iface, RTA_DATA(at), sizeof iface);
		if (at->rta_type != RTA_DST || RTA_PAYLOAD(at) != (v4 ? 4 : 16))
			continue;
		memcpy(prefix.addr.ip + (v4 ? V4_AT : 0), RTA_DATA(at), RTA_PAYLOAD(at));
		has_destination = true;
	}
	addr_set_scope(prefix.addr.ip, iface);
	return has_destination ? add(out, &prefix) : 0;
}

/* 1: that was all. */
static int read_answers(struct host_addrs *out, uint32_t number)
{
	static _Alignas(struct nlmsghdr) char answer[ANSWER_OCTETS];
	const ssize_t got = recv(socket_fd, answer, sizeof answer, 0);
	unsigned left = (unsigned)got;
	int err = 0;

	if (got < 0)
		return errno == EINTR ? 0 : -errno;
	for (struct nlmsghdr *message = (void *)answer; !err && NLMSG_OK(message, left);
	     message = NLMSG_NEXT(message, left)) {
		if (message->nlmsg_seq != number)
			continue;
		if (message->nlmsg_type == NLMSG_DONE)
			return 1;
		if (message->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(message))->error;
		if (message->nlmsg_type == RTM_NEWROUTE)
			err = read_route(out, message);
	}
	return err;
}

static int read_family(struct host_addrs *out, uint8_t family)
{
	static uint32_t number;
	int err = ask(family, ++number);

	while (!err)
		err = read_answers(out, number);
	return err < 0 ? err : 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct host_prefix));
}

static int read_loopback(struct host_addrs *out)
{
	const struct host_prefix v4 = { { .ip = { [10] = 0xff, 0xff, 127 } }, 8 }, v6 = { { .ip = { [15] = 1 } }, 128 };
	const int err = add(out, &v4);

	return err ? err : add(out, &v6);
}

static int ask_iface(const char *name, uint32_t number)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg body;
		struct rtattr attribute;
		char name[IF_NAMESIZE];
	} request = {
		.head = { .nlmsg_len = sizeof request,
			  .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST,
			  .nlmsg_seq = number },
		.attribute = { .rta_len = RTA_LENGTH(sizeof request.name), .rta_type = IFLA_IFNAME },
	};

	memcpy(request.name, name, strlen(name));
	return send(socket_fd, &request, sizeof request, 0) < 0 ? -errno : 0;
}

uint32_t host_iface(const char *name)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_OCTETS];
	const struct nlmsghdr *message = (void *)answer;
	static uint32_t number;
	ssize_t got;

	if (strlen(name) >= IF_NAMESIZE || host_addrs_open() || ask_iface(name, ++number))
		return 0;
	/* What somebody else was told late is passed over. */
	do
		got = recv(socket_fd, answer, sizeof answer, 0);
	while (got > 0 && NLMSG_OK(message, (unsigned)got) && message->nlmsg_seq != number);
	if (got <= 0 || !NLMSG_OK(message, (unsigned)got) || message->nlmsg_type != RTM_NEWLINK)
		return 0;
	return (uint32_t)((const struct ifinfomsg *)NLMSG_DATA(message))->ifi_index;
}

int host_addrs_read(struct host_addrs *out)
{
	int err = host_addrs_open();

	*out = (struct host_addrs){ 0 };
	if (!err)
		err = read_family(out, AF_INET);
	/* A kernel without IPv6 has no such table. */
	if (!err && read_family(out, AF_INET6) == -ENOMEM)
		err = -ENOMEM;
	if (err) {
		host_addrs_free(out);
		(void)read_loopback(out);
	}
	if (out->count)
		qsort(out->at, out->count, sizeof *out->at, compare);
	return err;
}

void host_addrs_free(struct host_addrs *addrs)
{
	free(addrs->at);
	*addrs = (struct host_addrs){ 0 };
}

static bool begins_like(const struct host_prefix *prefix, const struct addr *addr)
{
	const bool v4 = addr_is_v4(addr);
	const unsigned bits = prefix->bits + (v4 ? 8U * V4_AT : 0U);

	if (v4 != addr_is_v4(&prefix->addr) || memcmp(prefix->addr.ip, addr->ip, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (prefix->addr.ip[bits / 8] ^ addr->ip[bits / 8]) >> (8 - bits % 8) == 0;
}

bool host_addrs_have(const struct host_addrs *addrs, const struct addr *addr)
{
	for (size_t i = 0; i < addrs->count; i++)
		if (begins_like(&addrs->at[i], addr))
			return true;
	return false;
}

/* The address behind a prefix. False: there is none. */
static bool step_over(struct addr *addr, const struct host_prefix *prefix)
{
	*addr = prefix->addr;
	for (unsigned bit = prefix->bits + (addr_is_v4(addr) ? 8U * V4_AT : 0U); bit-- > 0;) {
		const uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		addr->ip[bit / 8] ^= mask;
		if (addr->ip[bit / 8] & mask)
			return true;
	}
	return false;
}

/* One way through the sorted prefixes, because several may make up the one. */
bool host_addrs_have_all(const struct host_addrs *addrs, const struct host_prefix *prefix)
{
	struct addr next = prefix->addr;

	for (size_t i = 0; i < addrs->count; i++)
		if (begins_like(&addrs->at[i], &next) &&
		    (!step_over(&next, &addrs->at[i]) || !begins_like(prefix, &next)))
			return true;
	return false;
}

bool host_addrs_equal(const struct host_addrs *a, const struct host_addrs *b)
{
	return a->count == b->count && (a->count == 0 || memcmp(a->at, b->at, a->count * sizeof *a->at) == 0);
}

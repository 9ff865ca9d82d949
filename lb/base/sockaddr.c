#include "base/sockaddr.h"

#include <netinet/in.h>
#include <string.h>

socklen_t sockaddr_write(struct sockaddr_storage *out, const struct addr *addr)
{
	if (addr_is_v4(addr)) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;

		*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(addr->port) };
		memcpy(&in->sin_addr, addr->ip + 12, 4);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(addr->port) };
	in6->sin6_scope_id = sockaddr_write_v6(&in6->sin6_addr, addr->ip);
	return sizeof *in6;
}

uint32_t sockaddr_write_v6(struct in6_addr *out, const uint8_t ip[static 16])
{
	uint8_t bare[16];

	memcpy(bare, ip, sizeof bare);
	addr_set_scope(bare, 0);
	memcpy(out, bare, sizeof bare);
	return addr_scope(ip);
}

bool sockaddr_read_v6(uint8_t ip[static 16], const struct in6_addr *in6, uint32_t iface)
{
	memcpy(ip, in6, 16);
	if (!addr_is_of_link(ip))
		return true;
	if (addr_can_have_scope(ip)) {
		addr_set_scope(ip, iface);
		return true;
	}
	memset(ip, 0, 16);
	return false;
}

void sockaddr_read_v4(uint8_t ip[static 16], const struct in_addr *in)
{
	memset(ip, 0, 10);
	memset(ip + 10, 0xff, 2);
	memcpy(ip + 12, in, 4);
}

struct addr sockaddr_read(const struct sockaddr_storage *from)
{
	struct addr addr = { .port = 0 };

	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)from;

		sockaddr_read_v4(addr.ip, &in->sin_addr);
		addr.port = ntohs(in->sin_port);
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;

		if (sockaddr_read_v6(addr.ip, &in6->sin6_addr, in6->sin6_scope_id))
			addr.port = ntohs(in6->sin6_port);
	}
	return addr;
}

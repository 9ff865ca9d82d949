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
	memcpy(&in6->sin6_addr, addr->ip, 16);
	return sizeof *in6;
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

		memcpy(addr.ip, &in6->sin6_addr, 16);
		addr.port = ntohs(in6->sin6_port);
	}
	return addr;
}

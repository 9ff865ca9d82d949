#include "bench/programs/backend/tunnel.h"

#include <errno.h>
#include <string.h>

#include "bench/lib/udp.h"

int tunnel_unwrap(struct addr *source, struct tunnel_way *way, const struct proxy2_keys *keys, const uint8_t *data,
		  size_t len)
{
	struct proxy2_ends ends;
	size_t octets;

	if (proxy2_read(&ends, &octets, keys, PROXY2_UP, data, len) != PROXY2_GOOD)
		return -EBADMSG;
	*way = (struct tunnel_way){ .node = *source, .service = ends.destination };
	*source = ends.source;
	return (int)octets;
}

int tunnel_send(int fd, const struct tunnel_out *out, const uint8_t *data, size_t len)
{
	static uint8_t datagram[UDP_MAX_OCTETS];
	const struct proxy2_ends ends = { out->way->service, *out->to };

	if (!out->way->node.port)
		return -EHOSTUNREACH;
	if (len > sizeof datagram - PROXY2_MAX_OCTETS)
		return -EMSGSIZE;
	const size_t octets = proxy2_write(datagram, out->keys, PROXY2_DOWN, &ends);
	memcpy(datagram + octets, data, len);
	return udp_send(fd, &out->way->node, datagram, octets + len);
}

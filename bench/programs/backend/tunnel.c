#include "bench/programs/backend/tunnel.h"

#include <errno.h>
#include <string.h>

#include "bench/lib/udp.h"

static void hear(struct tunnel *tunnel, const struct addr *service, uint8_t key)
{
	size_t at = 0;

	while (at < TUNNEL_SERVICES && !addr_equal(&tunnel->heard[at].service, service))
		at++;
	if (at == TUNNEL_SERVICES) {
		at = tunnel->next;
		tunnel->next = (at + 1) % TUNNEL_SERVICES;
		tunnel->heard[at].service = *service;
	}
	tunnel->heard[at].key = key;
}

static uint8_t key_of(const struct tunnel *tunnel, const struct tunnel_way *way)
{
	for (size_t i = 0; i < TUNNEL_SERVICES; i++)
		if (addr_equal(&tunnel->heard[i].service, &way->service))
			return tunnel->heard[i].key;
	return way->key;
}

int tunnel_unwrap(struct addr *source, struct tunnel_way *way, struct tunnel *tunnel, const uint8_t *data, size_t len)
{
	struct proxy2_ends ends;
	size_t octets;

	if (proxy2_read(&ends, &octets, &tunnel->keys, PROXY2_UP, data, len) != PROXY2_GOOD)
		return -EBADMSG;
	hear(tunnel, &ends.destination, ends.key);
	*way = (struct tunnel_way){
		.node = *source, .service = ends.destination, .key = ends.key, .version = ends.version
	};
	*source = ends.source;
	return (int)octets;
}

int tunnel_send(int fd, const struct tunnel_out *out, const uint8_t *data, size_t len)
{
	static uint8_t datagram[UDP_MAX_OCTETS];
	const struct proxy2_ends ends = { out->way->service, *out->to, key_of(out->tunnel, out->way),
					  out->way->version };

	if (!out->way->node.port)
		return -EHOSTUNREACH;
	if (len > sizeof datagram - PROXY2_MAX_OCTETS)
		return -EMSGSIZE;
	const size_t octets = proxy2_write(datagram, &out->tunnel->keys, PROXY2_DOWN, &ends);
	memcpy(datagram + octets, data, len);
	return udp_send(fd, &out->way->node, datagram, octets + len);
}

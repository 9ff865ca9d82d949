#include "bench/programs/backend/tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/lib/udp.h"

enum { KEY_FILE_OCTETS = 512 };

int tunnel_read_keys(struct proxy2_keys *out, const char *file)
{
	char text[KEY_FILE_OCTETS];
	FILE *in = fopen(file, "re");

	if (!in)
		return -errno;
	const size_t len = fread(text, 1, sizeof text, in);
	int err = ferror(in) ? -EIO : len == sizeof text ? -EINVAL : 0;
	fclose(in);
	if (!err) {
		text[len] = '\0';
		err = strlen(text) == len ? proxy2_parse_keys(out, text) : -EINVAL;
	}
	explicit_bzero(text, sizeof text);
	return err;
}

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

int tunnel_send(int fd, const struct tunnel_way *way, const struct proxy2_keys *keys, const struct addr *to,
		const uint8_t *data, size_t len)
{
	static uint8_t datagram[UDP_MAX_OCTETS];
	const struct proxy2_ends ends = { way->service, *to };

	if (!way->node.port)
		return -EHOSTUNREACH;
	if (len > sizeof datagram - PROXY2_MAX_OCTETS)
		return -EMSGSIZE;
	const size_t octets = proxy2_write(datagram, keys, PROXY2_DOWN, &ends);
	memcpy(datagram + octets, data, len);
	return udp_send(fd, &way->node, datagram, octets + len);
}

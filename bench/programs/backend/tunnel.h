/* The server's end of mode tunnel (packaging/guide/tunnel.md), without the shim. The server itself takes the header off
 * each datagram, and puts one on. */
#ifndef CIDLB_BENCH_BACKEND_TUNNEL_H
#define CIDLB_BENCH_BACKEND_TUNNEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/proxy2.h"

/* Where a datagram came through, and so its answer goes. */
struct tunnel_way {
	struct addr node;    /* cidlb's; port 0: not known */
	struct addr service; /* that the device had addressed */
};

/* Takes the header off a datagram: *source becomes its device, *way where it came through. Returns the octets of the
 * header, or -EBADMSG if it has no good one. Whoever has the key is a node. */
int tunnel_unwrap(struct addr *source, struct tunnel_way *way, const struct proxy2_keys *keys, const uint8_t *data,
		  size_t len);

/* How a datagram leaves. */
struct tunnel_out {
	const struct tunnel_way *way;
	const struct proxy2_keys *keys;
	const struct addr *to; /* its device */
};

/* Returns 0 or -errno. -EHOSTUNREACH: the way is not known. For one thread. */
int tunnel_send(int fd, const struct tunnel_out *out, const uint8_t *data, size_t len);

#endif

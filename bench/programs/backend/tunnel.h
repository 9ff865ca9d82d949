/* The server's end of mode tunnel (design, section 5), without the shim: the header of each datagram taken off and put
 * on by the server. */
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

/* A file as of CIDLB_SHIM_KEY: a line ID:HEX per key. Returns 0 or -errno; -EINVAL: another content. */
int tunnel_read_keys(struct proxy2_keys *out, const char *file);

/* Takes the header off a datagram: *source becomes its device, *way where it came through. Octets of the header, or
 * -EBADMSG: it has no good one. Whoever has the key is a node. */
int tunnel_unwrap(struct addr *source, struct tunnel_way *way, const struct proxy2_keys *keys, const uint8_t *data,
		  size_t len);

/* 0 or -errno; -EHOSTUNREACH: the way is not known. One thread. */
int tunnel_send(int fd, const struct tunnel_way *way, const struct proxy2_keys *keys, const struct addr *to,
		const uint8_t *data, size_t len);

#endif

/* The server's end of mode tunnel (packaging/guide/tunnel.md), without the shim. The server itself takes the header off
 * each datagram, and puts one on. */
#ifndef CIDLB_BENCH_BACKEND_TUNNEL_H
#define CIDLB_BENCH_BACKEND_TUNNEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/proxy2.h"

enum { TUNNEL_SERVICES = 16 };

/* The keys, and with which of them each service address was heard last. A service address is of one pool of cidlb, and
 * a device may sleep while its pool changes keys. All zero but for the keys: nothing was heard. */
struct tunnel {
	struct proxy2_keys keys; /* none: there is no tunnel */
	struct {
		struct addr service; /* port 0: none */
		uint8_t key;
	} heard[TUNNEL_SERVICES];
	size_t next; /* the place that a further service address takes */
};

/* Where a datagram came through, and so its answer goes. */
struct tunnel_way {
	struct addr node;    /* cidlb's; port 0: not known */
	struct addr service; /* that the device had addressed */
	uint8_t key;         /* index of that with which it came */
	uint8_t version;     /* in which it came: enum proxy2_version */
};

/* Takes the header off a datagram: *source becomes its device, *way where it came through. Returns the octets of the
 * header, or -EBADMSG if it has no good one. Whoever has the key is a node. */
int tunnel_unwrap(struct addr *source, struct tunnel_way *way, struct tunnel *tunnel, const uint8_t *data, size_t len);

/* How a datagram leaves. */
struct tunnel_out {
	const struct tunnel_way *way;
	const struct tunnel *tunnel;
	const struct addr *to; /* its device */
};

/* Returns 0 or -errno. -EHOSTUNREACH: the way is not known. For one thread. */
int tunnel_send(int fd, const struct tunnel_out *out, const uint8_t *data, size_t len);

#endif

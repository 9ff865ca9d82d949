/* What is between the datagram on the wire and what the server sees of it: pure.
 *
 * A datagram is received into pieces: a head as long as the shortest header, the server's own buffers, and a tail as
 * long as a header may be beyond that. So the payload of the usual one lies where it belongs, and that of a longer one
 * has to move up.
 */
#ifndef CIDLB_SHIM_REWRITE_H
#define CIDLB_SHIM_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/addr.h"
#include "common/proxy2.h"

enum {
	REWRITE_HEAD_OCTETS = PROXY2_V4_OCTETS,
	REWRITE_HEADER_OCTETS = 256, /* a longer header is not taken */
	REWRITE_TAIL_OCTETS = REWRITE_HEADER_OCTETS - REWRITE_HEAD_OCTETS,
	REWRITE_CONTROL_OCTETS = 512,
};

/* Reads the header of a datagram of `len` octets, as many of which are in the pieces as go in, and moves its payload to
 * where the second piece begins. *octets: of the header. Nothing moves unless it is good. */
enum proxy2_result rewrite_unwrap(struct proxy2_ends *ends, size_t *octets, const struct proxy2_keys *keys,
				  const struct iovec *pieces, size_t count, size_t len);

/* A socket's name for an address: false if a socket of that family has none. */
bool rewrite_name(struct sockaddr_storage *out, socklen_t *len, sa_family_t family, const struct addr *addr);

/* An address of a name. 0, -EINVAL: too short, or -EAFNOSUPPORT. */
int rewrite_addr(struct addr *out, const struct sockaddr *name, socklen_t len);

/* IP_PKTINFO and IPV6_PKTINFO that were received then tell the service address. */
void rewrite_received_control(struct msghdr *msg, const struct addr *service);

/* What a server asks for, without the source address: `out` is aligned as struct cmsghdr. -EINVAL: too much of it, or
 * UDP_SEGMENT, which would put the header before the first segment alone. */
int rewrite_sent_control(char out[static REWRITE_CONTROL_OCTETS], size_t *octets, const struct msghdr *msg);

#endif

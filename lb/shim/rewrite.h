/* Converts between the datagram on the wire and what the server sees of it. Pure.
 *
 * A datagram is received into pieces: a head as long as the shortest header, the server's own buffers, and a tail as
 * long as a header may be beyond that. So with the usual header the payload is already in its place. With a longer one
 * it has to move up.
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
	REWRITE_HEADER_OCTETS = 256, /* a longer header is refused */
	REWRITE_TAIL_OCTETS = REWRITE_HEADER_OCTETS - REWRITE_HEAD_OCTETS,
	REWRITE_CONTROL_OCTETS = 512,
	REWRITE_SOURCE_OCTETS = 64, /* of what rewrite_source_control() adds */
};

/* A datagram of `len` octets. The pieces hold as many of them as fit. */
struct rewrite_datagram {
	const struct iovec *pieces;
	size_t count;
	size_t len;
};

/* Reads the header of a datagram, and moves its payload to where the second piece begins. *octets: of the header.
 * Nothing moves unless the header is good. */
enum proxy2_result rewrite_unwrap(struct proxy2_ends *ends, size_t *octets, const struct proxy2_keys *keys,
				  const struct rewrite_datagram *datagram);

/* The socket name of an address. False: a socket of that family has none. */
bool rewrite_name(struct sockaddr_storage *out, socklen_t *len, sa_family_t family, const struct addr *addr);

/* The address in a socket name. -EINVAL: too short. -EAFNOSUPPORT: neither IPv4 nor IPv6. */
int rewrite_addr(struct addr *out, const struct sockaddr *name, socklen_t len);

/* Makes the IP_PKTINFO and IPV6_PKTINFO that were received tell the service address. */
void rewrite_received_control(struct msghdr *msg, const struct addr *service);

/* The address that a server wants to send from, as IP_PKTINFO and IPV6_PKTINFO tell it; the port becomes 0. False: it
 * does not say. */
bool rewrite_sent_source(struct addr *out, const struct msghdr *msg);

/* Copies what a server asks for, without the source address. `out` is aligned as struct cmsghdr. -EINVAL: malformed,
 * too much, or UDP_SEGMENT, which would put the header only before the first segment. */
int rewrite_sent_control(char out[static REWRITE_CONTROL_OCTETS], size_t *octets, const struct msghdr *msg);

/* Adds the address that a message is to leave from, of a socket of that family, to the other control data, behind which
 * there is room for REWRITE_SOURCE_OCTETS. */
void rewrite_source_control(struct msghdr *msg, sa_family_t family, const struct addr *source);

#endif

/* What servers of mode dsr answer in IPv4 to probes that went to them in the encapsulation: datagrams from the service
 * address. This host has that address, too. So its kernel takes them for a lie (RFC 1812, section 5.3.7: a martian) and
 * drops them before any UDP socket. A packet socket is shown them before.
 *
 * Opening it takes CAP_NET_RAW, so that is done before root is given up. At first it is shown nothing, and costs
 * nothing. Then a filter in the kernel lets in no more than whole datagrams for this host that come from one of the
 * given addresses to the port given with it. IPv6 needs none of this: there the kernel does not mind.
 *
 * What is checked here is what a UDP socket checks: both checksums, and lengths.
 */
#ifndef CIDLB_IO_ANSWERS_H
#define CIDLB_IO_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/udp_packet.h"
#include "io/answers_filter.h"

enum { ANSWERS_OCTETS = 4096 /* of a packet; what is larger counts as cut short */ };

/* A descriptor, or -errno; -EPERM: without the privilege. */
int answers_open(void);

/* Lets in what comes to one of these ports, of which there are 0..ANSWERS_PORTS, and nothing else from now on. None: it
 * is shown nothing, and costs nothing. Returns 0 or -errno. */
int answers_show(int fd, const struct answers_port *ports, size_t count);

/* Reads one datagram, without waiting, into `buffer`. *iface becomes the index of the interface that it came in on.
 * False: there was none, or it is none. */
bool answers_read(int fd, uint8_t buffer[static ANSWERS_OCTETS], struct udp_packet *out, uint32_t *iface);

#endif

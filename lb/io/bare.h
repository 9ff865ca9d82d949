/* Sockets that send whole IP packets, for mode dsr. Opening one takes CAP_NET_RAW, so it is done before root is given
 * up. They receive nothing: a filter lets nothing in.
 *
 *   BARE_IPIP_V4   the kernel puts an IPv4 header of protocol 4 before each (RFC 2003), and sends it in fragments if it
 *                  is too large. To an address, without port. ICMP errors are queued
 *   BARE_IPIP_V6   the same with IPv6 and protocol 41 (RFC 2473)
 *   BARE_LINK      a frame to a neighbour on an interface (io_send.link). What is too large is refused (EMSGSIZE)
 */
#ifndef CIDLB_IO_BARE_H
#define CIDLB_IO_BARE_H

enum bare { BARE_IPIP_V4, BARE_IPIP_V6, BARE_LINK, BARES };

/* A descriptor, or -errno; -EPERM: without the privilege. */
int bare_open(enum bare which);

#endif

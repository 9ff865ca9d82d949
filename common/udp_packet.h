/* A UDP datagram as an IP packet, as a router passes it on: the addresses and ports are those of its ends (RFC 791, RFC
 * 768, RFC 8200). And back, in IPv4. Pure: no I/O, no globals, no allocation; safe from any thread.
 */
#ifndef CIDLB_UDP_PACKET_H
#define CIDLB_UDP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

enum {
	UDP_PACKET_V4_OCTETS = 20 + 8, /* before the payload */
	UDP_PACKET_V6_OCTETS = 40 + 8,
	UDP_PACKET_HEAD_OCTETS =
		40 + 8 + 8, /* the most that stands before a part of the payload: of IPv6, in fragments */
	/* The least that a link carries (RFC 791, section 3.2; RFC 8200, section 5). */
	UDP_PACKET_V4_MTU = 68,
	UDP_PACKET_V6_MTU = 1280,
};

/* Both ends are of one IP version. The payload fits a UDP datagram of it, as whatever came in one does. */
struct udp_packet {
	struct addr from, to;
	uint8_t ttl; /* or hop limit */
	uint8_t tos; /* or traffic class: DSCP and ECN (RFC 2474, RFC 3168) */
	const uint8_t *data;
	size_t len; /* octets */
};

/* The whole packet has so many octets. */
size_t udp_packet_octets(const struct udp_packet *packet);

/* A part of a packet: headers, and what of the payload is behind them. */
struct udp_packet_part {
	uint8_t head[UDP_PACKET_HEAD_OCTETS];
	size_t head_len;
	const uint8_t *data; /* in packet->data */
	size_t len;
};

/* Writes the packet whole. In IPv4 with "don't fragment": it is its own proof that it needs no identification (RFC
 * 6864). */
void udp_packet_whole(struct udp_packet_part *out, const struct udp_packet *packet);

/* The same in fragments. `id` tells those of one packet from those of others. */
struct udp_packet_cut {
	uint16_t mtu; /* octets that a fragment may have, >= UDP_PACKET_V4_MTU or UDP_PACKET_V6_MTU */
	uint32_t id;
	size_t done;       /* octets behind the IP header that fragments have had; 0: none was made */
	uint16_t checksum; /* of UDP; kept from the first on */
};

/* Writes the next fragment. False: there was none left. */
bool udp_packet_next(struct udp_packet_part *out, const struct udp_packet *packet, struct udp_packet_cut *cut);

/* Who looks whether the UDP checksum is right. */
enum udp_packet_sum {
	UDP_PACKET_SUM_HERE, /* udp_packet_read_v4() */
	UDP_PACKET_SUM_NOT,  /* nobody: it is not written yet, as it was sent on this machine */
};

/* Reads the IPv4 packet that `data` begins with, if there is one whole UDP datagram in it; what is behind it pads the
 * frame. The payload stays where it is. False, and `out` says nothing: it is something else, a fragment, cut short, or
 * one of its checksums is wrong. */
bool udp_packet_read_v4(struct udp_packet *out, const uint8_t *data, size_t len, enum udp_packet_sum sum);

#endif

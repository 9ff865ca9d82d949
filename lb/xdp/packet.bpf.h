/* The frame that came in, and what of it must be right for the program to handle it. Everything that a socket checks
 * silently is written out here. */
#ifndef CIDLB_XDP_PACKET_BPF_H
#define CIDLB_XDP_PACKET_BPF_H

#include <linux/in.h>

#include <bpf/bpf_endian.h>

#include "xdp/maps.bpf.h"

/* The packet in the sizes in which it is read and written: of a packed structure clang makes single octets. */
#define U16(at) (*(__u16 *)(at))
#define U32(at) (*(__u32 *)(at))
#define U64(at) (*(__u64 *)(at))

/* clang-format off */
enum {
	ETHERNET_OCTETS = 14, V4_OCTETS = 20, V6_OCTETS = 40, UDP_OCTETS = 8,
	ETHERTYPE_AT = 12, ETHERTYPE_V4 = 0x0800, ETHERTYPE_V6 = 0x86dd,
	/* RFC 791, section 3.1 */
	V4_WHOLE = 0x45, V4_LENGTH_AT = 2, V4_FRAGMENT_AT = 6, V4_TTL_AT = 8, V4_PROTOCOL_AT = 9,
	V4_CHECK_AT = 10, V4_SOURCE_AT = 12, V4_TO_AT = 16,
	V4_FRAGMENTS = 0xbfff, /* all but "do not fragment" */
	/* RFC 8200, section 3 */
	V6_LENGTH_AT = 4, V6_NEXT_AT = 6, V6_LIMIT_AT = 7, V6_SOURCE_AT = 8, V6_TO_AT = 24,
	/* RFC 768 */
	UDP_TO_AT = 2, UDP_LENGTH_AT = 4, UDP_CHECK_AT = 6,
	HOPS_OF_OURS = 64, /* a packet in a tunnel begins its way here */
};
/* clang-format on */

#define IP_OCTETS(v6) ((v6) ? V6_OCTETS : V4_OCTETS)

struct packet {
	struct fast_ip source, to;
	__u16 source_port, to_port; /* network order */
	__u16 check;                /* of UDP */
	__u16 udp_octets;           /* with its header */
	__u32 octets;               /* of the frame */
	__u8 device;                /* that it came in through */
	__u8 hops;                  /* that it may still go: TTL */
};

/* For sums below 2^36, as of a header's words. */
static __always_inline __u32 sum_fold_short(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline __u32 sum_fold(__u64 sum)
{
	return sum_fold_short((sum & 0xffffffff) + (sum >> 32));
}

/* What a word adds to a sum: RFC 1071. */
static __always_inline __u64 sum_of(__u64 word)
{
	return (word & 0xffffffff) + (word >> 32);
}

static __always_inline __u64 sum_of_ip(const struct fast_ip *ip, const bool v6)
{
	return v6 ? sum_of(ip->words[0]) + sum_of(ip->words[1]) : ip->words[1] >> 32;
}

static __always_inline struct fast_ip ip_of_v4(__u32 address)
{
	return (struct fast_ip){ { 0, FAST_V4_MAPPED | (__u64)address << 32 } };
}

/* Reads addresses and ports. False: it is not UDP, or has options, or is a fragment. */
static __always_inline bool packet_read(struct packet *packet, struct xdp_md *ctx, const bool v6)
{
	const __u8 *ip = (void *)(long)ctx->data + ETHERNET_OCTETS;
	const __u8 *udp = ip + IP_OCTETS(v6);

	if ((void *)(udp + UDP_OCTETS) > (void *)(long)ctx->data_end)
		return false;
	if (v6) {
		if (ip[0] >> 4 != 6 || ip[V6_NEXT_AT] != IPPROTO_UDP)
			return false;
		packet->hops = ip[V6_LIMIT_AT];
		packet->source = (struct fast_ip){ { U64(ip + V6_SOURCE_AT), U64(ip + V6_SOURCE_AT + 8) } };
		packet->to = (struct fast_ip){ { U64(ip + V6_TO_AT), U64(ip + V6_TO_AT + 8) } };
	} else {
		if (ip[0] != V4_WHOLE || ip[V4_PROTOCOL_AT] != IPPROTO_UDP ||
		    (U16(ip + V4_FRAGMENT_AT) & bpf_htons(V4_FRAGMENTS)))
			return false;
		packet->hops = ip[V4_TTL_AT];
		packet->source = ip_of_v4(U32(ip + V4_SOURCE_AT));
		packet->to = ip_of_v4(U32(ip + V4_TO_AT));
	}
	packet->source_port = U16(udp);
	packet->to_port = U16(udp + UDP_TO_AT);
	packet->udp_octets = bpf_ntohs(U16(udp + UDP_LENGTH_AT));
	packet->check = U16(udp + UDP_CHECK_AT);
	packet->octets = ctx->data_end - ctx->data;
	return true;
}

/* The interface that it came in through; the frame must be for it. False: for another one, or none of ours. */
static __always_inline bool packet_find_device(struct packet *packet, struct xdp_md *ctx,
					       const struct fast_table *table)
{
	const __u8 *to = (void *)(long)ctx->data;
	const __u32 ifindex = ctx->ingress_ifindex;

	if ((void *)(to + ETHERNET_OCTETS) > (void *)(long)ctx->data_end)
		return false;
	for (__u32 i = 0; i < FAST_INTERFACES; i++) {
		const struct fast_interface *interface = &table->interfaces[i];

		if (interface->ifindex != ifindex)
			continue;
		packet->device = i;
		return U32(to) == U32(interface->mac) && U16(to + 4) == U16(interface->mac + 4);
	}
	return false;
}

/* Read packets only. False: the frame is padded or cut short, has come too far, or is not what was sent. The checksum
 * of UDP is not verified: it is carried on, so that whoever receives it sees what is wrong. */
static __always_inline bool packet_is_whole(const struct packet *packet, struct xdp_md *ctx, const bool v6)
{
	const __u8 *ip = (void *)(long)ctx->data + ETHERNET_OCTETS;
	__u32 octets;

	if ((void *)(ip + IP_OCTETS(v6) + UDP_OCTETS) > (void *)(long)ctx->data_end)
		return false;
	if (v6) {
		octets = V6_OCTETS + bpf_ntohs(U16(ip + V6_LENGTH_AT));
		/* RFC 8200, section 8.1: no datagram without a checksum. */
		if (packet->check == 0)
			return false;
	} else {
		octets = bpf_ntohs(U16(ip + V4_LENGTH_AT));
		if (sum_fold_short((__u64)U32(ip) + U32(ip + 4) + U32(ip + 8) + U32(ip + 12) + U32(ip + 16)) != 0xffff)
			return false;
	}
	return packet->hops >= 2 && ETHERNET_OCTETS + octets == packet->octets &&
	       (__u32)IP_OCTETS(v6) + packet->udp_octets == octets && packet->udp_octets >= UDP_OCTETS &&
	       packet->udp_octets <= UDP_OCTETS + FAST_DATAGRAM_OCTETS;
}

#endif

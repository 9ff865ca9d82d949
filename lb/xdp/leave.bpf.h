/* How a packet leaves: its headers, its checksum, its next hop. */
#ifndef CIDLB_XDP_LEAVE_BPF_H
#define CIDLB_XDP_LEAVE_BPF_H

#include "xdp/packet.bpf.h"

/* What a datagram's pseudo header and header add to its checksum, without the field of the checksum itself. */
static __always_inline __u64 udp_sum(const struct packet *packet, const bool v6)
{
	return sum_of_ip(&packet->source, v6) + sum_of_ip(&packet->to, v6) + packet->source_port + packet->to_port +
	       2 * (__u64)bpf_htons(packet->udp_octets) + bpf_htons(IPPROTO_UDP);
}

/* What the payload adds to it, not folded. `headers`: what is known to add the rest, less than ffff00000000. That is a
 * multiple of ffff, so it adds nothing. */
static __always_inline __u64 payload_sum(const struct packet *packet, __u64 headers)
{
	return (__u16)~packet->check + (0xffffULL << 32) - headers;
}

static __always_inline __u16 check_of(__u64 sum)
{
	const __u16 check = ~sum_fold(sum);

	return check ? check : 0xffff;
}

static __always_inline void link_write(__u8 *frame, const struct fast_hop *hop)
{
	U64(frame) = *(const __u64 *)hop->to;
	U32(frame + 8) = *(const __u32 *)(hop->from + 2);
}

/* Writes the headers up to that of IP, behind which `protocol` has udp_octets. There must be room for them. */
static __always_inline void ip_write(__u8 *frame, const struct packet *out, const struct fast_hop *hop, __u16 id,
				     const __u8 protocol, const bool v6)
{
	__u8 *ip = frame + ETHERNET_OCTETS;

	link_write(frame, hop);
	U16(frame + ETHERTYPE_AT) = v6 ? bpf_htons(ETHERTYPE_V6) : bpf_htons(ETHERTYPE_V4);
	if (v6) {
		U32(ip) = 0x60;
		U32(ip + V6_LENGTH_AT) = bpf_htons(out->udp_octets) | protocol << 16 | (__u32)out->hops << 24;
		U64(ip + V6_SOURCE_AT) = out->source.words[0];
		U64(ip + V6_SOURCE_AT + 8) = out->source.words[1];
		U64(ip + V6_TO_AT) = out->to.words[0];
		U64(ip + V6_TO_AT + 8) = out->to.words[1];
	} else {
		const __u32 first = V4_WHOLE | (__u32)bpf_htons(V4_OCTETS + out->udp_octets) << 16;
		const __u32 from = out->source.words[1] >> 32, to = out->to.words[1] >> 32;
		const __u32 third = out->hops | protocol << 8;
		const __u16 check = ~sum_fold_short((__u64)first + id + third + from + to);

		U32(ip) = first;
		U32(ip + 4) = id; /* may be fragmented on its way, as what leaves a socket of ours */
		U32(ip + 8) = third | (__u32)check << 16;
		U32(ip + V4_SOURCE_AT) = from;
		U32(ip + V4_TO_AT) = to;
	}
}

/* Writes all headers up to that of UDP. There must be room for them. */
static __always_inline void headers_write(__u8 *frame, const struct packet *out, const struct fast_hop *hop, __u16 id,
					  const bool v6)
{
	__u8 *udp = frame + ETHERNET_OCTETS + IP_OCTETS(v6);

	ip_write(frame, out, hop, id, IPPROTO_UDP, v6);
	U32(udp) = out->source_port | (__u32)out->to_port << 16;
	U32(udp + UDP_LENGTH_AT) = bpf_htons(out->udp_octets) | (__u32)out->check << 16;
}

/* To the next hop. XDP_ABORTED: it cannot be sent there. */
static __always_inline int send_to(const struct packet *packet, const struct fast_hop *hop)
{
	if (hop->device == packet->device)
		return XDP_TX;
	return bpf_redirect_map(&fast_devices, hop->device, XDP_ABORTED);
}

static __always_inline __u16 next_id(struct fast_counts *counts)
{
	return counts->packet_id++;
}

/* True: a reply of the backend comes in through this interface. */
static __always_inline bool comes_from(const struct packet *packet, const struct fast_backend *backend)
{
	return backend->from_device == FAST_ANY_DEVICE || backend->from_device == packet->device;
}

/* Counts a reply of a backend of the pool. `action` is what became of it. */
static __always_inline void count_reply(struct fast_counts *counts, __u32 pool, __u32 backend, __u32 octets, int action)
{
	counts->replies[below(pool, FAST_POOLS)]++;
	if (action == XDP_ABORTED) {
		counts->refused_down[below(pool, FAST_POOLS)]++;
	} else {
		struct fast_sent *sent = &counts->sent_down[below(backend, FAST_BACKENDS)];

		sent->datagrams++;
		sent->octets += octets;
	}
}

#endif

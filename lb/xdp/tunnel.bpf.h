/* Mode tunnel: puts the header (common/proxy2.h) before an uplink and takes it off a downlink. Only headers of version
 * 2 without further TLVs; with others the datagram is passed up. */
#ifndef CIDLB_XDP_TUNNEL_BPF_H
#define CIDLB_XDP_TUNNEL_BPF_H

#include "xdp/leave.bpf.h"
#include "xdp/walk.bpf.h"

/* clang-format off */
enum {
	PROXY_V4_OCTETS = 41, PROXY_V6_OCTETS = 65,
	PROXY_ADDRESSES_AT = 16, PROXY_LAST_V4 = 24, PROXY_LAST_V6 = 48, /* where ports, TLV, marks and key id are */
	TAG_TEXT_OCTETS = 38,
	MARKS_UP = 0x20, MARKS_DOWN = 0x21,
};
/* clang-format on */

/* The first 16 octets: signature, PROXY, family and DGRAM, length of the rest. */
#define PROXY_SIGNATURE 0x510a0d000a0d0a0dULL
#define PROXY_PREFIX_V4 0x190012210a544955ULL
#define PROXY_PREFIX_V6 0x310022210a544955ULL

/* Type e0, length 10, marks: the second half of the word that begins with the ports. */
#define PROXY_TLV(marks) ((__u64)0xe0 << 32 | (__u64)0x0a << 48 | (__u64)(marks) << 56)

#define PROXY_OCTETS(v6) ((v6) ? PROXY_V6_OCTETS : PROXY_V4_OCTETS)

/* The tag of a device, from what SipHash had made of the constants: proxy2_half_end(). */
static __always_inline __u64 tag_of(const struct siphash_state *constants, __u32 middle, const struct fast_ip *device,
				    __u16 port, const bool v6)
{
	struct siphash_state state = *constants;

	if (v6) {
		siphash_absorb(&state, middle | device->words[0] << 32);
		siphash_absorb(&state, device->words[0] >> 32 | device->words[1] << 32);
	}
	return siphash_end(&state, (__u64)port << 32 | device->words[1] >> 32, TAG_TEXT_OCTETS);
}

/* A header, and what it adds to a checksum. */
struct proxy {
	struct fast_ip source, to;
	__u64 last; /* ports, TLV, marks */
	__u64 tag;
	__u8 key_id;
};

static __always_inline __u64 proxy_sum(const struct proxy *proxy, const bool v6)
{
	return sum_of(PROXY_SIGNATURE) + sum_of(v6 ? PROXY_PREFIX_V6 : PROXY_PREFIX_V4) +
	       sum_of_ip(&proxy->source, v6) + sum_of_ip(&proxy->to, v6) + sum_of(proxy->last) +
	       sum_of(proxy->key_id | proxy->tag << 8) + (proxy->tag >> 56);
}

static __always_inline void proxy_write(__u8 *out, const struct proxy *proxy, const bool v6)
{
	__u8 *last = out + (v6 ? PROXY_LAST_V6 : PROXY_LAST_V4);

	U64(out) = PROXY_SIGNATURE;
	U64(out + 8) = v6 ? PROXY_PREFIX_V6 : PROXY_PREFIX_V4;
	out += PROXY_ADDRESSES_AT;
	if (v6) {
		U64(out) = proxy->source.words[0];
		U64(out + 8) = proxy->source.words[1];
		U64(out + 16) = proxy->to.words[0];
		U64(out + 24) = proxy->to.words[1];
	} else {
		U32(out) = proxy->source.words[1] >> 32;
		U32(out + 4) = proxy->to.words[1] >> 32;
	}
	U64(last) = proxy->last;
	U64(last + 8) = proxy->key_id | proxy->tag << 8;
	last[16] = proxy->tag >> 56;
}

/* False: it is no header of ours. The tag is not verified. */
static __always_inline bool proxy_read(struct proxy *proxy, const __u8 *in, const bool v6)
{
	const __u8 *last = in + (v6 ? PROXY_LAST_V6 : PROXY_LAST_V4);
	const __u8 *addresses = in + PROXY_ADDRESSES_AT;

	if (U64(in) != PROXY_SIGNATURE || U64(in + 8) != (v6 ? PROXY_PREFIX_V6 : PROXY_PREFIX_V4))
		return false;
	if (v6) {
		proxy->source = (struct fast_ip){ { U64(addresses), U64(addresses + 8) } };
		proxy->to = (struct fast_ip){ { U64(addresses + 16), U64(addresses + 24) } };
	} else {
		proxy->source = ip_of_v4(U32(addresses));
		proxy->to = ip_of_v4(U32(addresses + 4));
	}
	proxy->last = U64(last);
	proxy->key_id = last[8];
	proxy->tag = U64(last + 8) >> 8 | (__u64)last[16] << 56;
	return proxy->last >> 32 == PROXY_TLV(MARKS_DOWN) >> 32;
}

/* The sum of the payload behind (or before) a header of odd length: its octets change places, as if it were shifted by
 * one. `sum` is below 2^56. */
static __always_inline __u64 sum_swap(__u64 sum)
{
	return sum << 8;
}

/* Sends an uplink to its backend. FAST_PASSES and more: the action. Less: nothing has changed, and that is why it is
 * passed up. */
static __always_inline int tunnel_up(struct xdp_md *ctx, const struct packet *packet,
				     const struct fast_service *service, const struct fast_backend *backend,
				     struct fast_counts *counts, const bool v6, const bool outer_v6)
{
	const int longer = PROXY_OCTETS(v6) + IP_OCTETS(outer_v6) - IP_OCTETS(v6);
	struct packet out = {
		.source = backend->local,
		.to = backend->ip,
		.source_port = service->local_port,
		.to_port = backend->port,
		.udp_octets = packet->udp_octets + PROXY_OCTETS(v6),
		.hops = HOPS_OF_OURS,
	};
	const struct proxy proxy = {
		.source = packet->source,
		.to = packet->to,
		.last = packet->source_port | (__u32)packet->to_port << 16 | PROXY_TLV(MARKS_UP),
		.tag = tag_of(&service->tag_up, service->tag_middle, &packet->source, packet->source_port, v6),
		.key_id = service->key_ids[0],
	};
	__u8 *frame;

	if (IP_OCTETS(outer_v6) + out.udp_octets > backend->hop.mtu)
		return FAST_PASSED_SIZE;
	/* Over IPv6 a datagram needs a checksum, and this one has none. */
	if (outer_v6 && packet->check == 0)
		return FAST_PASSED_FRAME;
	if (packet->check) {
		const __u64 payload = payload_sum(packet, udp_sum(packet, v6));

		out.check = check_of(udp_sum(&out, outer_v6) + proxy_sum(&proxy, v6) + sum_swap(payload));
	}
	if (bpf_xdp_adjust_head(ctx, -longer))
		return FAST_PASSED_FRAME;
	frame = (void *)(long)ctx->data;
	const int head = ETHERNET_OCTETS + IP_OCTETS(outer_v6) + UDP_OCTETS;
	if ((void *)(frame + head + PROXY_OCTETS(v6)) > (void *)(long)ctx->data_end)
		return FAST_PASSES + XDP_ABORTED;
	headers_write(frame, &out, &backend->hop, next_id(counts), outer_v6);
	proxy_write(frame + head, &proxy, v6);
	return FAST_PASSES + send_to(packet, &backend->hop);
}

static __always_inline bool tag_is_good(const struct fast_service *service, const struct proxy *proxy, const bool v6)
{
	for (int i = 0; i < FAST_KEYS; i++)
		if (i < service->key_count && service->key_ids[i] == proxy->key_id &&
		    tag_of(&service->tag_down[i], service->tag_middle, &proxy->to, proxy->last >> 16, v6) == proxy->tag)
			return true;
	return false;
}

/* Sends a reply of the backend to its device. XDP_PASS: nothing has changed. */
static __always_inline int tunnel_down(struct xdp_md *ctx, const struct packet *packet, const struct fast_table *table,
				       struct fast_counts *counts, __u32 backend, __u32 pool, const bool v6,
				       const bool outer_v6)
{
	const int head = ETHERNET_OCTETS + IP_OCTETS(outer_v6) + UDP_OCTETS;
	const int shorter = PROXY_OCTETS(v6) + IP_OCTETS(outer_v6) - IP_OCTETS(v6);
	__u8 *frame = (void *)(long)ctx->data;
	const struct fast_addr_row *row;
	const struct fast_service *service;
	const struct fast_hop *hop;
	struct proxy proxy;
	int action;

	if ((void *)(frame + head + PROXY_OCTETS(v6) + RECORD_OCTETS) > (void *)(long)ctx->data_end ||
	    !proxy_read(&proxy, frame + head, v6))
		return XDP_PASS;
	row = addr_find(table, &proxy.source, proxy.last);
	if (!row || row->at != FAST_AT_SERVICE)
		return XDP_PASS;
	service = &table->services[row->index];
	if (service->pool != pool || service->replies == FAST_REPLIES_PASSED ||
	    !reply_is_plain(frame + head + PROXY_OCTETS(v6), service->replies) || !tag_is_good(service, &proxy, v6))
		return XDP_PASS;
	struct packet out = {
		.source = proxy.source,
		.to = proxy.to,
		.source_port = service->port,
		.to_port = proxy.last >> 16,
		.udp_octets = packet->udp_octets - PROXY_OCTETS(v6),
		.hops = HOPS_OF_OURS,
	};
	hop = hop_find(table, &out.to, v6);
	if (!hop || ip_is_odd(table, &out.to, v6) || out.to_port == 0 || IP_OCTETS(v6) + out.udp_octets > hop->mtu)
		return XDP_PASS;
	if (packet->check) {
		const __u64 payload = payload_sum(packet, udp_sum(packet, outer_v6) + proxy_sum(&proxy, v6));

		out.check = check_of(udp_sum(&out, v6) + sum_swap(payload));
	} else if (v6) {
		return XDP_PASS;
	}
	if (bpf_xdp_adjust_head(ctx, shorter))
		return XDP_PASS;
	frame = (void *)(long)ctx->data;
	if ((void *)(frame + ETHERNET_OCTETS + IP_OCTETS(v6) + UDP_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	headers_write(frame, &out, hop, next_id(counts), v6);
	action = send_to(packet, hop);
	count_reply(counts, pool, backend, out.udp_octets - UDP_OCTETS, action);
	return action;
}

#endif

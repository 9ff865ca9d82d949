/* Mode nat without a table: the address that an uplink leaves from carries the device's, and a downlink comes to it
 * (common/embed.h). IPv4 on the side of the devices, IPv6 on that of the backends. */
#ifndef CIDLB_XDP_NAT_BPF_H
#define CIDLB_XDP_NAT_BPF_H

#include "xdp/leave.bpf.h"
#include "xdp/walk.bpf.h"

enum { EMBED_TEXT_OCTETS = 12, LONGER = V6_OCTETS - V4_OCTETS };

/* Of a device: its address in 32 bits and then its port, as they lie in memory. */
static __always_inline struct fast_ip embed_ip(const struct fast_embed *embed, const struct siphash_state *key,
					       __u64 device)
{
	struct siphash_state state = *key;
	__u32 check;

	siphash_absorb(&state, device | (__u64)embed->service_head << 48);
	check = siphash_end(&state, embed->service_tail, EMBED_TEXT_OCTETS) & embed->check_mask;
	return (struct fast_ip){ {
		embed->prefix.words[0] | (__u64)(check >> 16) << 56,
		(check >> 8 & 0xff) | (check & 0xff) << 8 | device << 16,
	} };
}

/* Sends an uplink to its backend. FAST_PASSES and more: the action. Less: nothing has changed, and that is why it is
 * passed up. */
static __always_inline int nat_up(struct xdp_md *ctx, const struct packet *packet, const struct fast_embed *embed,
				  const struct fast_backend *backend)
{
	const __u64 device = packet->source.words[1] >> 32 | (__u64)packet->source_port << 32;
	struct packet out = {
		.source = embed_ip(embed, &embed->keys[0], device),
		.to = backend->ip,
		.source_port = embed->port,
		.to_port = backend->port,
		.udp_octets = packet->udp_octets,
		.hops = packet->hops - 1,
	};
	__u8 *frame;

	if (V6_OCTETS + out.udp_octets > backend->hop.mtu)
		return FAST_PASSED_SIZE;
	/* Over IPv6 a datagram needs a checksum, and this one has none. */
	if (packet->check == 0)
		return FAST_PASSED_FRAME;
	out.check = check_of(udp_sum(&out, true) + payload_sum(packet, udp_sum(packet, false)));
	if (bpf_xdp_adjust_head(ctx, -LONGER))
		return FAST_PASSED_FRAME;
	frame = (void *)(long)ctx->data;
	if ((void *)(frame + ETHERNET_OCTETS + V6_OCTETS + UDP_OCTETS) > (void *)(long)ctx->data_end)
		return FAST_PASSES + XDP_ABORTED;
	headers_write(frame, &out, &backend->hop, 0, true);
	return FAST_PASSES + send_to(packet, &backend->hop);
}

/* True: one of the keys would write this address, and `device` is whose it is. */
static __always_inline bool embed_read(__u64 *device, const struct fast_embed *embed, const struct fast_ip *ip)
{
	*device = ip->words[1] >> 16;
	for (int i = 0; i < FAST_KEYS; i++) {
		const struct fast_ip right = embed_ip(embed, &embed->keys[i], *device);

		if (i < embed->key_count && ip_equal(&right, ip))
			return true;
	}
	return false;
}

/* The addresses that begin like this one, if the backend there is one of their pool and one of its keys made it: the
 * first of them. Pools may share a prefix, so all are asked. */
static __always_inline const struct fast_embed *embed_find(const struct packet *packet, const struct fast_table *table,
							   __u64 *device, __u32 *backend)
{
	for (__u32 i = 0; i < FAST_EMBEDS && i < table->embed_count; i++) {
		const struct fast_embed *embed = &table->embeds[i];

		if (packet->to_port != embed->port || !ip_begins(&packet->to, &embed->prefix, &embed->mask))
			continue;
		*backend = origin_find(table, &packet->source, packet->source_port, embed->pool);
		if (*backend != NOBODY && embed_read(device, embed, &packet->to))
			return embed;
	}
	return NULL;
}

/* Sends a reply to the device whose address it came to. XDP_PASS: nothing has changed. */
static __always_inline int nat_down(struct xdp_md *ctx, const struct packet *packet, const struct fast_table *table,
				    struct fast_counts *counts)
{
	__u8 *frame = (void *)(long)ctx->data;
	const struct fast_service *service;
	const struct fast_backend *backend;
	const struct fast_embed *embed;
	const struct fast_hop *hop;
	__u32 uid = NOBODY;
	__u64 device = 0;
	int action;

	embed = embed_find(packet, table, &device, &uid);
	if (!embed)
		return XDP_PASS;
	service = &table->services[embed->service & (FAST_SERVICES - 1)];
	backend = &table->backends[below(uid, FAST_BACKENDS)];
	if (service->replies == FAST_REPLIES_PASSED || !comes_from(packet, backend) ||
	    (void *)(frame + ETHERNET_OCTETS + V6_OCTETS + UDP_OCTETS + RECORD_OCTETS) > (void *)(long)ctx->data_end ||
	    !reply_is_plain(frame + ETHERNET_OCTETS + V6_OCTETS + UDP_OCTETS, service->replies))
		return XDP_PASS;
	struct packet out = {
		.source = service->ip,
		.to = ip_of_v4(device),
		.source_port = service->port,
		.to_port = device >> 32,
		.udp_octets = packet->udp_octets,
		.hops = packet->hops - 1,
	};
	hop = hop_find(table, &out.to, false);
	if (!hop || ip_is_odd(table, &out.to, false) || out.to_port == 0 || V4_OCTETS + out.udp_octets > hop->mtu)
		return XDP_PASS;
	out.check = check_of(udp_sum(&out, false) + payload_sum(packet, udp_sum(packet, true)));
	if (bpf_xdp_adjust_head(ctx, LONGER))
		return XDP_PASS;
	frame = (void *)(long)ctx->data;
	if ((void *)(frame + ETHERNET_OCTETS + V4_OCTETS + UDP_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	headers_write(frame, &out, hop, next_id(counts), false);
	action = send_to(packet, hop);
	count_reply(counts, embed->pool, uid, out.udp_octets - UDP_OCTETS, action);
	return action;
}

#endif

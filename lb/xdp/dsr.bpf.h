/* Mode dsr: the packet goes to its backend as it came, less one hop: in a frame for the backend (encap = "l2"), or in a
 * packet for it (encap = "ipip"; RFC 2003, RFC 2473). Nothing comes back. The outer header is as the sockets have it
 * written (path/dsr.c, io/bare.h). Of the inner one they know less than is here, and write it anew. */
#ifndef CIDLB_XDP_DSR_BPF_H
#define CIDLB_XDP_DSR_BPF_H

#include "xdp/leave.bpf.h"

/* Takes 1 off what a packet may still go. RFC 1624: the checksum grows by as much, in the sum's own arithmetic. */
static __always_inline void hop_take(__u8 *ip, const bool v6)
{
	__u32 check;

	if (v6) {
		ip[V6_LIMIT_AT]--;
		return;
	}
	check = U16(ip + V4_CHECK_AT) + 1;
	ip[V4_TTL_AT]--;
	U16(ip + V4_CHECK_AT) = check + (check >= 0xffff);
}

/* As tunnel_up(). */
static __always_inline int dsr_send(struct xdp_md *ctx, const struct packet *packet, const struct fast_backend *backend,
				    struct fast_counts *counts, const bool wraps, const bool v6)
{
	const int longer = wraps ? IP_OCTETS(v6) : 0;
	const struct packet out = {
		.source = backend->local,
		.to = backend->ip,
		.udp_octets = IP_OCTETS(v6) + packet->udp_octets,
		.hops = HOPS_OF_OURS,
	};
	__u8 *frame;

	if ((__u32)longer + out.udp_octets > backend->hop.mtu)
		return FAST_PASSED_SIZE;
	if (wraps && bpf_xdp_adjust_head(ctx, -longer))
		return FAST_PASSED_FRAME;
	frame = (void *)(long)ctx->data;
	if ((void *)(frame + ETHERNET_OCTETS + longer + IP_OCTETS(v6)) > (void *)(long)ctx->data_end)
		return FAST_PASSES + XDP_ABORTED;
	if (wraps)
		ip_write(frame, &out, &backend->hop, next_id(counts), v6 ? IPPROTO_IPV6 : IPPROTO_IPIP, v6);
	else
		link_write(frame, &backend->hop);
	hop_take(frame + ETHERNET_OCTETS + longer, v6);
	return FAST_PASSES + send_to(packet, &backend->hop);
}

static __always_inline int dsr_up(struct xdp_md *ctx, const struct packet *packet, const struct fast_service *service,
				  const struct fast_backend *backend, struct fast_counts *counts, const bool v6)
{
	return service->kind == FAST_WRAPS ? dsr_send(ctx, packet, backend, counts, true, v6)
					   : dsr_send(ctx, packet, backend, counts, false, v6);
}

#endif

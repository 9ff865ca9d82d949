/* cidlb-decap: takes the packets that cidlb sends in mode dsr with encap = "ipip" out of the packets that they came in,
 * as the kernel's modules ipip (RFC 2003) and ip6_tunnel (RFC 2473) do. Whatever it does not understand it passes up,
 * unchanged to the octet.
 *
 * What comes out goes on up through the same interface, as if it had come so: to the firewall, and to the checks of
 * addresses and checksums that every packet gets. So the inner packet is not checked here beyond its lengths.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "decap/decap_map.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_ADDRESSES);
	__type(key, struct decap_ip);
	__type(value, __u8);
} decap_own SEC(".maps"), decap_nodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECAP_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} decap_counts SEC(".maps");

#define U16(at) (*(__u16 *)(at))
#define U32(at) (*(__u32 *)(at))
#define U64(at) (*(__u64 *)(at))

/* clang-format off */
enum {
	ETHERNET_OCTETS = 14, V4_OCTETS = 20, V6_OCTETS = 40, UDP_OCTETS = 8,
	ETHERTYPE_AT = 12, ETHERTYPE_V4 = 0x0800, ETHERTYPE_V6 = 0x86dd,
	/* RFC 791, section 3.1 */
	V4_WHOLE = 0x45, V4_TOS_AT = 1, V4_LENGTH_AT = 2, V4_FRAGMENT_AT = 6, V4_PROTOCOL_AT = 9, V4_SOURCE_AT = 12,
	V4_TO_AT = 16,
	V4_FRAGMENTS = 0xbfff, /* all but "do not fragment" */
	/* RFC 8200, section 3 */
	V6_LENGTH_AT = 4, V6_NEXT_AT = 6, V6_SOURCE_AT = 8, V6_TO_AT = 24,
	CONGESTED = 3, /* RFC 3168, section 5 */
};
/* clang-format on */

#define IP_OCTETS(v6) ((v6) ? V6_OCTETS : V4_OCTETS)

static __always_inline int pass(enum decap_count what)
{
	const __u32 key = what;
	__u64 *count = bpf_map_lookup_elem(&decap_counts, &key);

	if (count)
		(*count)++;
	return XDP_PASS;
}

static __always_inline struct decap_ip ip_at(const __u8 *at, const bool v6)
{
	if (!v6)
		return (struct decap_ip){ { 0, 0, bpf_htonl(0xffff), U32(at) } };
	return (struct decap_ip){ { U32(at), U32(at + 4), U32(at + 8), U32(at + 12) } };
}

/* RFC 1071. */
static __always_inline bool v4_sum_is_good(const __u8 *ip)
{
	__u64 sum = (__u64)U32(ip) + U32(ip + 4) + U32(ip + 8) + U32(ip + 12) + U32(ip + 16);

	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

/* The octets of a packet, its header included, that has no options and is no fragment. 0: it is another. There are at
 * least IP_OCTETS(v6) octets at `ip`. */
static __always_inline __u32 plain_octets(const __u8 *ip, const bool v6)
{
	if (v6)
		return ip[0] >> 4 == 6 ? V6_OCTETS + bpf_ntohs(U16(ip + V6_LENGTH_AT)) : 0;
	if (ip[0] != V4_WHOLE || (U16(ip + V4_FRAGMENT_AT) & bpf_htons(V4_FRAGMENTS)))
		return 0;
	return bpf_ntohs(U16(ip + V4_LENGTH_AT));
}

/* Both headers are there. `room`: octets of the frame from the outer one on. */
static __always_inline bool is_plain(const __u8 *ip, __u32 room, const bool v6)
{
	const __u8 *inner = ip + IP_OCTETS(v6);
	const __u32 octets = plain_octets(ip, v6), inner_octets = plain_octets(inner, v6);

	if (octets > room || inner_octets < (__u32)IP_OCTETS(v6) + UDP_OCTETS || octets < IP_OCTETS(v6) + inner_octets)
		return false;
	if (v6)
		return inner[V6_NEXT_AT] == IPPROTO_UDP && (ip[1] >> 4 & CONGESTED) != CONGESTED;
	return inner[V4_PROTOCOL_AT] == IPPROTO_UDP && (ip[V4_TOS_AT] & CONGESTED) != CONGESTED && v4_sum_is_good(ip);
}

static __always_inline int take_off(struct xdp_md *ctx, const bool v6)
{
	const __u8 *from = (void *)(long)ctx->data;
	__u8 *to;

	if ((void *)(from + ETHERNET_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	const __u64 first = U64(from);
	const __u32 second = U32(from + 8);
	const __u16 type = U16(from + ETHERTYPE_AT);
	if (bpf_xdp_adjust_head(ctx, IP_OCTETS(v6)))
		return pass(DECAP_ODD);
	to = (void *)(long)ctx->data;
	if ((void *)(to + ETHERNET_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	U64(to) = first;
	U32(to + 8) = second;
	U16(to + ETHERTYPE_AT) = type;
	return pass(DECAP_TAKEN);
}

static __always_inline int handle(struct xdp_md *ctx, const bool v6)
{
	const __u8 *ip = (void *)(long)ctx->data + ETHERNET_OCTETS;
	const void *end = (void *)(long)ctx->data_end;

	if ((void *)(ip + IP_OCTETS(v6)) > end ||
	    (v6 ? ip[V6_NEXT_AT] != IPPROTO_IPV6 : ip[V4_PROTOCOL_AT] != IPPROTO_IPIP))
		return XDP_PASS;
	const struct decap_ip own = ip_at(ip + (v6 ? V6_TO_AT : V4_TO_AT), v6);
	const struct decap_ip node = ip_at(ip + (v6 ? V6_SOURCE_AT : V4_SOURCE_AT), v6);
	if (!bpf_map_lookup_elem(&decap_own, &own))
		return XDP_PASS;
	if (!bpf_map_lookup_elem(&decap_nodes, &node))
		return pass(DECAP_STRANGER);
	if ((void *)(ip + 2 * IP_OCTETS(v6)) > end || !is_plain(ip, end - (void *)ip, v6))
		return pass(DECAP_ODD);
	return take_off(ctx, v6);
}

SEC("xdp")
int cidlb_decap(struct xdp_md *ctx)
{
	const __u8 *frame = (void *)(long)ctx->data;

	if ((void *)(frame + ETHERNET_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (U16(frame + ETHERTYPE_AT) == bpf_htons(ETHERTYPE_V4))
		return handle(ctx, false);
	if (U16(frame + ETHERTYPE_AT) == bpf_htons(ETHERTYPE_V6))
		return handle(ctx, true);
	return XDP_PASS;
}

char cidlb_decap_license[] SEC("license") = "Apache-2.0";

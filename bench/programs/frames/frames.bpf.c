/* Programs for the kernel: one makes frames as a network card delivers them, two are the far ends of the balancer, and
 * one is the least that a balancer can be. All of a cidlb-frames run on one CPU, so counters need no more than that. */
#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/programs/frames/frames_map.h"
#include "common/siphash_rounds.h"

#define U16(at) (*(__u16 *)(at))
#define U32(at) (*(__u32 *)(at))
#define U64(at) (*(__u64 *)(at))

/* clang-format off */
enum {
	ETHERNET_OCTETS = 14, V4_OCTETS = 20, V6_OCTETS = 40, UDP_OCTETS = 8,
	ETHERTYPE_AT = 12, ETHERTYPE_V4 = 0x0800, ETHERTYPE_V6 = 0x86dd,
	V4_PROTOCOL_AT = 9, V4_SOURCE_AT = 12, V6_NEXT_AT = 6, V6_SOURCE_AT = 8, UDP_TO_AT = 2, UDP_CHECK_AT = 6,
	CID_IN_RECORD_AT = 11, TLS12_CID = 25,
	/* The header of mode tunnel with IPv4 addresses: common/proxy2.h. */
	PROXY_OCTETS = 41, PROXY_ADDRESSES_AT = 16, PROXY_PORTS_AT = 24, PROXY_TLV_AT = 28, PROXY_TAG_AT = 33,
	MARKS_UP = 0x20, MARKS_DOWN = 0x21, TAG_TEXT_OCTETS = 38,
};
/* clang-format on */

#define PROXY_SIGNATURE 0x510a0d000a0d0a0dULL
#define PROXY_PREFIX_V4 0x190012210a544955ULL

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct frames);
} frames_state SEC(".maps");

static __always_inline struct frames *state(void)
{
	const __u32 zero = 0;

	return bpf_map_lookup_elem(&frames_state, &zero);
}

static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Of all that is due together only the first asks the clock. */
static __always_inline bool is_due(struct frames *frames)
{
	__u64 now;

	if (frames->burst_ns == 0)
		return true;
	if (frames->left == 0) {
		now = bpf_ktime_get_ns();
		if (now < frames->next_ns)
			return false;
		frames->next_ns = (frames->next_ns ? frames->next_ns : now) + frames->burst_ns;
		frames->left = frames->burst;
	}
	frames->left--;
	return true;
}

/* Run by BPF_PROG_TEST_RUN with live frames: what is dropped here was never sent. */
SEC("xdp")
int frames_send(struct xdp_md *ctx)
{
	struct frames *frames = state();
	__u8 *frame = (void *)(long)ctx->data;
	__u32 device, address, check;

	if (!frames || (void *)(frame + FRAME_HEAD_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (!is_due(frames))
		return XDP_DROP;
	device = frames->at;
	frames->at = device + 1 < frames->sources ? device + 1 : 0;
	address = bpf_htonl(frames->devices + device);
	const __u32 server = device % frames->servers + 1, number = bpf_htonl(device);
	for (int i = 0; i < FRAME_HEAD_OCTETS / 8; i++)
		U64(frame + 8 * i) = frames->head[i];
	U32(frame + FRAME_SOURCE_AT) = address;
	frame[FRAME_CID_AT] = server;
	U32(frame + FRAME_DEVICE_AT) = number;
	U16(frame + FRAME_IP_SUM_AT) = ~fold((__u64)frames->ip_sum + address);
	check = ~fold((__u64)frames->sum + address + (server << 8) + number) & 0xffff;
	U16(frame + FRAME_SUM_AT) = check ? check : 0xffff;
	frames->counts.sent++;
	return bpf_redirect(frames->through, 0);
}

#define IP_OCTETS(v6) ((v6) ? V6_OCTETS : V4_OCTETS)

/* The UDP header of a datagram of these, with room for a record behind it. NULL: it is another frame. */
static __always_inline __u8 *udp_find(struct xdp_md *ctx, const bool v6)
{
	__u8 *frame = (void *)(long)ctx->data, *udp = frame + ETHERNET_OCTETS + IP_OCTETS(v6);
	const __u8 *ip = frame + ETHERNET_OCTETS;

	if ((void *)(udp + UDP_OCTETS + CID_IN_RECORD_AT + 8) > (void *)(long)ctx->data_end ||
	    ip[v6 ? V6_NEXT_AT : V4_PROTOCOL_AT] != IPPROTO_UDP)
		return NULL;
	return udp;
}

static __always_inline void ethernet_turn(__u8 *frame)
{
	const __u32 first = U32(frame);
	const __u16 last = U16(frame + 4);

	U32(frame) = U32(frame + 6);
	U16(frame + 4) = U16(frame + 10);
	U32(frame + 6) = first;
	U16(frame + 10) = last;
}

/* Source and destination of Ethernet, IP and UDP change places, which leaves all checksums as they are. */
static __always_inline void ends_turn(__u8 *frame, __u8 *udp, const bool v6)
{
	__u8 *source = frame + ETHERNET_OCTETS + (v6 ? V6_SOURCE_AT : V4_SOURCE_AT);
	const __u16 port = U16(udp);

	ethernet_turn(frame);
	for (int i = 0; i < (v6 ? 4 : 1); i++) {
		__u8 *one = source + 4 * i, *other = one + (v6 ? 16 : 4);
		const __u32 word = U32(one);

		U32(one) = U32(other);
		U32(other) = word;
	}
	U16(udp) = U16(udp + UDP_TO_AT);
	U16(udp + UDP_TO_AT) = port;
}

/* The tag of an answer: of a text that begins with the marks and the service address. common/proxy2.h has it. */
static __always_inline __u64 tag_down(const struct frames *frames, const __u8 *proxy, __u8 key_id)
{
	const __u32 service = U32(proxy + PROXY_ADDRESSES_AT), device = U32(proxy + PROXY_ADDRESSES_AT + 4);
	const __u16 service_port = U16(proxy + PROXY_PORTS_AT), device_port = U16(proxy + PROXY_PORTS_AT + 2);
	struct siphash_state hash = siphash_begin(frames->key[0], frames->key[1]);

	siphash_absorb(&hash, MARKS_DOWN | (__u32)key_id << 8);
	siphash_absorb(&hash, 0xffff00000000ULL | (__u64)service << 48);
	siphash_absorb(&hash, service >> 16 | (__u32)service_port << 16);
	siphash_absorb(&hash, 0xffffULL << 48);
	return siphash_end(&hash, device | (__u64)device_port << 32, TAG_TEXT_OCTETS);
}

/* The words of a header that are not the same in its answer. */
static __always_inline __u64 turned_sum(const __u8 *proxy)
{
	const __u64 word = U64(proxy + PROXY_TLV_AT + 2);

	return (word & 0xffffffff) + (word >> 32) + U32(proxy + PROXY_TLV_AT + 10);
}

/* Makes the header of a datagram that of its answer. False: it is not one of version 2, with IPv4 addresses. */
static __always_inline bool proxy_turn(const struct frames *frames, __u8 *udp)
{
	__u8 *proxy = udp + UDP_OCTETS, *addresses = proxy + PROXY_ADDRESSES_AT, *ports = proxy + PROXY_PORTS_AT;
	const __u32 address = U32(addresses);
	const __u16 port = U16(ports);
	__u64 before, tag;

	if (U64(proxy) != PROXY_SIGNATURE || U64(proxy + 8) != PROXY_PREFIX_V4 ||
	    U32(proxy + PROXY_TLV_AT) != (0xe0 | 0x0a << 16 | (__u32)MARKS_UP << 24))
		return false;
	before = turned_sum(proxy);
	U32(addresses) = U32(addresses + 4);
	U32(addresses + 4) = address;
	U16(ports) = U16(ports + 2);
	U16(ports + 2) = port;
	proxy[PROXY_TLV_AT + 3] = MARKS_DOWN;
	tag = tag_down(frames, proxy, proxy[PROXY_TAG_AT - 1]);
	U32(proxy + PROXY_TAG_AT) = tag;
	U32(proxy + PROXY_TAG_AT + 4) = tag >> 32;
	if (U16(udp + UDP_CHECK_AT)) {
		/* RFC 1624 */
		const __u32 check = fold((~U16(udp + UDP_CHECK_AT) & 0xffffU) + (~fold(before) & 0xffffU) +
					 (__u64)fold(turned_sum(proxy)));

		U16(udp + UDP_CHECK_AT) = check == 0xffff ? 0xffff : ~check;
	}
	return true;
}

static __always_inline bool is_record(const __u8 *record)
{
	return record[0] == TLS12_CID;
}

static __always_inline int server(struct xdp_md *ctx, struct frames *frames, const bool v6)
{
	__u8 *frame = (void *)(long)ctx->data, *udp = udp_find(ctx, v6), *record;

	if (!udp)
		return XDP_PASS;
	record = udp + UDP_OCTETS;
	if (frames->tunnel && !v6) {
		record += PROXY_OCTETS;
		if ((void *)(record + CID_IN_RECORD_AT + 8) > (void *)(long)ctx->data_end || !proxy_turn(frames, udp)) {
			frames->counts.unread++;
			return XDP_DROP;
		}
	}
	if (!is_record(record)) {
		frames->counts.unread++;
		return XDP_DROP;
	}
	frames->counts.arrived++;
	if (bpf_ntohs(U16(udp + UDP_TO_AT)) + 1 - frames->server_port != record[CID_IN_RECORD_AT])
		frames->counts.elsewhere++;
	if (frames->one_way)
		return XDP_DROP;
	ends_turn(frame, udp, v6);
	/* Not XDP_TX: a veth would wake its other end only if a program is there. */
	return bpf_redirect(ctx->ingress_ifindex, 0);
}

/* All servers: each datagram is counted and answered with itself. */
SEC("xdp")
int frames_servers(struct xdp_md *ctx)
{
	struct frames *frames = state();
	const __u8 *frame = (void *)(long)ctx->data;

	if (!frames || (void *)(frame + ETHERNET_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (U16(frame + ETHERTYPE_AT) == bpf_htons(ETHERTYPE_V4))
		return server(ctx, frames, false);
	return U16(frame + ETHERTYPE_AT) == bpf_htons(ETHERTYPE_V6) ? server(ctx, frames, true) : XDP_PASS;
}

/* All devices: what comes back is counted. */
SEC("xdp")
int frames_devices(struct xdp_md *ctx)
{
	struct frames *frames = state();
	const __u8 *frame = (void *)(long)ctx->data, *record;
	__u8 *udp;

	if (!frames || (void *)(frame + ETHERNET_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (U16(frame + ETHERTYPE_AT) != bpf_htons(ETHERTYPE_V4))
		return XDP_PASS;
	udp = udp_find(ctx, false);
	record = udp + UDP_OCTETS;
	if (!udp || !is_record(record))
		return XDP_PASS;
	frames->counts.returned++;
	if (bpf_ntohl(U32(udp - 4)) != frames->devices + bpf_ntohl(U32(record + CID_IN_RECORD_AT + 1)))
		frames->counts.misdelivered++;
	return XDP_DROP;
}

/* The least that a balancer can be: what comes in through one interface leaves through the other. */
SEC("xdp")
int frames_floor(struct xdp_md *ctx)
{
	struct frames *frames = state();
	__u8 *frame = (void *)(long)ctx->data;

	if (!frames || (void *)(frame + ETHERNET_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	const __u32 to = frames->floor[ctx->ingress_ifindex == frames->floor[0]];
	if (to == 0)
		return XDP_DROP;
	ethernet_turn(frame);
	return bpf_redirect(to, 0);
}

char frames_license[] SEC("license") = "Apache-2.0";

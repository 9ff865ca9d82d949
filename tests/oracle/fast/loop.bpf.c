/* The program of the fast path in a loop: BPF_PROG_TEST_RUN runs this again and again, and each time it puts one of
 * many frames there, has it forwarded, and takes off what came on. */
#include "xdp/fast.bpf.c"

#include "tests/oracle/fast/loop.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct loop);
} loop_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LOOP_FRAMES);
	__type(key, __u32);
	__type(value, struct loop_frame);
} loop_frames SEC(".maps");

SEC("xdp")
int cidlb_loop(struct xdp_md *ctx)
{
	const __u32 zero = 0;
	struct loop *loop = bpf_map_lookup_elem(&loop_state, &zero);
	__u8 *data = (void *)(long)ctx->data;
	const struct loop_frame *frame;
	__u32 at, action;
	long octets;
	int grown;

	if (!loop || (void *)(data + LOOP_FRAME_OCTETS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	loop->dice = loop->dice * 6364136223846793005ULL + 1442695040888963407ULL;
	at = loop->dice >> 40 & loop->mask;
	frame = bpf_map_lookup_elem(&loop_frames, &at);
	if (!frame)
		return XDP_ABORTED;
	for (int i = 0; i < LOOP_FRAME_OCTETS / 8; i++)
		U64(data + 8 * i) = frame->words[i];
	/* The next frame cannot be fetched before this one is there, in the empty loop neither. */
	loop->dice += frame->words[LOOP_FRAME_OCTETS / 8 - 1] & loop->none;
	/* The call that takes off what came on is the loop's, and so it is in the empty one. */
	if (loop->empty)
		return loop->grown && bpf_xdp_adjust_head(ctx, 0) ? XDP_ABORTED : XDP_PASS;
	action = U16(data + ETHERTYPE_AT) == bpf_htons(ETHERTYPE_V4) ? handle(ctx, false) : handle(ctx, true);
	loop->actions[action & (LOOP_ACTIONS - 1)]++;
	octets = (long)ctx->data_end - (long)ctx->data;
	/* First the difference of the two pointers: the verifier has no other sum with them. */
	asm volatile("" : "+r"(octets));
	grown = (int)octets - (int)loop->octets;
	loop->grown = grown;
	if (grown && bpf_xdp_adjust_head(ctx, grown))
		return XDP_ABORTED;
	return XDP_PASS;
}

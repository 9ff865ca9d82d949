/* The fast path: an XDP program, which the kernel runs for each frame that an interface receives. What it understands
 * it forwards or drops as the packet path does (path/batch.h), and everything else it passes up, unchanged to the
 * octet. So nothing's correctness depends on it.
 *
 * A datagram is counted here when it is forwarded or dropped here, and by the packet path when it is passed up.
 */
#include "xdp/dsr.bpf.h"
#include "xdp/hash.bpf.h"
#include "xdp/nat.bpf.h"
#include "xdp/tunnel.bpf.h"

/* True: the datagram is passed up though it would be dropped, because the log wants to see some. */
static __always_inline bool take_sample(struct fast_counts *counts)
{
	const __u64 now = bpf_jiffies64() / FAST_SAMPLE_JIFFIES;

	if (counts->sample_at != now) {
		counts->sample_at = now;
		counts->sample_left = FAST_SAMPLES;
	}
	if (counts->sample_left == 0)
		return false;
	counts->sample_left--;
	return true;
}

/* True: nobody has said for too long that cidlb is there. Then nobody hears of the network or of servers. */
static __always_inline bool is_abandoned(const struct fast_control *control, struct fast_counts *counts)
{
	const __u64 now = bpf_jiffies64() / FAST_SAMPLE_JIFFIES;

	if (counts->alive_at != now) {
		counts->alive_at = now;
		counts->gone = bpf_ktime_get_ns() > *(const volatile __u64 *)&control->alive_until_ns;
	}
	return counts->gone;
}

static __always_inline int pass(struct fast_counts *counts, const struct fast_service *service, __u32 why)
{
	counts->passed[below(service->listener, FAST_LISTENERS)][below(why, FAST_PASSES_ROOM)]++;
	return XDP_PASS;
}

static __always_inline void count(struct fast_counts *counts, const struct fast_service *service, __u32 verdict)
{
	counts->verdicts[below(service->listener, FAST_LISTENERS)][below(verdict, FAST_VERDICTS)]++;
}

static __always_inline int drop(struct fast_counts *counts, const struct fast_service *service, __u32 verdict)
{
	if (take_sample(counts))
		return pass(counts, service, FAST_PASSED_SAMPLE);
	count(counts, service, verdict);
	return XDP_DROP;
}

/* Where a CID leads, as the cache knows it. */
static __always_inline __u32 cache_find(const struct fast_table *table, const struct fast_service *service,
					const struct cid *cid, __u64 cid_octets)
{
	const __u64 key[3] = { cid->words[0], cid->words[1],
			       cid->words[2] | cid_octets << 32 | (__u64)service->pool << 40 };
	const __u64 hash = fast_hash_cid(table->key, key);
	const __u64 meta = fast_cid_meta(hash, service->cid_generation, 0);
	const __u32 at = hash & (FAST_CID_SETS - 1);
	const struct fast_cid_set *set = bpf_map_lookup_elem(&fast_cids, &at);

	for (int i = 0; set && i < FAST_CID_WAYS; i++) {
		const __u64 found = *(const volatile __u64 *)&set->at[i].meta;

		if ((found ^ meta) >> 16 == 0 && set->at[i].cid[0] == key[0] && set->at[i].cid[1] == key[1] &&
		    set->at[i].cid[2] == key[2])
			return found & 0xffff;
	}
	return NOBODY;
}

/* The length of a learned CID: the one that fits the record. 0: none fits, or several do. */
static __always_inline __u64 learned_octets(const struct fast_service *service, const __u8 *data, const void *end,
					    __u64 len, const bool unified)
{
	__u64 found = 0;

	for (int i = 0; i < FAST_CID_LENGTHS; i++) {
		const __u64 octets = service->learned_octets[i];

		if (octets == 0)
			break;
		if (record_octets(data, end, len, octets, unified) == 0)
			continue;
		if (found)
			return 0;
		found = octets;
	}
	return found;
}

static __always_inline __u64 lead(const struct fast_table *table, const struct fast_service *service, const __u8 *data,
				  const void *end, __u64 len, const bool unified)
{
	const __u8 *at = data + (unified ? UNIFIED_CID_AT : CID_AT);
	const __u64 rotation = below(at[0] >> 5, FAST_CID_ROTATIONS);
	__u32 how = service->how[rotation], backend;
	__u64 cid_octets = service->cid_octets[rotation], octets;
	struct cid cid;

	if (service->learned_octets[0]) {
		how = FAST_CID_BY_CACHE;
		cid_octets = learned_octets(service, data, end, len, unified);
		if (cid_octets == 0)
			return LED_PASSED | FAST_PASSED_CID;
	}
	if (how == FAST_CID_PASSED)
		return LED_PASSED | FAST_PASSED_CID;
	octets = record_octets(data, end, len, cid_octets, unified);
	if (octets == 0)
		return service->drops_unknown ? LED_DROPPED | VERDICT_UNKNOWN_CID : LED_PASSED | FAST_PASSED_CID;
	/* The whole CID is of interest only to the cache, and to the records behind this one. */
	if (how == FAST_CID_BY_CACHE || octets < len) {
		const __u64 *masks = table->cid_masks[below(cid_octets, 32)];

		if (!cid_read(&cid, at, end, masks))
			return LED_PASSED | FAST_PASSED_RECORDS;
		const enum tail tail = walk_tail(data, end, len, octets, &cid, cid_octets, masks, unified);
		/* A CID that is about to be learned may have another length. */
		if (tail == TAIL_MIXED && !service->learned_octets[0])
			return LED_DROPPED | VERDICT_MIXED;
		if (tail != TAIL_FITS)
			return LED_PASSED | FAST_PASSED_RECORDS;
	}
	if (how == FAST_CID_BY_CACHE) {
		backend = cache_find(table, service, &cid, cid_octets);
		return backend == NOBODY ? LED_PASSED | FAST_PASSED_CID : backend;
	}
	at += below(service->id_at, 32);
	if ((void *)(at + 16) > end)
		return LED_PASSED | FAST_PASSED_RECORDS;
	const __u64 id[2] = { U64(at) & service->id_mask[0],
			      (U64(at + 8) & service->id_mask[1]) | (__u64)service->pool << 56 };
	backend = id_find(table, id);
	if (backend != NOBODY)
		return backend;
	return service->drops_unknown ? LED_DROPPED | VERDICT_UNKNOWN_CID : LED_PASSED | FAST_PASSED_CID;
}

static __always_inline int uplink_send(struct xdp_md *ctx, const struct packet *packet, const struct fast_table *table,
				       const struct fast_control *control, const struct fast_service *service,
				       struct fast_counts *counts, __u64 led, const bool v6)
{
	const __u64 uid = led & (LED_PASSED - 1);
	const struct fast_backend *backend = &table->backends[below(uid, FAST_BACKENDS)];
	const bool outer_v6 = backend->v6;
	const bool tunnels = service->kind == FAST_TUNNELS;
	const __u32 verdict = led & LED_HASHED ? VERDICT_HASH : backend->verdict;
	int sent;

	if (backend->verdict > VERDICT_CID_DOWN || backend->pool != service->pool || backend->hop.mtu == 0 ||
	    (tunnels && !control->reads_v2[below(uid, FAST_BACKENDS)]))
		return pass(counts, service, FAST_PASSED_BACKEND);
	if (tunnels)
		sent = outer_v6 ? tunnel_up(ctx, packet, service, backend, counts, v6, true)
				: tunnel_up(ctx, packet, service, backend, counts, v6, false);
	else if (service->kind != FAST_EMBEDS_DEVICES)
		sent = v6 == outer_v6 ? dsr_up(ctx, packet, service, backend, counts, v6) : FAST_PASSED_BACKEND;
	else
		sent = !v6 && outer_v6
			       ? nat_up(ctx, packet, &table->embeds[service->embed & (FAST_EMBEDS - 1)], backend)
			       : FAST_PASSED_BACKEND;
	if (sent < FAST_PASSES)
		return pass(counts, service, sent);
	count(counts, service, verdict);
	if (sent == FAST_PASSES + XDP_ABORTED) {
		counts->refused_up[below(service->pool, FAST_POOLS)]++;
	} else {
		struct fast_sent *up_to = led & LED_HASHED ? &counts->hashed_up[below(uid, FAST_BACKENDS)]
							   : &counts->sent_up[below(uid, FAST_BACKENDS)];

		up_to->datagrams++;
		up_to->octets += packet->udp_octets - UDP_OCTETS;
	}
	return sent - FAST_PASSES;
}

static __always_inline int uplink(struct xdp_md *ctx, const struct packet *packet, const struct fast_table *table,
				  const struct fast_control *control, const struct fast_service *service,
				  struct fast_counts *counts, const bool v6)
{
	const __u8 *data = (void *)(long)ctx->data + ETHERNET_OCTETS + IP_OCTETS(v6) + UDP_OCTETS;
	const void *end = (void *)(long)ctx->data_end;
	const __u64 len = packet->udp_octets - UDP_OCTETS;
	int first;
	__u64 led;

	if (packet->source_port == 0 || ip_is_odd(table, &packet->source, v6))
		return pass(counts, service, FAST_PASSED_SOURCE);
	first = walk_first(data, end, len);
	if (first < FAST_VERDICTS)
		return drop(counts, service, first);
	if ((void *)(data + CID_AT + 1 + 2) > end)
		return pass(counts, service, FAST_PASSED_RECORDS);
	if (first == WALK_OTHER)
		led = lead_by_hash(service, packet, data, len, v6);
	else if (service->kind == FAST_DROPS)
		led = LED_PASSED | FAST_PASSED_CID;
	else
		led = is_unified(data[0]) ? lead(table, service, data, end, len, true)
					  : lead(table, service, data, end, len, false);
	if (led & LED_DROPPED)
		return drop(counts, service, led & (FAST_VERDICTS - 1));
	if (led & LED_PASSED)
		return pass(counts, service, led & 7);
	return uplink_send(ctx, packet, table, control, service, counts, led, v6);
}

static __always_inline int downlink(struct xdp_md *ctx, const struct packet *packet, const struct fast_table *table,
				    struct fast_counts *counts, __u32 pool, const bool outer_v6)
{
	const __u8 *head = (void *)(long)ctx->data + ETHERNET_OCTETS + IP_OCTETS(outer_v6) + UDP_OCTETS;
	const __u32 uid = origin_find(table, &packet->source, packet->source_port, pool);
	const struct fast_backend *backend = &table->backends[below(uid, FAST_BACKENDS)];

	if (uid == NOBODY || !comes_from(packet, backend) ||
	    (void *)(head + PROXY_ADDRESSES_AT) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	return U64(head + 8) == PROXY_PREFIX_V6 ? tunnel_down(ctx, packet, table, counts, uid, pool, true, outer_v6)
						: tunnel_down(ctx, packet, table, counts, uid, pool, false, outer_v6);
}

static __always_inline int handle(struct xdp_md *ctx, const bool v6)
{
	const __u32 zero = 0, cpu = bpf_get_smp_processor_id();
	const struct fast_control *control = bpf_map_lookup_elem(&fast_control, &zero);
	const struct fast_table *table;
	const struct fast_addr_row *row;
	struct fast_counts *counts;
	struct packet packet;

	if (!control || control->pass_all || !packet_read(&packet, ctx, v6))
		return XDP_PASS;
	const __u32 which = *(const volatile __u32 *)&control->table & 1;
	table = bpf_map_lookup_elem(&fast_tables, &which);
	if (!table)
		return XDP_PASS;
	row = addr_find(table, &packet.to, packet.to_port);
	if (!row && (!v6 || table->embed_count == 0))
		return XDP_PASS;
	counts = bpf_map_lookup_elem(&fast_counts, &cpu);
	if (!counts || is_abandoned(control, counts))
		return XDP_PASS;
	const bool whole = packet_find_device(&packet, ctx, table) && packet_is_whole(&packet, ctx, v6);
	if (!row)
		return whole ? nat_down(ctx, &packet, table, counts) : XDP_PASS;
	if (row->at == FAST_AT_TUNNEL)
		return whole ? downlink(ctx, &packet, table, counts, row->index, v6) : XDP_PASS;
	const struct fast_service *service = &table->services[row->index];
	return whole ? uplink(ctx, &packet, table, control, service, counts, v6)
		     : pass(counts, service, FAST_PASSED_FRAME);
}

SEC("xdp")
int cidlb_fast(struct xdp_md *ctx)
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

char cidlb_fast_license[] SEC("license") = "Apache-2.0";

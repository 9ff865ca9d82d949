/* The maps of the program (xdp/fast_map.h), and how rows are found in a table. */
#ifndef CIDLB_XDP_MAPS_BPF_H
#define CIDLB_XDP_MAPS_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "xdp/fast_map.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fast_control);
} fast_control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct fast_table);
} fast_tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FAST_CID_SETS);
	__type(key, __u32);
	__type(value, struct fast_cid_set);
} fast_cids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FAST_HASH_POOLS);
	__type(key, __u32);
	__type(value, struct fast_slots);
} fast_slots SEC(".maps");

/* As many as there are CPUs: set before it is loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fast_counts);
} fast_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, FAST_INTERFACES);
	__type(key, __u32);
	__type(value, __u32);
} fast_devices SEC(".maps");

/* A number below a power of two. Written with `&`, clang takes away what it can prove and the verifier cannot. */
static __always_inline __u64 below(__u64 number, const __u64 limit)
{
	asm volatile("%0 &= %1" : "+r"(number) : "i"(limit - 1));
	return number;
}

static __always_inline bool ip_equal(const struct fast_ip *a, const struct fast_ip *b)
{
	return a->words[1] == b->words[1] && a->words[0] == b->words[0];
}

static __always_inline bool ip_begins(const struct fast_ip *ip, const struct fast_ip *begin, const struct fast_ip *mask)
{
	return (ip->words[1] & mask->words[1]) == begin->words[1] && (ip->words[0] & mask->words[0]) == begin->words[0];
}

/* What waits at this address, or NULL. */
static __always_inline const struct fast_addr_row *addr_find(const struct fast_table *table, const struct fast_ip *ip,
							     __u16 port)
{
	const __u64 hash = fast_hash_addr(table->key, ip, port);

	for (int i = 0; i < FAST_PROBES; i++) {
		const struct fast_addr_row *row = &table->addrs[(hash + i) & (FAST_ADDR_ROWS - 1)];

		if (row->at == FAST_AT_NOTHING)
			return NULL;
		if (row->port == port && ip_equal(&row->ip, ip))
			return row;
	}
	return NULL;
}

enum { NOBODY = 0xffff }; /* no uid of a backend */

static __always_inline __u64 id_find(const struct fast_table *table, const __u64 id[2])
{
	const __u64 hash = fast_hash(table->key, id[0], id[1]);

	for (int i = 0; i < FAST_PROBES; i++) {
		const struct fast_id_row *row = &table->ids[(hash + i) & (FAST_ID_ROWS - 1)];

		if (!row->used)
			return NOBODY;
		if (row->id[0] == id[0] && row->id[1] == id[1])
			return row->backend;
	}
	return NOBODY;
}

static __always_inline __u32 origin_find(const struct fast_table *table, const struct fast_ip *ip, __u16 port,
					 __u8 pool)
{
	const __u64 hash = fast_hash_addr(table->key ^ pool, ip, port);

	for (int i = 0; i < FAST_PROBES; i++) {
		const struct fast_origin_row *row = &table->origins[(hash + i) & (FAST_ORIGIN_ROWS - 1)];

		if (!row->used)
			return NOBODY;
		if (row->port == port && row->pool == pool && ip_equal(&row->ip, ip))
			return row->backend;
	}
	return NOBODY;
}

static __always_inline __u32 neighbour_find(const struct fast_table *table, const struct fast_ip *ip)
{
	const __u64 hash = fast_hash_addr(table->key, ip, 0);

	for (int i = 0; i < FAST_PROBES; i++) {
		const struct fast_neighbour_row *row = &table->neighbours[(hash + i) & (FAST_NEIGHBOUR_ROWS - 1)];

		if (!row->used)
			return FAST_NO_HOP;
		if (ip_equal(&row->ip, ip))
			return row->hop;
	}
	return FAST_NO_HOP;
}

/* The next hop towards an address of a device, or NULL. */
static __always_inline const struct fast_hop *hop_find(const struct fast_table *table, const struct fast_ip *ip,
						       const bool v6)
{
	for (__u32 i = 0; i < FAST_ROUTES && i < table->route_count[v6]; i++) {
		const struct fast_route *route = &table->routes[v6][i];

		if (!ip_begins(ip, &route->ip, &route->mask))
			continue;
		const __u32 hop = route->hop == FAST_NO_HOP ? neighbour_find(table, ip) : route->hop;
		return hop < FAST_HOPS && table->hops[hop].mtu ? &table->hops[hop] : NULL;
	}
	return NULL;
}

static __always_inline bool odd_bit(const struct fast_table *table, __u64 hash)
{
	return table->odd[hash >> 6 & (FAST_ODD_WORDS - 1)] >> (hash & 63) & 1;
}

/* True: it may be the address of cidlb, of a backend or of this host, or be none of a host (common/bad_sources.h). What
 * the kernel drops of that, and what is forged, is not for the program to say. */
static __always_inline bool ip_is_odd(const struct fast_table *table, const struct fast_ip *ip, const bool v6)
{
	const __u32 begin = v6 ? FAST_BEGIN_V6 + (ip->words[0] & 0xff) : FAST_BEGIN_V4 + (ip->words[1] >> 32 & 0xff);
	const __u8 begins = table->begins[begin & 511];
	const __u64 hash = fast_hash_addr(table->key, ip, 0);

	if (begins & FAST_BEGIN_PASSED)
		return true;
	if (odd_bit(table, hash) && odd_bit(table, hash >> FAST_ODD_SECOND))
		return true;
	if (!(begins & FAST_BEGIN_ASK))
		return false;
	for (__u32 i = 0; i < FAST_MASKS && i < table->mask_count; i++)
		if (ip_begins(ip, &table->masks[i].ip, &table->masks[i].mask))
			return true;
	return false;
}

#endif

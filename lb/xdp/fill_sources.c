/* Which sources the program passes up. It must have all that common/bad_sources.h has, whatever their ports, and the
 * addresses of this host, which no other host may use. */
#include <string.h>

#include "xdp/fill_parts.h"

enum { V4_BITS = 32, V6_BITS = 128, V4_AT = 12 };

/* The addresses that no host has: of IPv4 also 0.0.0.0/8 and 127.0.0.0/8, which the kernel judges; of IPv6 the reserved
 * ones below 100::/8, and those of links, which mean nothing without their scope. */
static void fill_begins(struct fast_table *out)
{
	uint8_t *v4 = out->begins + FAST_BEGIN_V4, *v6 = out->begins + FAST_BEGIN_V6;

	v4[0] = v4[127] = FAST_BEGIN_PASSED;
	memset(v4 + 224, FAST_BEGIN_PASSED, 32);
	v6[0x00] = v6[0xfe] = v6[0xff] = FAST_BEGIN_PASSED;
}

static void set_odd_bit(struct fast_table *out, uint64_t hash)
{
	out->odd[hash >> 6 & (FAST_ODD_WORDS - 1)] |= UINT64_C(1) << (hash & 63);
}

static void add_address(struct fast_table *out, const struct addr *addr)
{
	const struct fast_ip ip = fast_ip_of(addr->ip);
	const uint64_t hash = fast_hash_addr(out->key, &ip, 0);

	set_odd_bit(out, hash);
	set_odd_bit(out, hash >> FAST_ODD_SECOND);
}

/* If there is no room for it, all that begins like it is passed up. */
static void add_prefix(struct fast_table *out, const struct addr *addr, unsigned bits)
{
	const bool v4 = addr_is_v4(addr), fits = out->mask_count < FAST_MASKS;
	const uint8_t first = addr->ip[v4 ? V4_AT : 0];
	const unsigned same = bits >= 8 ? 0xff : 0xff00U >> bits & 0xff;
	uint8_t *begins = out->begins + (v4 ? FAST_BEGIN_V4 : FAST_BEGIN_V6);

	for (unsigned octet = 0; octet < 256; octet++)
		if (((octet ^ first) & same) == 0)
			begins[octet] |= fits ? FAST_BEGIN_ASK : FAST_BEGIN_PASSED;
	if (!fits)
		return;
	const struct fast_ip ip = fast_ip_of(addr->ip), mask = fast_ip_mask(bits + (v4 ? V6_BITS - V4_BITS : 0));

	out->masks[out->mask_count++] = (struct fast_mask){
		{ { ip.words[0] & mask.words[0], ip.words[1] & mask.words[1] } },
		mask,
	};
}

static void add(struct fast_table *out, const struct addr *addr, unsigned bits)
{
	if (bits == (addr_is_v4(addr) ? V4_BITS : V6_BITS))
		add_address(out, addr);
	else
		add_prefix(out, addr, bits);
}

static void add_bad(void *ctx, const struct bad_prefix *prefix)
{
	add(ctx, &prefix->addr, prefix->bits);
}

void fast_fill_sources(struct fast_table *out, const struct bad_sources *sources, const struct host_addrs *host)
{
	fill_begins(out);
	for (size_t i = 0; host && i < host->count; i++)
		add(out, &host->at[i].addr, host->at[i].bits);
	if (sources)
		bad_sources_each(sources, add_bad, out);
}

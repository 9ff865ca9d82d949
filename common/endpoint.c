#include "endpoint.h"

/* The finaliser of SplitMix64 (Steele, Lea, Flood, 2014). It makes every probe an independent draw. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static uint64_t host_mask(const struct endpoint_prefix *prefix)
{
	return prefix->host_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << prefix->host_bits) - 1;
}

static uint64_t low_load(const struct addr *a)
{
	uint64_t low = 0;

	for (size_t i = 8; i < 16; i++)
		low = low << 8 | a->ip[i];
	return low;
}

static void low_store(struct addr *a, uint64_t low)
{
	for (size_t i = 16; i > 8; i--, low >>= 8)
		a->ip[i - 1] = (uint8_t)low;
}

bool endpoint_at(struct addr *out, const struct endpoint_space *space, bool v4, uint64_t hash, unsigned probe)
{
	uint64_t where = mix(hash + probe * UINT64_C(0x9e3779b97f4a7c15));
	uint64_t draw = mix(where ^ UINT64_C(0x5851f42d4c957f2d));
	uint32_t ports = (uint32_t)(space->port_last - space->port_first) + 1;
	const struct endpoint_prefix *chosen = NULL;
	unsigned __int128 total = 0, at;

	for (size_t i = 0; i < space->prefix_count; i++)
		if (addr_is_v4(&space->prefixes[i].first) == v4)
			total += (unsigned __int128)host_mask(&space->prefixes[i]) + 1;
	if (total == 0)
		return false;
	at = (total * (draw >> 32)) >> 32;
	for (size_t i = 0; i < space->prefix_count; i++) {
		if (addr_is_v4(&space->prefixes[i].first) != v4)
			continue;
		chosen = &space->prefixes[i];
		if (at <= host_mask(chosen))
			break;
		at -= (unsigned __int128)host_mask(chosen) + 1;
	}
	*out = chosen->first;
	low_store(out, low_load(&chosen->first) | (where & host_mask(chosen)));
	out->port = (uint16_t)(space->port_first + (((draw & UINT32_MAX) * ports) >> 32));
	return true;
}

bool endpoint_has_address(const struct endpoint_space *space, const uint8_t ip[static 16])
{
	struct addr addr = { .port = 0 };

	memcpy(addr.ip, ip, sizeof addr.ip);
	for (size_t i = 0; i < space->prefix_count; i++) {
		const struct endpoint_prefix *prefix = &space->prefixes[i];

		if (memcmp(addr.ip, prefix->first.ip, 8) == 0 &&
		    (low_load(&addr) & ~host_mask(prefix)) == low_load(&prefix->first))
			return true;
	}
	return false;
}

bool endpoint_contains(const struct endpoint_space *space, const struct addr *addr)
{
	return addr->port >= space->port_first && addr->port <= space->port_last &&
	       endpoint_has_address(space, addr->ip);
}

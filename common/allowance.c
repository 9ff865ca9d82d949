#include "allowance.h"

#include <stdlib.h>

#include "siphash.h"
#include "sketch.h"

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

struct allowances {
	struct siphash_key key; /* so that nobody can aim at the buckets of others */
	sketch_bucket *pools;
	struct sketch *addresses; /* per pool */
};

struct allowances *allowances_new(uint16_t pools, const uint8_t secret[static 16])
{
	const struct siphash_key key = siphash_key_load(secret);
	struct allowances *allowances = calloc(1, sizeof *allowances);

	if (!allowances)
		return NULL;
	allowances->key = siphash_key_derive(&key, "allowance");
	allowances->pools = calloc(pools, sizeof *allowances->pools);
	allowances->addresses = calloc(pools, sizeof *allowances->addresses);
	if (!allowances->pools || !allowances->addresses) {
		allowances_free(allowances);
		return NULL;
	}
	return allowances;
}

void allowances_free(struct allowances *allowances)
{
	if (!allowances)
		return;
	free(allowances->pools);
	free(allowances->addresses);
	free(allowances);
}

void allowances_forget_pool(struct allowances *allowances, uint16_t pool)
{
	sketch_bucket_forget(&allowances->pools[pool]);
	sketch_forget(&allowances->addresses[pool]);
}

/* Rounded up, so that a rate is never exceeded. */
static uint64_t cost_ns(uint32_t octets, uint32_t octets_per_s)
{
	return ((uint64_t)octets * NS_PER_S + octets_per_s - 1) / octets_per_s;
}

bool allowance_take(struct allowances *allowances, const struct allowance *allowance, uint32_t octets, uint64_t now_ms)
{
	const uint64_t now_ns = now_ms * NS_PER_MS;
	const uint64_t light_ns = cost_ns(ALLOWANCE_LIGHT_OCTETS, ALLOWANCE_ADDRESS_RATE);
	const uint64_t hash = siphash_addr(&allowances->key, allowance->from, true);
	const struct sketch_price of_address = { cost_ns(octets, ALLOWANCE_ADDRESS_RATE), NS_PER_S };
	struct sketch *addresses = &allowances->addresses[allowance->pool];
	sketch_bucket *pool = &allowances->pools[allowance->pool];
	struct sketch_price of_pool;

	if (!allowance->octets_per_s)
		return false;
	of_pool.cost_ns = cost_ns(octets, allowance->octets_per_s);
	of_pool.depth_ns = sketch_taken(addresses, hash, now_ns) < light_ns ? NS_PER_S : NS_PER_S / 2;
	if (!sketch_bucket_take(pool, &of_pool, now_ns))
		return false;
	if (sketch_take(addresses, hash, &of_address, now_ns))
		return true;
	sketch_bucket_give_back(pool, of_pool.cost_ns);
	return false;
}

#include "limit.h"

#include <stddef.h>
#include <stdlib.h>

#include "siphash.h"
#include "sketch.h"

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

struct limit {
	struct siphash_key key; /* so that nobody can aim at the buckets of others */
	sketch_bucket *pools, *backends;
	struct sketch *prefixes; /* per pool, because their rates differ */
};

struct limit_rate limit_rate_make(uint32_t per_second)
{
	const uint64_t burst = per_second < LIMIT_BURST_MIN ? LIMIT_BURST_MIN : per_second;
	struct limit_rate rate = { 0 };

	if (per_second) {
		rate.cost_ns = (NS_PER_S + per_second - 1) / per_second;
		rate.depth_ns = burst * rate.cost_ns;
	}
	return rate;
}

struct limit *limit_new(uint16_t pools, uint16_t backends, const uint8_t secret[static 16])
{
	const struct siphash_key key = siphash_key_load(secret);
	struct limit *limit = calloc(1, sizeof *limit);

	if (!limit)
		return NULL;
	limit->key = siphash_key_derive(&key, "limit");
	limit->pools = calloc(pools, sizeof *limit->pools);
	limit->backends = calloc(backends, sizeof *limit->backends);
	limit->prefixes = calloc(pools, sizeof *limit->prefixes);
	if (!limit->pools || !limit->backends || !limit->prefixes) {
		limit_free(limit);
		return NULL;
	}
	return limit;
}

void limit_free(struct limit *limit)
{
	if (!limit)
		return;
	free(limit->pools);
	free(limit->backends);
	free(limit->prefixes);
	free(limit);
}

void limit_forget_pool(struct limit *limit, uint16_t pool)
{
	sketch_bucket_forget(&limit->pools[pool]);
	sketch_forget(&limit->prefixes[pool]);
}

void limit_forget_backend(struct limit *limit, uint16_t backend)
{
	sketch_bucket_forget(&limit->backends[backend]);
}

static struct sketch_price price_of(const struct limit_rate *rate)
{
	return (struct sketch_price){ rate->cost_ns, rate->depth_ns };
}

uint64_t limit_prefix_hash(const struct siphash_key *key, const struct addr *source)
{
	return addr_is_v4(source) ? siphash24(key, source->ip + 12, 24 / 8) : siphash24(key, source->ip, 56 / 8);
}

static bool source_take(struct limit *limit, const struct sketch_price *price, const struct limit_hello *hello,
			uint64_t now_ns)
{
	return !price->cost_ns ||
	       sketch_take(&limit->prefixes[hello->pool], limit_prefix_hash(&limit->key, hello->source), price, now_ns);
}

bool limit_admit(struct limit *limit, const struct limit_rates *rates, const struct limit_hello *hello, uint64_t now_ms)
{
	const uint64_t now_ns = now_ms * NS_PER_MS;
	const struct sketch_price of_pool = price_of(&rates->pool), of_backend = price_of(&rates->backend);
	const struct sketch_price of_prefix = price_of(&rates->prefix);
	sketch_bucket *pool = &limit->pools[hello->pool], *backend = &limit->backends[hello->backend];

	if (!sketch_bucket_take(pool, &of_pool, now_ns))
		return false;
	if (sketch_bucket_take(backend, &of_backend, now_ns)) {
		if (source_take(limit, &of_prefix, hello, now_ns))
			return true;
		sketch_bucket_give_back(backend, of_backend.cost_ns);
	}
	sketch_bucket_give_back(pool, of_pool.cost_ns);
	return false;
}

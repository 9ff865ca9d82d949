#include "limit.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "siphash.h"

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000, ROW_BUCKETS = 1 << LIMIT_ROW_BITS };
_Static_assert(LIMIT_ROWS *LIMIT_ROW_BITS <= 64, "one hash chooses a bucket in each row");

/* The time at which it is full again, ns. If that is past, it is full. */
typedef _Atomic uint64_t limit_bucket;

struct prefixes {
	limit_bucket rows[LIMIT_ROWS][ROW_BUCKETS];
};

struct limit {
	struct siphash_key key; /* so that nobody can aim at the buckets of others */
	limit_bucket *pools, *backends;
	struct prefixes *prefixes; /* per pool, because their rates differ */
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

static void bucket_forget(limit_bucket *bucket)
{
	/* Writing to buckets that were never written would only take up memory. */
	if (atomic_load_explicit(bucket, memory_order_relaxed))
		atomic_store_explicit(bucket, 0, memory_order_relaxed);
}

void limit_forget_pool(struct limit *limit, uint16_t pool)
{
	struct prefixes *prefixes = &limit->prefixes[pool];

	bucket_forget(&limit->pools[pool]);
	for (size_t row = 0; row < LIMIT_ROWS; row++)
		for (size_t i = 0; i < ROW_BUCKETS; i++)
			bucket_forget(&prefixes->rows[row][i]);
}

void limit_forget_backend(struct limit *limit, uint16_t backend)
{
	bucket_forget(&limit->backends[backend]);
}

/* The time of a bucket after one more ClientHello, if it is full again at `full_at`. */
static inline uint64_t charge(uint64_t full_at, const struct limit_rate *rate, uint64_t now_ns)
{
	return (full_at > now_ns ? full_at : now_ns) + rate->cost_ns;
}

static bool bucket_take(limit_bucket *bucket, const struct limit_rate *rate, uint64_t now_ns)
{
	uint64_t full_at = atomic_load_explicit(bucket, memory_order_relaxed), after;

	if (!rate->cost_ns)
		return true;
	do {
		after = charge(full_at, rate, now_ns);
		if (after > now_ns + rate->depth_ns)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(bucket, &full_at, after, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

static void bucket_give_back(limit_bucket *bucket, const struct limit_rate *rate)
{
	atomic_fetch_sub_explicit(bucket, rate->cost_ns, memory_order_relaxed);
}

static void bucket_raise(limit_bucket *bucket, uint64_t to)
{
	uint64_t full_at = atomic_load(bucket);

	while (full_at < to && !atomic_compare_exchange_weak(bucket, &full_at, to))
		;
}

static uint64_t prefix_hash(const struct siphash_key *key, const struct addr *source)
{
	return addr_is_v4(source) ? siphash24(key, source->ip + 12, 24 / 8) : siphash24(key, source->ip, 56 / 8);
}

/* The fullest bucket decides, so it is changed last, after the others are raised. The worker that wins this exchange
 * has seen, in every bucket, all that was admitted before. So two workers never count as one. When prefixes that share
 * a bucket race, the loser may be charged one too many. */
static bool prefix_take(struct prefixes *prefixes, uint64_t hash, const struct limit_rate *rate, uint64_t now_ns)
{
	limit_bucket *own[LIMIT_ROWS];
	uint64_t full_at, after;
	size_t fullest;

	for (size_t row = 0; row < LIMIT_ROWS; row++)
		own[row] = &prefixes->rows[row][hash >> row * LIMIT_ROW_BITS & (ROW_BUCKETS - 1)];
	do {
		full_at = UINT64_MAX;
		fullest = 0;
		for (size_t row = 0; row < LIMIT_ROWS; row++) {
			const uint64_t other = atomic_load(own[row]);
			if (other < full_at) {
				full_at = other;
				fullest = row;
			}
		}
		after = charge(full_at, rate, now_ns);
		if (after > now_ns + rate->depth_ns)
			return false;
		for (size_t row = 0; row < LIMIT_ROWS; row++)
			if (row != fullest)
				bucket_raise(own[row], after);
	} while (!atomic_compare_exchange_strong(own[fullest], &full_at, after));
	return true;
}

static bool source_take(struct limit *limit, const struct limit_rate *rate, const struct limit_hello *hello,
			uint64_t now_ns)
{
	return !rate->cost_ns ||
	       prefix_take(&limit->prefixes[hello->pool], prefix_hash(&limit->key, hello->source), rate, now_ns);
}

bool limit_admit(struct limit *limit, const struct limit_rates *rates, const struct limit_hello *hello, uint64_t now_ms)
{
	const uint64_t now_ns = now_ms * NS_PER_MS;
	limit_bucket *pool = &limit->pools[hello->pool], *backend = &limit->backends[hello->backend];

	if (!bucket_take(pool, &rates->pool, now_ns))
		return false;
	if (bucket_take(backend, &rates->backend, now_ns)) {
		if (source_take(limit, &rates->prefix, hello, now_ns))
			return true;
		bucket_give_back(backend, &rates->backend);
	}
	bucket_give_back(pool, &rates->pool);
	return false;
}

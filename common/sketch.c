#include "sketch.h"

#include <stddef.h>

_Static_assert(SKETCH_ROWS *SKETCH_ROW_BITS <= 64, "one hash chooses a bucket in each row");

void sketch_bucket_forget(sketch_bucket *bucket)
{
	/* Writing to buckets that were never written would only take up memory. */
	if (atomic_load_explicit(bucket, memory_order_relaxed))
		atomic_store_explicit(bucket, 0, memory_order_relaxed);
}

void sketch_forget(struct sketch *sketch)
{
	for (size_t row = 0; row < SKETCH_ROWS; row++)
		for (size_t i = 0; i < SKETCH_BUCKETS; i++)
			sketch_bucket_forget(&sketch->rows[row][i]);
}

/* The time of a bucket after the price is paid, if it is full again at `full_at`. */
static inline uint64_t charge(uint64_t full_at, const struct sketch_price *price, uint64_t now_ns)
{
	return (full_at > now_ns ? full_at : now_ns) + price->cost_ns;
}

bool sketch_bucket_take(sketch_bucket *bucket, const struct sketch_price *price, uint64_t now_ns)
{
	uint64_t full_at = atomic_load_explicit(bucket, memory_order_relaxed), after;

	if (!price->cost_ns)
		return true;
	do {
		after = charge(full_at, price, now_ns);
		if (after > now_ns + price->depth_ns)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(bucket, &full_at, after, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

void sketch_bucket_give_back(sketch_bucket *bucket, uint64_t cost_ns)
{
	atomic_fetch_sub_explicit(bucket, cost_ns, memory_order_relaxed);
}

static void bucket_raise(sketch_bucket *bucket, uint64_t to)
{
	uint64_t full_at = atomic_load(bucket);

	while (full_at < to && !atomic_compare_exchange_weak(bucket, &full_at, to))
		;
}

/* Finds the buckets of a source, and when the fullest of them is full again. Returns the row of that one. */
static size_t buckets_find(struct sketch *sketch, uint64_t hash, sketch_bucket *own[static SKETCH_ROWS],
			   uint64_t *full_at)
{
	size_t fullest = 0;

	*full_at = UINT64_MAX;
	for (size_t row = 0; row < SKETCH_ROWS; row++) {
		uint64_t other;

		own[row] = &sketch->rows[row][hash >> row * SKETCH_ROW_BITS & (SKETCH_BUCKETS - 1)];
		other = atomic_load(own[row]);
		if (other < *full_at) {
			*full_at = other;
			fullest = row;
		}
	}
	return fullest;
}

uint64_t sketch_taken(struct sketch *sketch, uint64_t hash, uint64_t now_ns)
{
	sketch_bucket *own[SKETCH_ROWS];
	uint64_t full_at;

	(void)buckets_find(sketch, hash, own, &full_at);
	return full_at > now_ns ? full_at - now_ns : 0;
}

/* The fullest bucket decides, so it is changed last, after the others are raised. The worker that wins this exchange
 * has seen, in every bucket, all that was taken before. So two workers never count as one. When sources that share a
 * bucket race, the loser may be charged too much. */
bool sketch_take(struct sketch *sketch, uint64_t hash, const struct sketch_price *price, uint64_t now_ns)
{
	sketch_bucket *own[SKETCH_ROWS];
	uint64_t full_at, after;
	size_t fullest;

	if (!price->cost_ns)
		return true;
	do {
		fullest = buckets_find(sketch, hash, own, &full_at);
		after = charge(full_at, price, now_ns);
		if (after > now_ns + price->depth_ns)
			return false;
		for (size_t row = 0; row < SKETCH_ROWS; row++)
			if (row != fullest)
				bucket_raise(own[row], after);
	} while (!atomic_compare_exchange_strong(own[fullest], &full_at, after));
	return true;
}

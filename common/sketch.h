/* Rates for more sources than could have a bucket each.
 *
 * A bucket is one word: the time at which it is full again. This is the generic cell rate algorithm (ITU-T I.371,
 * virtual scheduling). It holds exactly what a token bucket does, and needs no refill.
 *
 * A source has one bucket in each of SKETCH_ROWS rows. A keyed hash chooses them, and other sources share them. This is
 * a count-min sketch with conservative update (Estan, Varghese, 2002). A source is limited once even its fullest bucket
 * is empty. So no source gets more than its rate. One that takes little is limited only if in every row it meets
 * sources beyond theirs.
 *
 * Any thread. A zeroed sketch is full everywhere.
 */
#ifndef CIDLB_SKETCH_H
#define CIDLB_SKETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	SKETCH_ROWS = 4,
	SKETCH_ROW_BITS = 14, /* 16,384 buckets a row: 512 KiB, untouched where nothing is taken */
	SKETCH_BUCKETS = 1 << SKETCH_ROW_BITS,
};

/* The time at which it is full again, ns. If that is past, it is full. */
typedef _Atomic uint64_t sketch_bucket;

struct sketch {
	sketch_bucket rows[SKETCH_ROWS][SKETCH_BUCKETS];
};

/* What is taken: `cost_ns` from a bucket that holds `depth_ns`. A cost of 0 is always to be had. */
struct sketch_price {
	uint64_t cost_ns, depth_ns;
};

/* From one bucket. False: it holds too little, and nothing was taken. */
bool sketch_bucket_take(sketch_bucket *bucket, const struct sketch_price *price, uint64_t now_ns);
void sketch_bucket_give_back(sketch_bucket *bucket, uint64_t cost_ns);

/* From the buckets of the source with this hash. */
bool sketch_take(struct sketch *sketch, uint64_t hash, const struct sketch_price *price, uint64_t now_ns);

/* What the source has taken and not got back yet, ns. */
uint64_t sketch_taken(struct sketch *sketch, uint64_t hash, uint64_t now_ns);

/* Fills all buckets. Writes only to those that were written. */
void sketch_forget(struct sketch *sketch);
void sketch_bucket_forget(sketch_bucket *bucket);

#endif

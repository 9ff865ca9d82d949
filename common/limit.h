/* How many ClientHellos go on: per pool, per backend, per prefix of the source. They cost servers a handshake each and
 * come from addresses that have shown nothing. What belongs to a session never gets here.
 *
 * A bucket is one word, the time at which it is full again: the generic cell rate algorithm (ITU-T I.371, virtual
 * scheduling). It holds exactly what a token bucket does, needs no refill, and one compare-and-swap makes a rate hold
 * over all workers together.
 *
 * Prefixes (IPv4 /24, IPv6 /56: what one holder commonly has) are too many for a bucket each. A prefix has one bucket
 * in each of LIMIT_ROWS rows, chosen by a keyed hash, and shares each with others: a count-min sketch with conservative
 * update (Estan, Varghese, 2002). It is limited once even its fullest bucket is empty. So no prefix gets more than its
 * rate, and one that sends little is limited only if it meets prefixes beyond theirs in every row.
 */
#ifndef CIDLB_LIMIT_H
#define CIDLB_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"

enum {
	LIMIT_RATE_MAX = 1000000, /* ClientHellos per second */
	LIMIT_BURST_MIN = 2,      /* a handshake takes two: the second brings the cookie */
	LIMIT_ROWS = 4,
	LIMIT_ROW_BITS = 14, /* 16,384 buckets a row: 512 KiB per pool, untouched where no prefix is limited */
};

struct limit_rate {
	uint64_t cost_ns;  /* of one ClientHello; 0: unlimited */
	uint64_t depth_ns; /* of a full bucket: one second's worth, at least LIMIT_BURST_MIN ClientHellos */
};

/* 0..LIMIT_RATE_MAX; 0: unlimited. Rounded to the slower side. */
struct limit_rate limit_rate_make(uint32_t per_second);

/* What a pool allows: itself, each of its backends, each prefix. */
struct limit_rates {
	struct limit_rate pool, backend, prefix;
};

static inline bool limit_rates_limit(const struct limit_rates *rates)
{
	return rates->pool.cost_ns || rates->backend.cost_ns || rates->prefix.cost_ns;
}

/* The buckets of all pools and backends, by stable number; they outlive every reload. Shared by all workers. */
struct limit;

/* NULL: out of memory. */
struct limit *limit_new(uint16_t pools, uint16_t backends, const uint8_t secret[static 16]);
void limit_free(struct limit *limit);

/* Full buckets, where another is to have the number, and none uses it. */
void limit_forget_pool(struct limit *limit, uint16_t pool);
void limit_forget_backend(struct limit *limit, uint16_t backend);

struct limit_hello {
	uint16_t pool, backend; /* stable numbers */
	const struct addr *source;
};

/* True: within every rate, and charged to each. False: beyond one of them, and charged to none. Any thread; `now_ms`
 * need not be the same on all of them. */
bool limit_admit(struct limit *limit, const struct limit_rates *rates, const struct limit_hello *hello,
		 uint64_t now_ms);

#endif

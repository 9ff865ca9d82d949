/* Limits how many ClientHellos are forwarded: per pool, per backend, per prefix of the source. Each costs a server a
 * handshake, and comes from an address that has shown nothing. Datagrams of a session never get here.
 *
 * A bucket is one word: the time at which it is full again. This is the generic cell rate algorithm (ITU-T I.371,
 * virtual scheduling). It holds exactly what a token bucket does, and needs no refill. One compare-and-swap makes a
 * rate hold over all workers together.
 *
 * There are too many prefixes (IPv4 /24, IPv6 /56: what one holder commonly has) for a bucket each. So a prefix has one
 * bucket in each of LIMIT_ROWS rows. A keyed hash chooses them, and other prefixes share them. This is a count-min
 * sketch with conservative update (Estan, Varghese, 2002). A prefix is limited once even its fullest bucket is empty.
 * So no prefix gets more than its rate. One that sends little is limited only if in every row it meets prefixes beyond
 * theirs.
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

/* per_second: 0..LIMIT_RATE_MAX; 0: unlimited. Rounded to the slower side. */
struct limit_rate limit_rate_make(uint32_t per_second);

/* What a pool allows: in all, to each of its backends, to each prefix. */
struct limit_rates {
	struct limit_rate pool, backend, prefix;
};

static inline bool limit_rates_limit(const struct limit_rates *rates)
{
	return rates->pool.cost_ns || rates->backend.cost_ns || rates->prefix.cost_ns;
}

/* The buckets of all pools and backends, by uid. They outlive every reload, and all workers share them. */
struct limit;

/* NULL: out of memory. */
struct limit *limit_new(uint16_t pools, uint16_t backends, const uint8_t secret[static 16]);
void limit_free(struct limit *limit);

/* Fills the buckets of a uid that another pool or backend is to have. Only while none uses it. */
void limit_forget_pool(struct limit *limit, uint16_t pool);
void limit_forget_backend(struct limit *limit, uint16_t backend);

struct limit_hello {
	uint16_t pool, backend; /* uids */
	const struct addr *source;
};

/* True: within every rate, and charged to each. False: beyond one of them, and charged to none. Any thread. `now_ms`
 * need not be the same on all of them. */
bool limit_admit(struct limit *limit, const struct limit_rates *rates, const struct limit_hello *hello,
		 uint64_t now_ms);

#endif

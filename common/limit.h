/* Limits how many handshakes are forwarded: per pool, per backend, per prefix of the source. Each begins with a
 * ClientHello from an address that has shown nothing, and costs a server work. Datagrams of a session never get here,
 * and neither does what goes on with a handshake that was admitted (hello.h). So a device that is past its first
 * ClientHello does not compete with a flood, as long as its place in the memory of handshakes lasts.
 *
 * What remains: the first ClientHello does. Nothing in it tells a device from one who spoofs a source. If R handshakes
 * a second are allowed to a pool, and F of spoofed sources come, it gets through with a chance of some R / F, as does
 * each of its repetitions (commonly after 1, 3, 7, 15 and 31 s). A flood from few prefixes leaves the pool's rate
 * alone, because what a prefix is refused is charged to nobody else. So the rate of a pool is what its servers can
 * answer with cookies, and not what they can take in key exchanges.
 *
 * There are too many prefixes (IPv4 /24, IPv6 /56: what one holder commonly has) for a bucket each, so they have a
 * sketch (sketch.h). One compare-and-swap makes a rate hold over all workers together.
 */
#ifndef CIDLB_LIMIT_H
#define CIDLB_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "siphash.h"

enum {
	LIMIT_RATE_MAX = 1000000, /* handshakes per second */
	LIMIT_BURST_MIN = 2,      /* of a handshake whose place in memory is lost, the second ClientHello pays, too */
};

struct limit_rate {
	uint64_t cost_ns;  /* of one handshake; 0: unlimited */
	uint64_t depth_ns; /* of a full bucket: one second's worth, at least LIMIT_BURST_MIN handshakes */
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

/* A hash of the prefix that a source belongs to: IPv4 /24, IPv6 /56. */
uint64_t limit_prefix_hash(const struct siphash_key *key, const struct addr *source);

struct limit_hello {
	uint16_t pool, backend; /* uids */
	const struct addr *source;
};

/* True: within every rate, and charged to each. False: beyond one of them, and charged to none. Any thread. `now_ms`
 * need not be the same on all of them. */
bool limit_admit(struct limit *limit, const struct limit_rates *rates, const struct limit_hello *hello,
		 uint64_t now_ms);

#endif

/* What addresses that are not proven get beyond three times what they sent (ownership.h), in octets a second: per pool,
 * and per address and port. It is shared by all sessions and workers.
 *
 * A shared rate without a reserve is emptied by one greedy address. So half of the pool's rate is kept for addresses
 * that had less than ALLOWANCE_LIGHT_OCTETS of theirs: a device that has just moved, and asks for two blocks.
 */
#ifndef CIDLB_ALLOWANCE_H
#define CIDLB_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"

enum {
	ALLOWANCE_RATE_MAX = 1000000000, /* octets a second of a pool */
	ALLOWANCE_ADDRESS_RATE = 16384,  /* octets a second of one address and port */
	ALLOWANCE_LIGHT_OCTETS = 5120,
};

/* The buckets of all pools, by uid. They hold what one second brings, and outlive every reload. */
struct allowances;

/* NULL: out of memory. */
struct allowances *allowances_new(uint16_t pools, const uint8_t secret[static 16]);
void allowances_free(struct allowances *allowances);

/* Fills the buckets of a uid that another pool is to have. Only while none uses it. */
void allowances_forget_pool(struct allowances *allowances, uint16_t pool);

struct allowance {
	uint16_t pool;           /* uid */
	uint32_t octets_per_s;   /* of the pool: 0..ALLOWANCE_RATE_MAX; 0: nothing is to be had */
	const struct addr *from; /* the address */
};

/* True: `octets` are to be had, and are charged. Any thread. `now_ms` need not be the same on all of them. */
bool allowance_take(struct allowances *allowances, const struct allowance *allowance, uint32_t octets, uint64_t now_ms);

#endif

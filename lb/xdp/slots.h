/* When the program may send datagrams without a CID where the consistent hash leads, and the slots that it reads then.
 * Control thread.
 *
 * The packet path asks first what it knows of the source (path/hints.h): the server of its handshake. That is the one
 * of the hash, unless the hash has changed since: a server came or went, or has another weight. So when it changes,
 * the pool's datagrams are passed up for as long as a handshake of before may still be known. Where a pool learns
 * sessions (path/resumed.h) there may be sources at other servers at any time. It never is for the program. */
#ifndef CIDLB_XDP_SLOTS_H
#define CIDLB_XDP_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "path/table.h"
#include "xdp/fast_map.h"

/* All zero: this process has not published a table yet, and knows no handshakes. */
struct fast_hashing {
	struct fast_hashed_pool {
		uint64_t digest; /* of where the hash leads; 0: the pool's datagrams do not go by it alone */
		uint64_t settled_ms;
		bool written;     /* its slots */
	} pools[FAST_HASH_POOLS]; /* by uid */
	bool begun;
};

/* Before `table` is written for the program. Sets hashed[i] for each pool (by index) whose datagrams the program may
 * send by the slots, which are written then. `slots` has FAST_HASH_POOLS. */
void fast_hashing_look(struct fast_hashing *hashing, struct fast_slots *slots, const struct table *table,
		       uint64_t now_ms, bool hashed[static STATS_POOLS]);

/* True: fast_hashing_look() would set more than the last time. */
bool fast_hashing_is_due(const struct fast_hashing *hashing, uint64_t now_ms);

/* Writes where the hash of a pool leads. */
void fast_slots_write(struct fast_slots *out, const struct snapshot_pool *pool);

#endif

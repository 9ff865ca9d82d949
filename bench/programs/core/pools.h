/* Routing tables for the cases: a pool for each layout of CIDs, all of the same backends "b0", "b1", … with the server
 * ids 1, 2, … */
#ifndef CIDLB_BENCH_CORE_POOLS_H
#define CIDLB_BENCH_CORE_POOLS_H

#include "bench/lib/dice.h"
#include "common/snapshot.h"

enum pools_layout {
	POOLS_NONE,
	POOLS_HASH,      /* 8 octets */
	POOLS_NODE_ID,   /* 8 octets, the first is the id */
	POOLS_NODE_ID_2, /* … the first two */
	POOLS_NODE_ID_3, /* … the first three */
	/* Scheme quic-lb; server id and nonce, octets. */
	POOLS_PLAIN_2_6,
	POOLS_SINGLE_4_12, /* 16: one AES block */
	POOLS_FOUR_2_6,    /* three passes give the id */
	POOLS_FOUR_3_4,
	POOLS_FOUR_9_9,
	POOLS_FOUR_15_4, /* the longest CID; all four passes */
	POOLS_LAYOUTS,
};

/* Kept until pools_free(). */
const struct snapshot_pool *pools_get(enum pools_layout layout, size_t backends);
void pools_free(void);

/* A CID with the server id `number` as a server of the pool gives it out, or of random octets where CIDs have no id.
 * Returns its octets. */
size_t pools_mint(uint8_t cid[static LBCID_MAX_OCTETS], const struct snapshot_pool *pool, uint64_t number,
		  struct dice *dice);

/* An lbcid_random. */
int pools_random(void *dice, uint8_t *out, size_t len);

#endif

/* The peers of a server, found by address or by CID. It owns none of them. */
#ifndef CIDLB_BENCH_BACKEND_TABLE_H
#define CIDLB_BENCH_BACKEND_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/siphash.h"

struct peer;

enum { TABLE_BUCKETS = 1 << 14 };

struct table {
	struct siphash_key key;
	uint8_t cid_len; /* octets; 0: no peer is found by CID */
	struct peer *by_addr[TABLE_BUCKETS];
	struct peer *by_cid[TABLE_BUCKETS];
};

/* Return NULL if there is none. */
struct peer *table_find_addr(const struct table *table, const struct addr *addr);
struct peer *table_find_cid(const struct table *table, const uint8_t *cid);

/* Enters the peer under peer->addr, which must be free and must not change until the peer is dropped. */
void table_add_addr(struct table *table, struct peer *peer);
void table_drop_addr(struct table *table, struct peer *peer); /* does nothing if it is not in */

/* The same for peer->cid. */
void table_add_cid(struct table *table, struct peer *peer);
void table_drop_cid(struct table *table, struct peer *peer);

#endif

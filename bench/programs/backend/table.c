#include "bench/programs/backend/table.h"

#include <string.h>

#include "bench/programs/backend/peer.h"

static size_t addr_bucket(const struct table *table, const struct addr *addr)
{
	return siphash_addr(&table->key, addr, true) % TABLE_BUCKETS;
}

static size_t cid_bucket(const struct table *table, const uint8_t *cid)
{
	return siphash24(&table->key, cid, table->cid_len) % TABLE_BUCKETS;
}

struct peer *table_find_addr(const struct table *table, const struct addr *addr)
{
	struct peer *peer = table->by_addr[addr_bucket(table, addr)];

	while (peer && !addr_equal(&peer->addr, addr))
		peer = peer->next_by_addr;
	return peer;
}

struct peer *table_find_cid(const struct table *table, const uint8_t *cid)
{
	struct peer *peer = table->by_cid[cid_bucket(table, cid)];

	while (peer && memcmp(peer->cid, cid, table->cid_len) != 0)
		peer = peer->next_by_cid;
	return peer;
}

void table_add_addr(struct table *table, struct peer *peer)
{
	struct peer **head = &table->by_addr[addr_bucket(table, &peer->addr)];

	peer->next_by_addr = *head;
	*head = peer;
}

void table_drop_addr(struct table *table, struct peer *peer)
{
	struct peer **link = &table->by_addr[addr_bucket(table, &peer->addr)];

	while (*link && *link != peer)
		link = &(*link)->next_by_addr;
	if (*link)
		*link = peer->next_by_addr;
}

void table_add_cid(struct table *table, struct peer *peer)
{
	struct peer **head = &table->by_cid[cid_bucket(table, peer->cid)];

	peer->next_by_cid = *head;
	*head = peer;
}

void table_drop_cid(struct table *table, struct peer *peer)
{
	struct peer **link = &table->by_cid[cid_bucket(table, peer->cid)];

	while (*link && *link != peer)
		link = &(*link)->next_by_cid;
	if (*link)
		*link = peer->next_by_cid;
}

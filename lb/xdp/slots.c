#include "xdp/slots.h"

#include <string.h>

#include "common/hello.h"
#include "path/handshakes.h"
#include "xdp/fill_parts.h"

_Static_assert((int)FAST_SLOT_BITS == (int)RENDEZVOUS_SLOT_BITS, "a slot for each");

/* So long a handshake is known. A cookie that comes back late makes it that much longer. */
enum { SETTLE_MS = (HANDSHAKES_HINT_S + HELLO_LIFE_S) * 1000 };

static bool goes_by_hash(const struct table *table, size_t at)
{
	return fast_handles(&table->pools[at]) && table->snapshot->pools[at].protocol == POOL_DTLS &&
	       !table->pools[at].sessions;
}

/* Of all that snapshot_backend_of_hash() depends on, and of what is hashed. The order of the backends is none of it. */
static uint64_t digest_of(const struct snapshot_pool *pool)
{
	uint64_t digest = 1 + (uint64_t)pool->affinity;

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct snapshot_backend *backend = &pool->backends[i];
		const uint64_t row[] = { siphash24(&pool->hash_key, backend->name, strlen(backend->name)), backend->uid,
					 backend->weight, pool->accepts[i] };

		digest += siphash24(&pool->hash_key, row, sizeof row);
	}
	return digest;
}

void fast_slots_write(struct fast_slots *out, const struct snapshot_pool *pool)
{
	for (uint64_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		const uint16_t at = snapshot_backend_of_hash(pool, slot << (64 - FAST_SLOT_BITS));

		out->backend[slot] = at == SNAPSHOT_NO_BACKEND ? UINT16_MAX : pool->backends[at].uid;
	}
}

/* True: the hash has led there for long enough. */
static bool is_settled(struct fast_hashed_pool *known, uint64_t digest, uint64_t settled_ms, uint64_t now_ms)
{
	if (known->digest != digest)
		*known = (struct fast_hashed_pool){ .digest = digest, .settled_ms = settled_ms };
	return now_ms >= known->settled_ms;
}

void fast_hashing_look(struct fast_hashing *hashing, struct fast_slots *slots, const struct table *table,
		       uint64_t now_ms, bool hashed[static STATS_POOLS])
{
	const uint64_t settled_ms = hashing->begun ? now_ms + SETTLE_MS : now_ms;
	bool found[FAST_HASH_POOLS] = { false };

	for (size_t i = 0; i < table->snapshot->pool_count; i++) {
		const struct snapshot_pool *pool = &table->snapshot->pools[i];
		struct fast_hashed_pool *known = &hashing->pools[pool->uid % FAST_HASH_POOLS];

		hashed[i] = false;
		if (pool->uid >= FAST_HASH_POOLS || !goes_by_hash(table, i))
			continue;
		found[pool->uid] = true;
		hashed[i] = is_settled(known, digest_of(pool), settled_ms, now_ms) && pool->slots;
		if (hashed[i] && !known->written)
			fast_slots_write(&slots[pool->uid], pool);
		known->written = hashed[i];
	}
	for (size_t uid = 0; uid < FAST_HASH_POOLS; uid++)
		if (!found[uid])
			hashing->pools[uid] = (struct fast_hashed_pool){ 0 };
	hashing->begun = true;
}

bool fast_hashing_is_due(const struct fast_hashing *hashing, uint64_t now_ms)
{
	for (size_t uid = 0; uid < FAST_HASH_POOLS; uid++) {
		const struct fast_hashed_pool *known = &hashing->pools[uid];

		if (known->digest && !known->written && now_ms >= known->settled_ms)
			return true;
	}
	return false;
}

/* The cache of CIDs, filled by workers with what they have found out, and when it is emptied. */
#include <string.h>

#include "path/forward.h"
#include "xdp/cids.h"
#include "xdp/fast_priv.h"

static struct fast_cids cids_of(struct fast *fast)
{
	return (struct fast_cids){ fast_program_cids(fast->program), fast->key,
				   atomic_load_explicit(&fast->generation, memory_order_relaxed) };
}

/* The generation is that of the table that the worker routes with: it changes once no worker has another one. */
static void put(void *ctx, uint16_t pool, const uint8_t *cid, size_t len, uint16_t backend)
{
	const struct fast_cids cids = cids_of(ctx);

	fast_cids_put(&cids, pool, cid, len, backend);
}

static void forget(void *ctx, uint16_t pool, const uint8_t *cid, size_t len)
{
	const struct fast_cids cids = cids_of(ctx);

	fast_cids_forget(&cids, pool, cid, len);
}

void fast_cache_open(struct fast *fast)
{
	atomic_store_explicit(&fast->generation, 1, memory_order_relaxed);
	fast->cid_cache = (struct path_cid_cache){ put, forget, fast };
	for (unsigned i = 0; i < fast->worker_count; i++)
		worker_lend_cid_cache(fast->workers[i], &fast->cid_cache);
}

/* Numbers of generations come again. By then there must be nothing left of the first one that had it. */
void fast_cache_empty(struct fast *fast)
{
	uint16_t next = (uint16_t)(atomic_load_explicit(&fast->generation, memory_order_relaxed) + 1);
	struct fast_cid_set *sets = fast_program_cids(fast->program);

	if (next == 0) {
		for (size_t i = 0; i < FAST_CID_SETS; i++)
			for (size_t way = 0; way < FAST_CID_WAYS; way++)
				__atomic_store_n(&sets[i].at[way].meta, 0, __ATOMIC_RELAXED);
		next = 1;
	}
	atomic_store_explicit(&fast->generation, next, memory_order_relaxed);
}

/* What belongs together is hashed together; the sum does not depend on the order. */
struct digest {
	const struct siphash_key *key;
	uint64_t sum;
	const struct snapshot_pool *pool;
};

static void add(struct digest *digest, const void *octets, size_t len)
{
	digest->sum += siphash24(digest->key, octets, len);
}

static void add_id(void *ctx, const struct server_id *id, uint16_t backend)
{
	struct digest *digest = ctx;
	struct {
		uint32_t pool, backend, len;
		uint8_t octets[LBCID_MAX_ID_OCTETS + 1];
	} row = { .pool = digest->pool->uid, .backend = digest->pool->backends[backend].uid, .len = id->len };

	memcpy(row.octets, id->octets, id->len);
	add(digest, &row, sizeof row);
}

/* A CID that two servers have given out may be in the cache since before that was known. */
static void add_learned(struct digest *digest, const struct learned_servers *servers)
{
	const uint64_t head[] = { digest->pool->uid, learned_lengths(servers->cids),
				  atomic_load_explicit(&servers->cids->counts.shared, memory_order_relaxed) };

	add(digest, head, sizeof head);
	for (size_t i = 0; i < digest->pool->backend_count; i++) {
		const uint32_t row[] = { 1, digest->pool->uid, servers->members[i], digest->pool->backends[i].uid };

		add(digest, row, sizeof row);
	}
}

uint64_t fast_homes_digest(const struct fast *fast, const struct table *table)
{
	struct digest digest = { .key = &fast->homes_key };

	for (size_t i = 0; i < table->snapshot->pool_count; i++) {
		const struct snapshot_pool *pool = &table->snapshot->pools[i];
		const uint64_t layout[] = { 2, pool->uid, cid_layout_hash(&pool->layout, &fast->homes_key) };

		if (table->pools[i].forwarder != &forward_tunnel && table->pools[i].forwarder != &forward_dsr)
			continue;
		digest.pool = pool;
		add(&digest, layout, sizeof layout);
		if (table->pools[i].learned)
			add_learned(&digest, table->pools[i].learned);
		else if (pool->opens_cids)
			snapshot_each_id(pool, add_id, &digest);
	}
	return digest.sum;
}

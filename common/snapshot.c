#include <stdlib.h>
#include <string.h>

#include "snapshot_priv.h"

/* Server ids of three and more octets. An id is in the row of its hash, or in the next free row behind it. */
struct snapshot_ids {
	struct siphash_key key;
	size_t mask; /* rows - 1 */
	struct id_row {
		struct server_id id; /* len 0: free */
		uint16_t backend;
	} rows[];
};

/* A lighter hash than elsewhere. Nobody outside puts ids into the table, so made-up ids can only miss. It ends like
 * SplitMix64 (Steele, Lea, Flood, 2014), because ids are often consecutive numbers and one multiplication alone may set
 * them side by side. */
static inline size_t ids_row(const struct snapshot_ids *ids, const struct server_id *id)
{
	uint64_t words[2], hash;

	memcpy(words, id, sizeof words);
	hash = (words[0] ^ ids->key.k0) * 0xbf58476d1ce4e5b9 ^ (words[1] ^ ids->key.k1) * 0x94d049bb133111eb;
	hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9;
	hash = (hash ^ hash >> 27) * 0x94d049bb133111eb;
	return (hash ^ hash >> 31) & ids->mask;
}

static void ids_add(struct snapshot_ids *ids, const struct server_id *id, uint16_t backend)
{
	size_t row = ids_row(ids, id);

	while (ids->rows[row].id.len)
		row = (row + 1) & ids->mask;
	ids->rows[row] = (struct id_row){ *id, backend };
}

static struct snapshot_ids *ids_new(const struct siphash_key *key, size_t count)
{
	struct snapshot_ids *ids;
	size_t rows = 1;

	/* At least three quarters are empty, so that the search for an unknown id ends soon. */
	while (rows < 4 * count)
		rows <<= 1;
	ids = calloc(1, sizeof *ids + rows * sizeof ids->rows[0]);
	if (!ids)
		return NULL;
	ids->key = *key;
	ids->mask = rows - 1;
	return ids;
}

static bool pool_fill_ids(struct snapshot_pool *pool, const struct snapshot_pool_spec *spec)
{
	const struct siphash_key key = siphash_key_derive(&pool->hash_key, "ids");

	pool->id_octets = (uint8_t)cid_id_octets(&pool->layout);
	if (pool->id_octets == 1 || pool->id_octets == 2) {
		const size_t rows = (size_t)1 << 8 * pool->id_octets;
		pool->index_of_id = malloc(rows * sizeof *pool->index_of_id);
		for (size_t i = 0; pool->index_of_id && i < rows; i++)
			pool->index_of_id[i] = SNAPSHOT_NO_BACKEND;
	} else {
		pool->ids = ids_new(&key, spec->id_count);
	}
	if (!pool->index_of_id && !pool->ids)
		return false;
	for (size_t i = 0; i < spec->id_count; i++) {
		const struct snapshot_id *entry = &spec->ids[i];
		if (entry->id.len != pool->id_octets)
			continue;
		pool->led_to[entry->backend] = true;
		if (pool->ids)
			ids_add(pool->ids, &entry->id, entry->backend);
		else
			pool->index_of_id[snapshot_prefetch_id(pool, &entry->id)] = entry->backend;
	}
	return true;
}

void snapshot_each_id(const struct snapshot_pool *pool, snapshot_visit_id *visit, void *ctx)
{
	const size_t rows = pool->index_of_id ? (size_t)1 << 8 * pool->id_octets : pool->ids ? pool->ids->mask + 1 : 0;

	for (size_t row = 0; row < rows; row++) {
		struct server_id id = { .len = pool->id_octets };
		uint16_t backend;

		if (pool->index_of_id) {
			backend = pool->index_of_id[row];
			id.octets[0] = (uint8_t)(pool->id_octets == 1 ? row : row >> 8);
			id.octets[1] = (uint8_t)(pool->id_octets == 1 ? 0 : row);
		} else {
			id = pool->ids->rows[row].id;
			backend = id.len ? pool->ids->rows[row].backend : SNAPSHOT_NO_BACKEND;
		}
		if (backend != SNAPSHOT_NO_BACKEND)
			visit(ctx, &id, backend);
	}
}

static enum verdict verdict_of_cid(const struct snapshot_backend *backend)
{
	if (backend->admin == BACKEND_MAINT)
		return VERDICT_MAINT;
	if (backend->health == BACKEND_DOWN)
		return VERDICT_CID_DOWN;
	return backend->admin == BACKEND_DRAIN ? VERDICT_CID_DRAINING : VERDICT_CID;
}

static bool accepts_new(const struct snapshot_pool *pool, size_t at, enum backend_health health)
{
	const struct snapshot_backend *backend = &pool->backends[at];

	return (pool->led_to[at] || pool->id_octets == 0) &&
	       backend_accepts_new(health, backend->admin, backend->weight);
}

static void pool_fill_states(struct snapshot_pool *pool)
{
	for (size_t i = 0; i < pool->backend_count; i++) {
		pool->cid_verdict[i] = (uint8_t)verdict_of_cid(&pool->backends[i]);
		pool->accepts[i] = accepts_new(pool, i, pool->backends[i].health);
		pool->any_accepts |= pool->accepts[i];
	}
	if (pool->any_accepts || pool->all_down == ALL_DOWN_DROP)
		return;
	/* Health can be wrong, and there is nothing to lose. */
	for (size_t i = 0; i < pool->backend_count; i++) {
		pool->accepts[i] = accepts_new(pool, i, BACKEND_UP);
		pool->any_accepts |= pool->accepts[i];
	}
}

static bool pool_fill_uids(struct snapshot_pool *pool)
{
	for (size_t i = 0; i < pool->backend_count; i++) {
		if (pool->uid_count <= pool->backends[i].uid)
			pool->uid_count = (size_t)pool->backends[i].uid + 1;
	}
	pool->index_of_uid = malloc(pool->uid_count * sizeof *pool->index_of_uid);
	if (!pool->index_of_uid)
		return false;
	for (size_t uid = 0; uid < pool->uid_count; uid++)
		pool->index_of_uid[uid] = SNAPSHOT_NO_BACKEND;
	for (size_t i = 0; i < pool->backend_count; i++)
		pool->index_of_uid[pool->backends[i].uid] = (uint16_t)i;
	return true;
}

/* Fills in the names and backends of a pool, and the key that its name gives it. */
static bool pool_fill_backends(struct snapshot_pool *pool, const struct siphash_key *key,
			       const struct snapshot_pool_spec *spec)
{
	static const char label[] = "pool:";
	char *block =
		malloc(sizeof label + strlen(spec->name) + snapshot_names_octets(spec->backends, spec->backend_count));

	pool->names = block;
	pool->backends = calloc(spec->backend_count, sizeof *pool->backends);
	pool->led_to = calloc(spec->backend_count, sizeof *pool->led_to);
	pool->accepts = calloc(spec->backend_count, sizeof *pool->accepts);
	pool->cid_verdict = calloc(spec->backend_count, sizeof *pool->cid_verdict);
	if (!block || !pool->backends || !pool->led_to || !pool->accepts || !pool->cid_verdict)
		return false;
	snapshot_name_copy(&block, label);
	block--; /* the name follows the label: both are one string */
	pool->name = snapshot_name_copy(&block, spec->name);
	pool->hash_key = siphash_key_derive(key, pool->names);
	pool->backend_count = spec->backend_count;
	for (size_t i = 0; i < spec->backend_count; i++) {
		pool->backends[i] = spec->backends[i];
		pool->backends[i].name = snapshot_name_copy(&block, spec->backends[i].name);
	}
	return true;
}

static bool pool_build(struct snapshot_pool *pool, const struct siphash_key *key, const struct snapshot_pool_spec *spec,
		       const struct snapshot_pool *previous)
{
	struct siphash_key slots_key;

	pool->uid = spec->uid;
	pool->protocol = spec->protocol;
	pool->affinity = spec->affinity;
	pool->unknown_cid = spec->unknown_cid;
	pool->all_down = spec->all_down;
	pool->layout = cid_layout_share(&spec->layout);
	pool->reads_cids = spec->protocol == POOL_DTLS && spec->layout.scheme != CID_LAYOUT_NONE;
	pool->opens_cids = pool->reads_cids && spec->layout.scheme != CID_LAYOUT_LEARNED;
	pool->bad_marks = &bad_marks_always;
	if (!pool_fill_backends(pool, key, spec) || !pool_fill_uids(pool) || !pool_fill_ids(pool, spec))
		return false;
	pool_fill_states(pool);
	slots_key = siphash_key_derive(&pool->hash_key, "slots");
	pool->slots_owner = snapshot_slots_get(&slots_key, spec->backends, spec->backend_count,
					       previous ? previous->slots_owner : NULL);
	if (!pool->slots_owner)
		return false;
	if (snapshot_slots_are_whole(pool->slots_owner))
		pool->slots = &pool->slots_owner->table;
	return true;
}

static uint64_t home_hash(const struct siphash_key *key, uint16_t pool, uint16_t backend, const void *what,
			  uint8_t octets)
{
	uint8_t home[2 + 2 + sizeof(struct addr)] = { (uint8_t)(pool >> 8), (uint8_t)pool, (uint8_t)(backend >> 8),
						      (uint8_t)backend };

	memcpy(home + 4, what, octets);
	return siphash24(key, home, 4 + (size_t)octets);
}

/* A sum, so that the order does not matter. Addresses are longer than ids, so the two cannot be confused. */
static uint64_t homes_digest_of(const struct siphash_key *key, const struct snapshot_pool_spec *pool)
{
	const uint64_t reads = cid_layout_hash(&pool->layout, key);
	uint64_t digest = home_hash(key, pool->uid, SNAPSHOT_NO_BACKEND, &reads, sizeof reads);

	for (size_t i = 0; i < pool->backend_count; i++)
		digest +=
			home_hash(key, pool->uid, pool->backends[i].uid, &pool->backends[i].addr, sizeof(struct addr));
	for (size_t i = 0; i < pool->id_count; i++)
		digest += home_hash(key, pool->uid, pool->backends[pool->ids[i].backend].uid, pool->ids[i].id.octets,
				    pool->ids[i].id.len);
	return digest;
}

static const struct snapshot_pool *pool_named(const struct snapshot *snapshot, const char *name)
{
	for (size_t i = 0; snapshot && i < snapshot->pool_count; i++) {
		if (strcmp(snapshot->pools[i].name, name) == 0)
			return &snapshot->pools[i];
	}
	return NULL;
}

struct snapshot *snapshot_begin(const struct siphash_key *key, const struct snapshot_pool_spec *pools,
				size_t pool_count, const struct snapshot *previous)
{
	struct snapshot *snapshot = calloc(1, sizeof *snapshot);

	if (!snapshot)
		return NULL;
	snapshot->generation = previous ? previous->generation + 1 : 1;
	snapshot->key = *key;
	snapshot->pools = calloc(pool_count, sizeof *snapshot->pools);
	if (!snapshot->pools)
		goto fail;
	snapshot->pool_count = pool_count;
	for (size_t i = 0; i < pool_count; i++) {
		if (!pool_build(&snapshot->pools[i], key, &pools[i], pool_named(previous, pools[i].name)))
			goto fail;
		snapshot->homes_digest += homes_digest_of(key, &pools[i]);
	}
	return snapshot;
fail:
	snapshot_free(snapshot);
	return NULL;
}

struct snapshot *snapshot_build(const struct siphash_key *key, const struct snapshot_pool_spec *pools,
				size_t pool_count, const struct snapshot *previous)
{
	struct snapshot *snapshot = snapshot_begin(key, pools, pool_count, previous);

	if (!snapshot)
		return NULL;
	while (snapshot_go_on(snapshot))
		;
	for (size_t i = 0; i < pool_count; i++)
		snapshot->pools[i].slots = &snapshot->pools[i].slots_owner->table;
	return snapshot;
}

void snapshot_take_bad_sources(struct snapshot *snapshot, struct bad_sources *sources)
{
	snapshot->bad_sources = sources;
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		snapshot->pools[i].bad_sources = sources;
		snapshot->pools[i].bad_marks = bad_sources_marks(sources);
	}
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		struct snapshot_pool *pool = &snapshot->pools[i];
		free(pool->names);
		free(pool->backends);
		free(pool->led_to);
		free(pool->accepts);
		free(pool->cid_verdict);
		free(pool->index_of_uid);
		free(pool->index_of_id);
		free(pool->ids);
		snapshot_slots_drop(pool->slots_owner);
		cid_layout_drop(&pool->layout);
	}
	bad_sources_free(snapshot->bad_sources);
	free(snapshot->pools);
	free(snapshot);
}

size_t snapshot_prefetch_long_id(const struct snapshot_pool *pool, const struct server_id *id)
{
	const size_t row = ids_row(pool->ids, id);

	__builtin_prefetch(&pool->ids->rows[row]);
	return row;
}

uint16_t snapshot_backend_of_long_id(const struct snapshot_pool *pool, size_t row, const struct server_id *id)
{
	const struct snapshot_ids *ids = pool->ids;

	for (; ids->rows[row].id.len; row = (row + 1) & ids->mask) {
		if (memcmp(&ids->rows[row].id, id, sizeof *id) == 0)
			return ids->rows[row].backend;
	}
	return SNAPSHOT_NO_BACKEND;
}

/* The best of all that accept, scored one by one. For when so many are away that no rank of the slot accepts, and
 * before there are ranks. */
static uint16_t backend_by_scores(const struct snapshot_pool *pool, uint32_t slot)
{
	const uint64_t *hashes = pool->slots_owner->hashes;
	uint16_t best = SNAPSHOT_NO_BACKEND;
	uint64_t best_score = 0;

	for (size_t i = 0; i < pool->backend_count; i++) {
		if (!pool->accepts[i])
			continue;
		const uint64_t score = rendezvous_weigh(hashes[i], slot, pool->backends[i].weight);
		if (score > best_score ||
		    (score == best_score && strcmp(pool->backends[i].name, pool->backends[best].name) < 0)) {
			best = (uint16_t)i;
			best_score = score;
		}
	}
	return best;
}

uint16_t snapshot_backend_of_hash(const struct snapshot_pool *pool, uint64_t hash)
{
	const uint32_t slot = rendezvous_slot(hash);
	uint16_t backend;

	if (!pool->any_accepts)
		return SNAPSHOT_NO_BACKEND;
	if (!pool->slots)
		return backend_by_scores(pool, slot);
	backend = pool->slots->first[slot];
	if (pool->accepts[backend])
		return backend;
	/* No rank is RENDEZVOUS_NONE before one that accepts. A backend that accepts has weight, and short ranks hold
	 * all members with weight. */
	for (size_t i = 0; i < RENDEZVOUS_DEPTH - 1; i++) {
		backend = pool->slots->further[slot][i];
		if (pool->accepts[backend])
			return backend;
	}
	return backend_by_scores(pool, slot);
}

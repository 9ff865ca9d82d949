#include "xdp/cids.h"

#include <stdbool.h>
#include <string.h>

/* A CID as the program compares it: octets, zeros up to the twentieth, length, pool. */
struct key {
	__u64 words[3];
	uint64_t hash;
};

static struct key key_of(const struct fast_cids *cids, uint16_t pool, const uint8_t *cid, size_t len)
{
	struct key key = { { 0 }, 0 };
	uint8_t octets[sizeof key.words] = { 0 };

	memcpy(octets, cid, len);
	octets[FAST_CID_OCTETS] = (uint8_t)len;
	octets[FAST_CID_OCTETS + 1] = (uint8_t)pool;
	memcpy(key.words, octets, sizeof key.words);
	key.hash = fast_hash_cid(cids->key, key.words);
	return key;
}

static struct fast_cid_set *set_of(const struct fast_cids *cids, const struct key *key)
{
	return &cids->sets[key->hash & (FAST_CID_SETS - 1)];
}

static uint64_t load(const __u64 *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static bool has(const struct fast_cid *entry, const struct key *key)
{
	return load(&entry->cid[0]) == key->words[0] && load(&entry->cid[1]) == key->words[1] &&
	       load(&entry->cid[2]) == key->words[2];
}

static struct fast_cid *find(struct fast_cid_set *set, const struct key *key)
{
	for (size_t i = 0; i < FAST_CID_WAYS; i++)
		if (load(&set->at[i].meta) && has(&set->at[i], key))
			return &set->at[i];
	return NULL;
}

/* One that is free or of another generation; else one that nobody can foretell. */
static struct fast_cid *find_room(const struct fast_cids *cids, struct fast_cid_set *set, const struct key *key)
{
	for (size_t i = 0; i < FAST_CID_WAYS; i++) {
		const uint64_t meta = load(&set->at[i].meta);

		if (!meta || (uint16_t)(meta >> 16) != cids->generation)
			return &set->at[i];
	}
	return &set->at[key->hash >> 40 & (FAST_CID_WAYS - 1)];
}

void fast_cids_put(const struct fast_cids *cids, uint16_t pool, const uint8_t *cid, size_t len, uint16_t backend)
{
	const struct key key = key_of(cids, pool, cid, len);
	struct fast_cid_set *set = set_of(cids, &key);
	const uint64_t meta = fast_cid_meta(key.hash, cids->generation, backend);
	struct fast_cid *entry = find(set, &key);

	if (!entry)
		entry = find_room(cids, set, &key);
	else if (load(&entry->meta) == meta)
		return;
	__atomic_store_n(&entry->meta, 0, __ATOMIC_RELEASE);
	for (size_t i = 0; i < 3; i++)
		__atomic_store_n(&entry->cid[i], key.words[i], __ATOMIC_RELEASE);
	__atomic_store_n(&entry->meta, meta, __ATOMIC_RELEASE);
}

void fast_cids_forget(const struct fast_cids *cids, uint16_t pool, const uint8_t *cid, size_t len)
{
	const struct key key = key_of(cids, pool, cid, len);
	struct fast_cid *entry = find(set_of(cids, &key), &key);

	if (entry)
		__atomic_store_n(&entry->meta, 0, __ATOMIC_RELEASE);
}

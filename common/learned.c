#include <string.h>

#include "learned_news.h"
#include "learned_priv.h"

enum { CHECK_BITS = LEARNED_LAST_AT - LEARNED_CHECK_AT };

static uint32_t buckets_for(uint32_t max_cids)
{
	return (uint32_t)(((uint64_t)max_cids * LEARNED_PER_16 / 16 + LEARNED_WAYS - 1) / LEARNED_WAYS);
}

size_t learned_octets(uint32_t max_cids)
{
	return sizeof(struct learned_block) + buckets_for(max_cids) * sizeof(struct learned_bucket);
}

const uint8_t learned_magic[8] = "cidlbLRN";

uint64_t learned_check(const struct learned_block *block)
{
	const struct siphash_key key = siphash_key_load(block->secret);

	return siphash24(&key, block, offsetof(struct learned_block, check));
}

void learned_use(struct learned *learned, struct learned_block *block)
{
	memset(learned, 0, sizeof *learned);
	learned->block = block;
	learned->buckets = buckets_for(block->max_cids);
	learned->key = siphash_key_load(block->secret);
}

void learned_begin(struct learned *learned, void *memory, uint32_t max_cids, const uint8_t secret[static 16])
{
	struct learned_block *block = memory;

	memcpy(block->magic, learned_magic, sizeof learned_magic);
	block->version = LEARNED_FORM;
	block->max_cids = max_cids;
	memcpy(block->secret, secret, sizeof block->secret);
	block->check = learned_check(block);
	learned_use(learned, block);
}

uint64_t learned_state(const struct learned_place *place, struct learned_by by)
{
	const uint64_t state = (uint64_t)place->len << LEARNED_LEN_AT | (uint64_t)by.last << LEARNED_LAST_AT |
			       (uint64_t)by.before << LEARNED_BEFORE_AT;
	const uint64_t check = (place->hash ^ state) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - CHECK_BITS);

	return state | check << LEARNED_CHECK_AT;
}

bool learned_claim(struct learned_entry *entry, uint64_t state)
{
	return atomic_compare_exchange_strong_explicit(&entry->state, &state, state | LEARNED_WRITING,
						       memory_order_acquire, memory_order_relaxed);
}

/* Another server for a CID that is there is written at once, and so never half. */
static void write_at(struct learned_entry *entry, uint64_t writing, const struct learned_place *place, uint64_t state)
{
	if (atomic_load_explicit(&entry->hash, memory_order_relaxed) != place->hash) {
		atomic_store_explicit(&entry->state, writing, memory_order_release);
		atomic_store_explicit(&entry->hash, place->hash, memory_order_release);
	}
	atomic_store_explicit(&entry->state, state, memory_order_release);
}

static struct learned_entry *kept_of(const struct learned *learned, const struct learned_entry *entry)
{
	const size_t at = (size_t)(entry - learned->block->buckets[0].ways);

	return &learned->kept->buckets[at / LEARNED_WAYS].ways[at % LEARNED_WAYS];
}

void learned_write(struct learned *learned, struct learned_entry *entry, uint64_t was,
		   const struct learned_place *place, struct learned_by by)
{
	const uint64_t writing = (was | LEARNED_WRITING) & LEARNED_VERSION;
	const uint64_t state = learned_state(place, by) | ((writing + 1) & LEARNED_VERSION);

	if (learned->kept)
		write_at(kept_of(learned, entry), writing, place, state);
	write_at(entry, writing, place, state);
}

static void release(struct learned_entry *entry, uint64_t was)
{
	atomic_store_explicit(&entry->state, was, memory_order_release);
}

static void length_add(struct learned *learned, uint8_t len)
{
	atomic_fetch_add_explicit(&learned->of_length[len], 1, memory_order_relaxed);
}

void learned_count_length(struct learned *learned, uint8_t len)
{
	length_add(learned, len);
	atomic_fetch_or_explicit(&learned->lengths, UINT32_C(1) << len, memory_order_relaxed);
}

static void length_drop(struct learned *learned, uint8_t len)
{
	atomic_fetch_sub_explicit(&learned->of_length[len], 1, memory_order_relaxed);
}

void learned_erase(struct learned *learned, struct learned_entry *entry, uint64_t was)
{
	static const struct learned_place nowhere;

	length_drop(learned, learned_len_of(was));
	learned_write(learned, entry, was, &nowhere, (struct learned_by){ LEARNED_NOBODY, LEARNED_NOBODY });
}

static unsigned bits_of(uint32_t set)
{
	unsigned bits = 0;

	for (; set; set &= set - 1)
		bits++;
	return bits;
}

/* True: CIDs of this length may be in the table. */
static bool length_allow(struct learned *learned, uint8_t len)
{
	uint32_t lengths = learned_lengths(learned);

	while (!(lengths >> len & 1)) {
		if (bits_of(lengths) >= LEARNED_LENGTHS)
			return false;
		if (atomic_compare_exchange_weak(&learned->lengths, &lengths, lengths | UINT32_C(1) << len))
			break;
	}
	return true;
}

void learned_tidy(struct learned *learned)
{
	for (uint8_t len = 1; len <= LEARNED_CID_MAX; len++) {
		const uint32_t bit = UINT32_C(1) << len;

		if (!(learned_lengths(learned) & bit) || atomic_load(&learned->of_length[len]))
			continue;
		atomic_fetch_and(&learned->lengths, ~bit);
		if (atomic_load(&learned->of_length[len]))
			atomic_fetch_or(&learned->lengths, bit);
	}
}

uint32_t learned_count_of(const struct learned *learned, uint8_t len)
{
	return atomic_load_explicit(&learned->of_length[len], memory_order_relaxed);
}

uint32_t learned_count(const struct learned *learned)
{
	uint32_t count = 0;

	for (uint8_t len = 1; len <= LEARNED_CID_MAX; len++)
		count += learned_count_of(learned, len);
	return count;
}

/* The entry of a CID in a bucket, as it was seen, or NULL. Which way it is in nobody can predict, so all are compared.
 */
static inline struct learned_entry *entry_in(const struct learned *learned, uint32_t bucket, uint64_t hash, uint8_t len,
					     struct learned_seen *seen)
{
	struct learned_bucket *in = &learned->block->buckets[bucket];
	unsigned same = 0;

	for (int way = 0; way < LEARNED_WAYS; way++)
		same |= (unsigned)(atomic_load_explicit(&in->ways[way].hash, memory_order_relaxed) == hash) << way;
	for (; same; same &= same - 1) {
		struct learned_entry *entry = &in->ways[__builtin_ctz(same)];

		if (learned_read(entry, seen) && seen->hash == hash && learned_len_of(seen->state) == len)
			return entry;
	}
	return NULL;
}

/* Says that it was asked for, without writing each time. */
static inline bool find_in(const struct learned *learned, uint32_t bucket, uint64_t hash, uint8_t len,
			   struct learned_by *by)
{
	struct learned_seen seen;
	struct learned_entry *entry = entry_in(learned, bucket, hash, len, &seen);

	if (!entry)
		return false;
	if (!(seen.state & LEARNED_ASKED))
		atomic_fetch_or_explicit(&entry->state, LEARNED_ASKED, memory_order_relaxed);
	*by = learned_by_of(seen.state);
	return true;
}

static struct learned_place place_at(const struct learned *learned, uint64_t hash, uint8_t len)
{
	return (struct learned_place){
		.hash = hash,
		.buckets = { learned_first_bucket(learned, hash), learned_second_bucket(learned, hash) },
		.len = len,
	};
}

struct learned_place learned_look(const struct learned *learned, const uint8_t *cid, size_t len)
{
	const uint64_t hash = siphash24(&learned->key, cid, len);

	__builtin_prefetch(&learned->block->buckets[learned_first_bucket(learned, hash)]);
	return place_at(learned, hash, (uint8_t)len);
}

bool learned_find(const struct learned *learned, const struct learned_place *place, struct learned_by *by)
{
	return find_in(learned, place->buckets[0], place->hash, place->len, by) ||
	       find_in(learned, place->buckets[1], place->hash, place->len, by);
}

void learned_find_all(const struct learned *learned, struct learned_asked *asked, struct learned_by *by, size_t count)
{
	const struct learned_bucket *buckets = learned->block->buckets;
	uint8_t left[LEARNED_AT_ONCE];
	size_t seconds = 0;

	for (size_t i = 0; i < count; i++) {
		asked[i].hash = siphash24(&learned->key, asked[i].cid, asked[i].len);
		__builtin_prefetch(&buckets[learned_first_bucket(learned, asked[i].hash)]);
	}
	for (size_t i = 0; i < count; i++) {
		const uint64_t hash = asked[i].hash;

		by[i] = (struct learned_by){ LEARNED_NOBODY, LEARNED_NOBODY };
		if (find_in(learned, learned_first_bucket(learned, hash), hash, asked[i].len, &by[i]))
			continue;
		left[seconds++] = (uint8_t)i;
		__builtin_prefetch(&buckets[learned_second_bucket(learned, hash)]);
	}
	for (size_t i = 0; i < seconds; i++) {
		const uint64_t hash = asked[left[i]].hash;

		(void)find_in(learned, learned_second_bucket(learned, hash), hash, asked[left[i]].len, &by[left[i]]);
	}
}

/* The entry of a CID, as it was seen, or NULL. */
static struct learned_entry *entry_find(const struct learned *learned, const struct learned_place *place,
					struct learned_seen *seen)
{
	struct learned_entry *entry = entry_in(learned, place->buckets[0], place->hash, place->len, seen);

	return entry ? entry : entry_in(learned, place->buckets[1], place->hash, place->len, seen);
}

/* A free entry of the bucket, or NULL. *state: what it says. */
static struct learned_entry *free_in(const struct learned *learned, uint32_t bucket, uint64_t *state)
{
	for (int way = 0; way < LEARNED_WAYS; way++) {
		struct learned_entry *entry = &learned->block->buckets[bucket].ways[way];

		*state = atomic_load_explicit(&entry->state, memory_order_relaxed);
		if (learned_len_of(*state) == 0 && !(*state & LEARNED_WRITING))
			return entry;
	}
	return NULL;
}

/* Moves one entry of the bucket to its other bucket, if that has room, and returns its place, claimed. It is there
 * twice for a moment, so that who looks for it finds it but for bad luck. */
static struct learned_entry *move_on(struct learned *learned, uint32_t bucket, uint64_t *state)
{
	for (int way = 0; way < LEARNED_WAYS; way++) {
		struct learned_entry *entry = &learned->block->buckets[bucket].ways[way], *other;
		struct learned_place place;
		struct learned_seen seen;
		uint64_t free_state;
		uint32_t first;

		if (!learned_read(entry, &seen) || learned_len_of(seen.state) == 0)
			continue;
		place = (struct learned_place){ .hash = seen.hash, .len = learned_len_of(seen.state) };
		first = learned_first_bucket(learned, seen.hash);
		other = free_in(learned, first == bucket ? learned_second_bucket(learned, seen.hash) : first,
				&free_state);
		if (!other || !learned_claim(entry, seen.state))
			continue;
		*state = seen.state;
		if (learned_claim(other, free_state)) {
			learned_write(learned, other, free_state, &place, learned_by_of(seen.state));
			return entry;
		}
		release(entry, seen.state);
	}
	return NULL;
}

/* CLOCK, among the entries of both buckets. Returns one, claimed, whose CID is forgotten; NULL: others are at it. */
static struct learned_entry *evict(struct learned *learned, const uint32_t buckets[static 2], uint64_t *state)
{
	enum { ENTRIES = 2 * LEARNED_WAYS };
	const unsigned hand = atomic_fetch_add_explicit(&learned->hand, 1, memory_order_relaxed);

	for (unsigned i = 0; i < 2 * ENTRIES; i++) {
		const unsigned at = (hand + i) % ENTRIES;
		struct learned_entry *entry =
			&learned->block->buckets[buckets[at / LEARNED_WAYS]].ways[at % LEARNED_WAYS];

		*state = atomic_load_explicit(&entry->state, memory_order_relaxed);
		if (*state & LEARNED_ASKED) {
			atomic_fetch_and_explicit(&entry->state, ~LEARNED_ASKED, memory_order_relaxed);
			continue;
		}
		if ((*state & LEARNED_WRITING) || !learned_claim(entry, *state))
			continue;
		if (learned_len_of(*state)) {
			length_drop(learned, learned_len_of(*state));
			atomic_fetch_add_explicit(&learned->counts.evicted, 1, memory_order_relaxed);
		}
		return entry;
	}
	return NULL;
}

/* An entry to write to, claimed, or NULL. */
static struct learned_entry *room_for(struct learned *learned, const struct learned_place *place, uint64_t *state)
{
	const uint32_t buckets[] = { learned_first_bucket(learned, place->hash),
				     learned_second_bucket(learned, place->hash) };
	struct learned_entry *entry;

	for (int i = 0; i < 2; i++) {
		entry = free_in(learned, buckets[i], state);
		if (entry && learned_claim(entry, *state))
			return entry;
	}
	for (int i = 0; i < 2; i++) {
		entry = move_on(learned, buckets[i], state);
		if (entry)
			return entry;
	}
	return evict(learned, buckets, state);
}

void learned_put(struct learned *learned, const struct learned_place *place, struct learned_by by)
{
	struct learned_entry *entry;
	uint64_t state;

	do {
		entry = room_for(learned, place, &state);
	} while (!entry);
	learned_write(learned, entry, state, place, by);
	length_add(learned, place->len);
}

static enum learned_added add(struct learned *learned, const uint8_t *cid, size_t len, uint16_t member, bool told)
{
	const struct learned_place place = learned_look(learned, cid, len);
	struct learned_by by = { member, LEARNED_NOBODY };
	struct learned_seen seen;
	struct learned_entry *entry;

	while ((entry = entry_find(learned, &place, &seen))) {
		by.before = learned_by_of(seen.state).last;
		if (by.before == member || (told && learned_by_of(seen.state).before == member))
			return LEARNED_KNOWN;
		if (!learned_claim(entry, seen.state))
			continue;
		learned_write(learned, entry, seen.state, &place, by);
		atomic_fetch_add_explicit(&learned->counts.shared, 1, memory_order_relaxed);
		return LEARNED_SHARED;
	}
	if (!length_allow(learned, place.len)) {
		atomic_fetch_add_explicit(&learned->counts.refused, 1, memory_order_relaxed);
		return LEARNED_REFUSED;
	}
	learned_put(learned, &place, by);
	atomic_fetch_add_explicit(&learned->counts.added, 1, memory_order_relaxed);
	return LEARNED_ADDED;
}

enum learned_added learned_add(struct learned *learned, const uint8_t *cid, size_t len, uint16_t member)
{
	const enum learned_added added = add(learned, cid, len, member, false);

	if (learned->news && (added == LEARNED_ADDED || added == LEARNED_SHARED))
		learned_news_post(learned->news, cid, len, member);
	return added;
}

enum learned_added learned_add_told(struct learned *learned, const uint8_t *cid, size_t len, uint16_t member)
{
	return add(learned, cid, len, member, true);
}

/* A table of learned CIDs that another process left. */
#include <string.h>

#include "learned_priv.h"

static struct learned_place place_in(const struct learned *learned, const struct learned_seen *seen)
{
	return learned_place_at(learned, seen->hash, learned_len_of(seen->state));
}

/* The state is one that belongs to this hash, in this bucket. */
static bool is_whole(const struct learned *learned, const struct learned_seen *seen, uint32_t bucket)
{
	const struct learned_place place = place_in(learned, seen);
	const struct learned_by by = learned_by_of(seen->state);
	const uint64_t but = LEARNED_VERSION | LEARNED_ASKED;

	return place.len > 0 && place.len <= LEARNED_CID_MAX &&
	       (place.buckets[0] == bucket || place.buckets[1] == bucket) && by.last < LEARNED_MEMBERS &&
	       (by.before < LEARNED_MEMBERS || by.before == LEARNED_NOBODY) &&
	       (seen->state & ~but) == learned_state(&place, by);
}

static struct learned_seen look(const struct learned_entry *entry)
{
	return (struct learned_seen){ atomic_load_explicit(&entry->hash, memory_order_relaxed),
				      atomic_load_explicit(&entry->state, memory_order_relaxed) };
}

static const char *fault_of_head(const struct learned_block *block, size_t octets)
{
	if (octets < sizeof *block || memcmp(block->magic, learned_magic, sizeof learned_magic) != 0)
		return "it is none";
	if (block->version != LEARNED_FORM)
		return "it is another version's";
	if (block->check != learned_check(block))
		return "its head is damaged";
	if (block->max_cids < LEARNED_MIN_CIDS || block->max_cids > LEARNED_MAX_CIDS ||
	    octets != learned_octets(block->max_cids))
		return "its size is wrong";
	return NULL;
}

static const char *fault_of_entries(const struct learned *learned)
{
	uint32_t lengths = 0;
	unsigned count = 0;

	for (uint32_t i = 0; i < learned->buckets; i++)
		for (int way = 0; way < LEARNED_WAYS; way++) {
			const struct learned_seen seen = look(&learned->block->buckets[i].ways[way]);
			const uint8_t len = learned_len_of(seen.state);

			if (seen.state & LEARNED_WRITING || (len == 0 && seen.hash == 0))
				continue;
			if (!is_whole(learned, &seen, i))
				return "it has values that none has";
			lengths |= UINT32_C(1) << len;
		}
	for (; lengths; lengths &= lengths - 1)
		count++;
	return count <= LEARNED_LENGTHS ? NULL : "it has CIDs of too many lengths";
}

/* Whoever wrote was killed. Until the hash was written, the entry was what it had been. */
static void end_writing(struct learned_entry *entry, bool whole, const struct learned_seen *seen)
{
	if (!whole)
		atomic_store_explicit(&entry->hash, 0, memory_order_relaxed);
	atomic_store_explicit(&entry->state, whole ? seen->state & ~LEARNED_WRITING : 0, memory_order_relaxed);
}

const char *learned_resume(struct learned *learned, void *memory, size_t octets)
{
	struct learned_block *block = memory;
	const char *fault = fault_of_head(block, octets);

	if (fault)
		return fault;
	learned_use(learned, block);
	fault = fault_of_entries(learned);
	for (uint32_t i = 0; !fault && i < learned->buckets; i++)
		for (int way = 0; way < LEARNED_WAYS; way++) {
			struct learned_entry *entry = &block->buckets[i].ways[way];
			const struct learned_seen seen = look(entry);
			const bool whole = is_whole(learned, &seen, i);

			if (seen.state & LEARNED_WRITING)
				end_writing(entry, whole, &seen);
			if (whole)
				learned_count_length(learned, learned_len_of(seen.state));
		}
	return fault;
}

uint32_t learned_max_cids(const struct learned *learned)
{
	return learned->block->max_cids;
}

const uint8_t *learned_secret(const struct learned *learned)
{
	return learned->block->secret;
}

void learned_copy(struct learned *to, const struct learned *from)
{
	for (size_t i = 0; i < LEARNED_MEMBERS; i++)
		to->block->members[i] = from->block->members[i];
	for (uint32_t i = 0; i < from->buckets; i++)
		for (int way = 0; way < LEARNED_WAYS; way++) {
			const struct learned_seen seen = look(&from->block->buckets[i].ways[way]);
			const struct learned_place place = place_in(to, &seen);

			if (place.len == 0)
				continue;
			learned_put(to, &place, learned_by_of(seen.state));
			atomic_fetch_or(&to->lengths, UINT32_C(1) << place.len);
		}
}

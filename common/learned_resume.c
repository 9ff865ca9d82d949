/* A table of learned CIDs that another process left. */
#include <string.h>

#include "learned_priv.h"

static struct learned_place place_in(const struct learned_seen *seen)
{
	return (struct learned_place){ .hash = seen->hash, .len = learned_len_of(seen->state) };
}

static bool is_known(const struct learned *learned, uint16_t member)
{
	return member < LEARNED_MEMBERS && atomic_load_explicit(&learned->block->members[member], memory_order_relaxed);
}

/* The state is one that belongs to this hash, in this bucket. */
static bool is_whole(const struct learned *learned, const struct learned_seen *seen, uint32_t bucket)
{
	const struct learned_place place = place_in(seen);
	const struct learned_by by = learned_by_of(seen->state);
	const uint64_t but = LEARNED_VERSION | LEARNED_ASKED;

	return place.len > 0 && place.len <= LEARNED_CID_MAX &&
	       (learned_first_bucket(learned, seen->hash) == bucket ||
		learned_second_bucket(learned, seen->hash) == bucket) &&
	       is_known(learned, by.last) && (is_known(learned, by.before) || by.before == LEARNED_NOBODY) &&
	       (seen->state & ~but) == learned_state(&place, by);
}

/* Free, or half written by somebody who was killed. */
static bool is_nothing(const struct learned_seen *seen)
{
	static const struct learned_place nowhere;
	const uint64_t state = seen->state & ~(LEARNED_VERSION | LEARNED_ASKED);

	if (seen->state & LEARNED_WRITING)
		return state == 0;
	return seen->hash == 0 &&
	       (state == 0 || state == learned_state(&nowhere, (struct learned_by){ LEARNED_NOBODY, LEARNED_NOBODY }));
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

static const char *fault_of_members(const struct learned_block *block)
{
	for (uint16_t i = 0; i < LEARNED_MEMBERS; i++) {
		const uint64_t name = atomic_load_explicit(&block->members[i], memory_order_relaxed);

		if (name && name != learned_named(name >> LEARNED_NAME_CHECK_BITS, i))
			return "its list of servers is damaged";
	}
	return NULL;
}

static const char *fault_of_entries(const struct learned *learned)
{
	uint32_t lengths = 0;
	unsigned count = 0;

	for (uint32_t i = 0; i < learned->buckets; i++)
		for (int way = 0; way < LEARNED_WAYS; way++) {
			const struct learned_seen seen = look(&learned->block->buckets[i].ways[way]);

			if (is_nothing(&seen))
				continue;
			if (!is_whole(learned, &seen, i))
				return "it has values that none has";
			lengths |= UINT32_C(1) << learned_len_of(seen.state);
		}
	for (; lengths; lengths &= lengths - 1)
		count++;
	return count <= LEARNED_LENGTHS ? NULL : "it has CIDs of too many lengths";
}

/* Whoever wrote was killed. Until the state was written, the entry was what it had been. */
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
	fault = fault_of_members(block);
	if (!fault)
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

void learned_load(struct learned *learned, void *memory)
{
	learned->kept = learned->block;
	learned->block = memory;
	memcpy(memory, learned->kept, learned_octets(learned->kept->max_cids));
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
	for (uint16_t i = 0; i < LEARNED_MEMBERS; i++)
		learned_name(to, i, from->block->members[i]);
	for (uint32_t i = 0; i < from->buckets; i++)
		for (int way = 0; way < LEARNED_WAYS; way++) {
			const struct learned_seen seen = look(&from->block->buckets[i].ways[way]);
			const struct learned_place place = place_in(&seen);

			if (place.len == 0)
				continue;
			learned_put(to, &place, learned_by_of(seen.state));
			atomic_fetch_or(&to->lengths, UINT32_C(1) << place.len);
		}
}

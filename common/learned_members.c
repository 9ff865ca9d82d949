/* Which servers a table of learned CIDs knows. */
#include <string.h>

#include "learned_priv.h"

static uint64_t name_hash(const struct learned *learned, const char *name)
{
	return siphash24(&learned->key, name, strlen(name)) >> LEARNED_NAME_CHECK_BITS | 1;
}

uint64_t learned_named(uint64_t hash, uint16_t at)
{
	const uint64_t check = (hash + at + 1) * UINT64_C(0x9e3779b97f4a7c15) >> LEARNED_NAME_BITS;

	return hash << LEARNED_NAME_CHECK_BITS | check;
}

void learned_name(struct learned *learned, uint16_t at, uint64_t name)
{
	if (learned->kept)
		atomic_store_explicit(&learned->kept->members[at], name, memory_order_release);
	atomic_store_explicit(&learned->block->members[at], name, memory_order_release);
}

/* Where the hash stands first, or LEARNED_NOBODY. */
static uint16_t find(const struct learned *learned, uint64_t hash)
{
	for (uint16_t i = 0; i < LEARNED_MEMBERS; i++)
		if (atomic_load_explicit(&learned->block->members[i], memory_order_relaxed) >>
			    LEARNED_NAME_CHECK_BITS ==
		    hash)
			return i;
	return LEARNED_NOBODY;
}

uint16_t learned_member_known(const struct learned *learned, const char *name)
{
	return find(learned, name_hash(learned, name));
}

uint16_t learned_member(struct learned *learned, const char *name)
{
	uint16_t at = learned_member_known(learned, name);

	if (at != LEARNED_NOBODY)
		return at;
	at = find(learned, 0);
	if (at != LEARNED_NOBODY)
		learned_name(learned, at, learned_named(name_hash(learned, name), at));
	return at;
}

/* The entry without the members that are not kept. */
static void entry_keep(struct learned *learned, struct learned_entry *entry, const bool *keep)
{
	struct learned_seen seen;
	struct learned_place place;
	struct learned_by by;
	bool last, before;

	while (learned_read(entry, &seen) && learned_len_of(seen.state)) {
		by = learned_by_of(seen.state);
		last = by.last < LEARNED_MEMBERS && keep[by.last];
		before = by.before < LEARNED_MEMBERS && keep[by.before];
		if (last && (before || by.before == LEARNED_NOBODY))
			return;
		if (!learned_claim(entry, seen.state))
			continue;
		if (!last && !before) {
			learned_erase(learned, entry, seen.state);
			return;
		}
		place = (struct learned_place){ .hash = seen.hash, .len = learned_len_of(seen.state) };
		by = (struct learned_by){ last ? by.last : by.before, LEARNED_NOBODY };
		learned_write(learned, entry, seen.state, &place, by);
	}
}

void learned_forget_members(struct learned *learned, const bool keep[static LEARNED_MEMBERS])
{
	for (uint32_t i = 0; i < learned->buckets; i++)
		for (int way = 0; way < LEARNED_WAYS; way++)
			entry_keep(learned, &learned->block->buckets[i].ways[way], keep);
	for (uint16_t i = 0; i < LEARNED_MEMBERS; i++)
		if (!keep[i])
			learned_name(learned, i, 0);
}

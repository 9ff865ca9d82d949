/* The life of the rendezvous tables. They outlive their snapshots: a pool shares its table with the snapshot before,
 * and a table that has to be built from nothing is built in pieces. */
#include <stdlib.h>

#include "snapshot_priv.h"

void snapshot_slots_drop(struct snapshot_slots *slots)
{
	if (!slots || atomic_fetch_sub(&slots->users, 1) > 1)
		return;
	free(slots->members);
	free(slots->hashes);
	free(slots->names);
	free(slots);
}

/* Fills in the members, but not the table. */
static struct snapshot_slots *slots_new(const struct siphash_key *key, const struct snapshot_backend *backends,
					size_t count)
{
	struct snapshot_slots *slots = malloc(sizeof *slots);
	char *block;

	if (!slots)
		return NULL;
	atomic_init(&slots->users, 1);
	slots->key = *key;
	slots->count = count;
	slots->built = 0;
	slots->members = calloc(count, sizeof *slots->members);
	slots->hashes = calloc(count, sizeof *slots->hashes);
	slots->names = malloc(snapshot_names_octets(backends, count));
	if (!slots->members || !slots->hashes || !slots->names) {
		snapshot_slots_drop(slots);
		return NULL;
	}
	block = slots->names;
	for (size_t i = 0; i < count; i++) {
		slots->members[i].name = snapshot_name_copy(&block, backends[i].name);
		slots->members[i].weight = backends[i].weight;
		slots->hashes[i] = rendezvous_member_hash(key, backends[i].name);
	}
	return slots;
}

static bool slots_are_of(const struct snapshot_slots *slots, const struct snapshot_backend *backends, size_t count)
{
	if (slots->count != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (slots->members[i].weight != backends[i].weight ||
		    strcmp(slots->members[i].name, backends[i].name) != 0)
			return false;
	}
	return true;
}

/* In the cost of a score. */
enum { PIECE = 1 << 17, PER_SLOT = 4 };

static void slots_build_piece(struct snapshot_slots *slots)
{
	const uint32_t piece = PIECE / (uint32_t)(PER_SLOT + slots->count);
	const uint32_t left = RENDEZVOUS_SLOTS - slots->built, end = slots->built + (piece < left ? piece : left);

	rendezvous_build_slots(&slots->table, &slots->key, slots->members, slots->count, slots->built, end);
	slots->built = end;
}

struct snapshot_slots *snapshot_slots_get(const struct siphash_key *key, const struct snapshot_backend *backends,
					  size_t count, struct snapshot_slots *old)
{
	struct snapshot_slots *slots;

	if (old && memcmp(&old->key, key, sizeof *key) != 0)
		old = NULL;
	if (old && slots_are_of(old, backends, count)) {
		atomic_fetch_add(&old->users, 1);
		return old;
	}
	slots = slots_new(key, backends, count);
	if (slots && old && snapshot_slots_are_whole(old)) {
		rendezvous_update(&slots->table, key, slots->members, count,
				  &(struct rendezvous_built){ &old->table, old->members, old->count });
		slots->built = RENDEZVOUS_SLOTS;
	}
	return slots;
}

bool snapshot_go_on(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		struct snapshot_slots *slots = snapshot->pools[i].slots_owner;
		if (!snapshot_slots_are_whole(slots)) {
			slots_build_piece(slots);
			return true;
		}
	}
	return false;
}

bool snapshot_lacks_slots(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		if (!snapshot->pools[i].slots)
			return true;
	}
	return false;
}

/* A snapshot from inside: what snapshot*.c share. */
#ifndef CIDLB_SNAPSHOT_PRIV_H
#define CIDLB_SNAPSHOT_PRIV_H

#include <stdatomic.h>
#include <string.h>

#include "snapshot.h"

struct snapshot_slots {
	atomic_size_t users; /* pools; the last may drop it on another thread */
	struct siphash_key key;
	size_t count;
	struct rendezvous_member *members;
	uint64_t *hashes; /* per member, of its name */
	char *names;      /* owns members[i].name */
	uint32_t built;   /* slots; only the thread that builds looks, and no pool shows the table before it is whole */
	struct rendezvous table;
};

/* Copies a name to the end of a block that grows. */
static inline char *snapshot_name_copy(char **block, const char *name)
{
	const size_t octets = strlen(name) + 1;
	char *copy = memcpy(*block, name, octets);

	*block += octets;
	return copy;
}

static inline size_t snapshot_names_octets(const struct snapshot_backend *backends, size_t count)
{
	size_t octets = 0;

	for (size_t i = 0; i < count; i++)
		octets += strlen(backends[i].name) + 1;
	return octets;
}

/* `old` (may be NULL): the slots that the pool had before. The table is whole only if there is one to share or to
 * update. NULL: out of memory. */
struct snapshot_slots *snapshot_slots_get(const struct siphash_key *key, const struct snapshot_backend *backends,
					  size_t count, struct snapshot_slots *old);
void snapshot_slots_drop(struct snapshot_slots *slots);

static inline bool snapshot_slots_are_whole(const struct snapshot_slots *slots)
{
	return slots->built == RENDEZVOUS_SLOTS;
}

#endif

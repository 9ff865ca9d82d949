/* Weighted rendezvous hashing in precomputed slots (highest random weight: Thaler and Ravishankar, 1998; weights as in
 * Schindelhauer and Schomaker, 2005).
 *
 * A key always falls into the same one of RENDEZVOUS_SLOTS slots. Each slot ranks the members by a score, which depends
 * only on the slot, the member's name and its weight. So removing a member moves only its own keys, and adding one
 * moves only the keys that it gets. A member that returns gets its own keys back. The order of the members does not
 * matter, and two nodes with one key agree. All arithmetic is in integers.
 *
 * Owner: the control thread builds. Readers share a finished table, which never changes.
 */
#ifndef CIDLB_RENDEZVOUS_H
#define CIDLB_RENDEZVOUS_H

#include <stddef.h>
#include <stdint.h>

#include "siphash.h"

enum {
	RENDEZVOUS_SLOT_BITS = 18,
	/* 1,024 for each of 256 members. The number never changes, because all keys would move. */
	RENDEZVOUS_SLOTS = 1 << RENDEZVOUS_SLOT_BITS,
	RENDEZVOUS_DEPTH = 4, /* ranks kept per slot */
	RENDEZVOUS_MAX_MEMBERS = 1024,
	RENDEZVOUS_MAX_WEIGHT = 256,
};
#define RENDEZVOUS_NONE UINT16_MAX

struct rendezvous_member {
	const char *name;
	uint16_t weight; /* 0..256; 0: on no slot */
};

/* Ranks hold indices into the member array given to rendezvous_build(). */
struct rendezvous {
	uint16_t first[RENDEZVOUS_SLOTS]; /* rank 0, alone so that it stays in the cache */
	/* Ranks 1..3; RENDEZVOUS_NONE where there are fewer members. */
	uint16_t further[RENDEZVOUS_SLOTS][RENDEZVOUS_DEPTH - 1];
};

/* The score of one member in one slot. The highest score is rank 0. Of equal scores the lesser name (strcmp) goes
 * first. Weight 0 scores 0.
 *
 * It is -weight / log2(u) for a u in (0, 1) drawn by member and slot, turned into integers. All have 64 bits, modulo
 * 2^64:
 *   h = siphash24(key, octets of the name)
 *   z = h + slot * 9e3779b97f4a7c15;  z = (z ^ z >> 30) * bf58476d1ce4e5b9 + h;
 *   z = (z ^ z >> 27) * 94d049bb133111eb;  u = (z ^ z >> 31) | 1, read as u / 2^64
 *   L = -log2(u / 2^64) in units of 2^-32. With k leading zero bits in u, m = u << k, i = bits 55..62 and
 *       f = bits 23..54 of m, and T[j] = floor(2^32 * log2(1 + j / 256)):
 *       L = (k + 1) * 2^32 - T[i] - floor((T[i + 1] - T[i]) * f / 2^32)
 *   score = 2^64 - 1 - L * floor((2^26 - 1) / weight)
 * 1 <= L <= 2^38, so nothing overflows and no score is 0. Exposed for the oracle test. */
uint64_t rendezvous_score(const struct siphash_key *key, uint32_t slot, const struct rendezvous_member *member);

/* The same in two steps, for callers that score one member often: h above, and the score from it. */
uint64_t rendezvous_member_hash(const struct siphash_key *key, const char *name);
uint64_t rendezvous_weigh(uint64_t member_hash, uint32_t slot, uint16_t weight);

/* Builds `out` from nothing. `count` <= RENDEZVOUS_MAX_MEMBERS; the names are distinct. */
void rendezvous_build(struct rendezvous *out, const struct siphash_key *key, const struct rendezvous_member *members,
		      size_t count);

/* A part of that: the slots from `first` to before `end`. */
void rendezvous_build_slots(struct rendezvous *out, const struct siphash_key *key,
			    const struct rendezvous_member *members, size_t count, uint32_t first, uint32_t end);

/* A table, and what it was built over. */
struct rendezvous_built {
	const struct rendezvous *table;
	const struct rendezvous_member *members;
	size_t count;
};

/* The same result as rendezvous_build(), computed from `old`, which was built with the same key and is not `out`. Takes
 * time proportional to the slots for each member that was added, removed or given another weight. */
void rendezvous_update(struct rendezvous *out, const struct siphash_key *key, const struct rendezvous_member *members,
		       size_t count, const struct rendezvous_built *old);

/* The slot of a key, 0..RENDEZVOUS_SLOTS - 1, by the key's 64-bit hash: its upper bits. */
static inline uint32_t rendezvous_slot(uint64_t hash)
{
	return (uint32_t)(hash >> (64 - RENDEZVOUS_SLOT_BITS));
}

#endif

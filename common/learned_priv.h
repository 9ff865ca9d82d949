/* A table of learned CIDs from inside: what learned*.c share. */
#ifndef CIDLB_LEARNED_PRIV_H
#define CIDLB_LEARNED_PRIV_H

#include "learned.h"

/* The state: version, whether it was asked for, length, a check, and who gave it out. The version is odd while somebody
 * writes; length 0: the entry is free. */
struct learned_entry {
	_Atomic uint64_t hash, state;
};
_Static_assert(sizeof(struct learned_entry) == 16, "four to a cache line");

#define LEARNED_WRITING UINT64_C(1)
#define LEARNED_VERSION UINT64_C(0xff)
#define LEARNED_ASKED   UINT64_C(0x100)
enum { LEARNED_FORM = 2 /* of a block */ };
enum { LEARNED_NAME_BITS = 48, LEARNED_NAME_CHECK_BITS = 64 - LEARNED_NAME_BITS };
enum {
	LEARNED_LEN_AT = 9,
	LEARNED_LEN_MASK = 0x1f,
	LEARNED_CHECK_AT = 14,
	LEARNED_LAST_AT = 32,
	LEARNED_BEFORE_AT = 48
};

struct learned_bucket {
	_Alignas(64) struct learned_entry ways[LEARNED_WAYS];
};

struct learned_block {
	_Alignas(64) uint8_t magic[8];
	uint32_t version, max_cids;
	uint8_t secret[16];
	uint64_t check; /* of what stands before */
	/* Hashes of their names, of LEARNED_NAME_BITS, and behind each a check; 0: none. */
	_Alignas(64) _Atomic uint64_t members[LEARNED_MEMBERS];
	struct learned_bucket buckets[];
};

extern const uint8_t learned_magic[8];

/* An entry as one reader saw it. */
struct learned_seen {
	uint64_t hash, state;
};

static inline uint8_t learned_len_of(uint64_t state)
{
	return (uint8_t)(state >> LEARNED_LEN_AT & LEARNED_LEN_MASK);
}

static inline struct learned_by learned_by_of(uint64_t state)
{
	return (struct learned_by){ (uint16_t)(state >> LEARNED_LAST_AT), (uint16_t)(state >> LEARNED_BEFORE_AT) };
}

/* The state of an entry, but for its version. */
uint64_t learned_state(const struct learned_place *place, struct learned_by by);

/* Begins to use the table of a block that is whole. */
void learned_use(struct learned *learned, struct learned_block *block);

/* What `check` of the block should be. */
uint64_t learned_check(const struct learned_block *block);

/* False: somebody was writing. */
static inline bool learned_read(const struct learned_entry *entry, struct learned_seen *out)
{
	uint64_t again;

	out->state = atomic_load_explicit(&entry->state, memory_order_acquire);
	out->hash = atomic_load_explicit(&entry->hash, memory_order_acquire);
	again = atomic_load_explicit(&entry->state, memory_order_relaxed);
	return !(again & LEARNED_WRITING) && (out->state & LEARNED_VERSION) == (again & LEARNED_VERSION);
}

/* Claims an entry for writing, if it is still as it was seen. */
bool learned_claim(struct learned_entry *entry, uint64_t state);

/* Ends what learned_claim() began; `was` is the state that was claimed. First in the copy that is kept, if there is
 * one. Killed in between, the entry is the old one, the new one, or half written: then its state is nothing but
 * LEARNED_WRITING and a version. */
void learned_write(struct learned *learned, struct learned_entry *entry, uint64_t was,
		   const struct learned_place *place, struct learned_by by);

/* The same, and the entry is free. */
void learned_erase(struct learned *learned, struct learned_entry *entry, uint64_t was);

/* There is one CID more of this length, which the table may have. */
void learned_count_length(struct learned *learned, uint8_t len);

/* Puts a CID that is not in the table where there is room, or makes room. */
void learned_put(struct learned *learned, const struct learned_place *place, struct learned_by by);

/* The buckets that a CID with this hash can be in. They may be one. */
static inline uint32_t learned_first_bucket(const struct learned *learned, uint64_t hash)
{
	return (uint32_t)((hash & UINT32_MAX) * learned->buckets >> 32);
}

static inline uint32_t learned_second_bucket(const struct learned *learned, uint64_t hash)
{
	return (uint32_t)((hash >> 32) * learned->buckets >> 32);
}

/* The server at `at` has a name with this hash, in both places. 0: there is none. */
void learned_name(struct learned *learned, uint16_t at, uint64_t name);

/* What stands at `at` for a name with this hash, of LEARNED_NAME_BITS. */
uint64_t learned_named(uint64_t hash, uint16_t at);

#endif

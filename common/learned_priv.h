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
enum { LEARNED_FORM = 1 /* of a block */ };
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
	uint64_t check;                                         /* of what stands before */
	_Alignas(64) _Atomic uint64_t members[LEARNED_MEMBERS]; /* hashes of their names; 0: none */
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
bool learned_read(const struct learned_entry *entry, struct learned_seen *out);

/* Claims an entry for writing, if it is still as it was seen. */
bool learned_claim(struct learned_entry *entry, uint64_t state);

/* Ends what learned_claim() began; `was` is the state that was claimed. */
void learned_write(struct learned_entry *entry, uint64_t was, const struct learned_place *place, struct learned_by by);

/* The same, and the entry is free. */
void learned_erase(struct learned *learned, struct learned_entry *entry, uint64_t was);

/* There is one CID more of this length, which the table may have. */
void learned_count_length(struct learned *learned, uint8_t len);

/* Puts a CID that is not in the table where there is room, or makes room. */
void learned_put(struct learned *learned, const struct learned_place *place, struct learned_by by);

/* The place of a CID, by its hash. */
struct learned_place learned_place_at(const struct learned *learned, uint64_t hash, uint8_t len);

#endif

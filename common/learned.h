/* Learned CIDs: which servers have given out which CID. A table of fixed size in memory of the caller, for the servers
 * of one pool. It is for CIDs that say nothing by themselves: random ones, or with one id everywhere.
 *
 * A CID may be at two servers. Then both are kept, and the caller decides by what else it knows. A CID that a third one
 * gives out takes the place of the one that was learned first.
 *
 * Of a CID a keyed hash of 64 bits is kept, and not the CID itself. That two of a million CIDs have the same one has a
 * chance of one in thirty millions, and nobody who does not know the key can look for such. An entry has 16 octets,
 * four are a bucket, and a CID has two buckets to be in: the second if the first is full. There are LEARNED_PER_16
 * entries for 16 CIDs, so that a table with `max_cids` CIDs still has room, and a CID costs 30 octets. When both
 * buckets are full, one entry is moved on if that helps. Else the CID takes the place of one of them: of one that
 * nobody asked for since the hand passed last (CLOCK), if there is one.
 *
 * The memory may be a mapped file, which another process takes up after this one was killed: what it finds half written
 * it tells from the rest. learned_load() has a second copy for look-ups. All numbers are this machine's.
 *
 * Pure. Any number of threads may look up and add at once, without a lock. Who looks up while an entry is being moved
 * may miss it. Members come and go on one thread.
 */
#ifndef CIDLB_LEARNED_H
#define CIDLB_LEARNED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "siphash.h"

enum {
	LEARNED_CID_MAX = 20, /* octets: LBCID_MAX_OCTETS */
	LEARNED_LENGTHS = 4,  /* of CIDs in one table, at most */
	LEARNED_WAYS = 4,     /* entries of a bucket */
	LEARNED_AT_ONCE = 32, /* CIDs that are looked up together, at most */
	LEARNED_PER_16 = 30,  /* entries for 16 CIDs */
	LEARNED_MEMBERS = 4096,
	LEARNED_MIN_CIDS = 1024,
	LEARNED_MAX_CIDS = 100000000,
};

/* A server that gives out CIDs, by a number of this table. */
#define LEARNED_NOBODY UINT16_MAX

struct learned_block;
struct learned_news; /* learned_news.h */

/* Counted since learned_begin() or learned_resume(). */
struct learned_counts {
	_Atomic uint64_t added;
	_Atomic uint64_t evicted; /* to make room */
	_Atomic uint64_t shared;  /* times that a server gave out a CID which another one had given out, too */
	_Atomic uint64_t refused; /* CIDs of a fifth length */
};

/* The members are for learned*.c. */
struct learned {
	struct learned_block *block;
	struct learned_block *kept; /* what is written to `block` goes here, too; NULL: nowhere */
	uint32_t buckets;
	struct siphash_key key;
	_Atomic uint32_t lengths; /* bit n: CIDs of n octets were added. learned_lengths() */
	_Atomic uint32_t of_length[LEARNED_CID_MAX + 1];
	_Atomic uint32_t hand;
	struct learned_counts counts;
	struct learned_news *news; /* the caller's, who may set it; NULL: none */
};

/* Octets of a table for so many CIDs (LEARNED_MIN_CIDS .. LEARNED_MAX_CIDS). */
size_t learned_octets(uint32_t max_cids);

/* Begins an empty table in `memory`: learned_octets() octets that are zero, aligned to 64. It stays the caller's.
 * `secret` keys its hashes. */
void learned_begin(struct learned *learned, void *memory, uint32_t max_cids, const uint8_t secret[static 16]);

/* Takes up a table that another process left; no other thread uses it. NULL, or what is wrong with it. Then nothing was
 * changed. */
const char *learned_resume(struct learned *learned, void *memory, size_t octets);

/* Copies the table into `memory`, which is like that of learned_begin() and stays the caller's. From now on it is
 * looked up there, and what it learns is written to both. So the first memory may be a file: no look-up waits for its
 * pages, or writes to them. No other thread uses the table. */
void learned_load(struct learned *learned, void *memory);

/* How many CIDs the table was made for, and its secret. */
uint32_t learned_max_cids(const struct learned *learned);
const uint8_t *learned_secret(const struct learned *learned);

/* Adds all that `from` has to an empty table that was begun with the same secret. No other thread uses either. */
void learned_copy(struct learned *to, const struct learned *from);

/* The number of a server, by its name. It is given out on first use. LEARNED_NOBODY: there is none left. One thread. */
uint16_t learned_member(struct learned *learned, const char *name);

/* The number that it has already, or LEARNED_NOBODY. */
uint16_t learned_member_known(const struct learned *learned, const char *name);

/* Forgets the servers n with !keep[n], and what they gave out. One thread, the one of learned_member(). */
void learned_forget_members(struct learned *learned, const bool keep[static LEARNED_MEMBERS]);

/* CIDs in the table. */
uint32_t learned_count(const struct learned *learned);

/* Those of so many octets. */
uint32_t learned_count_of(const struct learned *learned, uint8_t len);

/* Bit n: there may be CIDs of n octets. At most LEARNED_LENGTHS bits are set. */
static inline uint32_t learned_lengths(const struct learned *learned)
{
	return atomic_load_explicit(&learned->lengths, memory_order_relaxed);
}

/* Gives back lengths of which there are no CIDs any more. One thread, now and then. */
void learned_tidy(struct learned *learned);

/* Where a CID would be: what is left of a look-up that others come before. */
struct learned_place {
	uint64_t hash; /* of the CID */
	uint32_t buckets[2];
	uint8_t len;
};

/* Where the CID of `len` (1..LEARNED_CID_MAX) octets would be. Prefetches its first bucket, in which nearly all are. */
struct learned_place learned_look(const struct learned *learned, const uint8_t *cid, size_t len);

/* Who gave out a CID. */
struct learned_by {
	uint16_t last;   /* the last one that did. LEARNED_NOBODY: the CID is not known */
	uint16_t before; /* another one that did before, or LEARNED_NOBODY */
};

/* False: the CID is not known. */
bool learned_find(const struct learned *learned, const struct learned_place *place, struct learned_by *by);

/* One of several CIDs that are looked up together. */
struct learned_asked {
	const uint8_t *cid;
	uint8_t len;   /* 1..LEARNED_CID_MAX octets */
	uint64_t hash; /* written */
};

/* Looks up `count` CIDs (0..LEARNED_AT_ONCE), which wait for memory together. */
void learned_find_all(const struct learned *learned, struct learned_asked *asked, struct learned_by *by, size_t count);

enum learned_added {
	LEARNED_ADDED,
	LEARNED_KNOWN,   /* it was there; the table has not changed */
	LEARNED_SHARED,  /* another server had given it out. Both are kept */
	LEARNED_REFUSED, /* its length would be one too many */
};

/* `member` has given out this CID, and has shown to the caller that its device has the keys. What changes the table is
 * posted to learned->news. */
enum learned_added learned_add(struct learned *learned, const uint8_t *cid, size_t len, uint16_t member);

/* The same, as another node saw it at some time. Nothing changes if `member` is one of those that are known. */
enum learned_added learned_add_told(struct learned *learned, const uint8_t *cid, size_t len, uint16_t member);

#endif

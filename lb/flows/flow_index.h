/* The hash table in front of the flows. It leads from a keyed hash to the number of a descriptor. A look-up reads one
 * cache line, which can be fetched ahead, and then a descriptor that this line names.
 *
 * An entry is one word, and half of that is hash. It stays where it was put until it is removed. It is put into the
 * line of its hash. If that is full, it goes into the next line with a free slot. Each line counts the entries that
 * passed it, so that a search knows where to end. Other entries may have the same hash, so the caller compares what is
 * found with what it looks for.
 *
 * Readers take no lock, and must be registered with QSBR. They may miss an entry that is added while they search. What
 * they find may have been removed meanwhile. Any thread adds and removes. The control thread makes, grows and frees.
 */
#ifndef CIDLB_FLOWS_FLOW_INDEX_H
#define CIDLB_FLOWS_FLOW_INDEX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tsan.h"

enum {
	FLOW_INDEX_SLOTS = 7,
	FLOW_INDEX_PER_LINE = 5, /* entries, on average when full; one in 17 is not in its own line */
	FLOW_INDEX_ENTRY_OCTETS = 64 / FLOW_INDEX_PER_LINE + 1 /* of memory, rounded up */
};

#define FLOW_INDEX_NONE UINT32_MAX

struct flow_index_line {
	/* Entries that belong to this line or one before it, and are in a later one. */
	_Alignas(64) _Atomic uint64_t passed;
	_Atomic uint64_t slots[FLOW_INDEX_SLOTS]; /* hash in the upper half, number + 1 in the lower; 0: free */
};
_Static_assert(sizeof(struct flow_index_line) == 64, "a cache line");

struct flow_index_lines {
	size_t count;
	struct flow_index_line line[];
};

struct flow_index {
	_Atomic(struct flow_index_lines *) lines;
	pthread_mutex_t lock; /* held by whoever changes the index; never taken for a datagram of a known flow */
};

/* An index with room for FLOW_INDEX_PER_LINE entries. -ENOMEM: only flow_index_destroy() may follow. */
int flow_index_init(struct flow_index *index);

/* No reader may be left. */
void flow_index_destroy(struct flow_index *index);

/* Makes room for `capacity` entries. If the index grows, whoever adds or removes waits some milliseconds per million
 * entries, and the caller waits for a grace period. -ENOMEM: it is as before. */
int flow_index_grow(struct flow_index *index, size_t capacity);

/* True: the descriptor with this number is what is looked for. */
typedef bool flow_index_same(const void *ctx, uint32_t number);

/* Adds `number`, unless an entry is the same. Returns the number that is there then. There must be room. */
uint32_t flow_index_add(struct flow_index *index, uint32_t hash, uint32_t number, flow_index_same *same,
			const void *ctx);

/* False: it was not there. */
bool flow_index_remove(struct flow_index *index, uint32_t hash, uint32_t number);

static inline struct flow_index_line *flow_index_line(struct flow_index_lines *lines, uint32_t hash)
{
	return &lines->line[(uint64_t)hash * lines->count >> 32];
}

static inline struct flow_index_line *flow_index_next(struct flow_index_lines *lines, struct flow_index_line *line)
{
	return line + 1 == lines->line + lines->count ? lines->line : line + 1;
}

/* Fetches the line that a search for `hash` reads first. */
static inline void flow_index_prefetch(const struct flow_index *index, uint32_t hash)
{
	__builtin_prefetch(flow_index_line(atomic_load_explicit(&index->lines, memory_order_acquire), hash));
}

static inline uint32_t flow_index_find_in(const struct flow_index_line *line, uint32_t hash, flow_index_same *same,
					  const void *ctx)
{
	for (size_t i = 0; i < FLOW_INDEX_SLOTS; i++) {
		const uint64_t slot = atomic_load_explicit(&line->slots[i], memory_order_acquire);

		if (slot >> 32 == hash && slot && same(ctx, (uint32_t)slot - 1))
			return (uint32_t)slot - 1;
	}
	return FLOW_INDEX_NONE;
}

/* The first entry that is the same, or FLOW_INDEX_NONE. Inline, so that `same` is inlined too. */
static inline uint32_t flow_index_find(const struct flow_index *index, uint32_t hash, flow_index_same *same,
				       const void *ctx)
{
	struct flow_index_lines *lines = atomic_load_explicit(&index->lines, memory_order_acquire);
	struct flow_index_line *line = flow_index_line(lines, hash);
	uint32_t found = flow_index_find_in(line, hash, same, ctx);

	for (size_t more = lines->count - 1; found == FLOW_INDEX_NONE && more; more--) {
		if (!atomic_load_explicit(&line->passed, memory_order_acquire))
			break;
		line = flow_index_next(lines, line);
		found = flow_index_find_in(line, hash, same, ctx);
	}
	tsan_release(lines);
	return found;
}

#endif

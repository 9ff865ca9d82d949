#include "flows/flow_index.h"

#include <errno.h>

#include <urcu-qsbr.h>

#include "base/pages.h"

static size_t lines_octets(size_t count)
{
	return sizeof(struct flow_index_lines) + count * sizeof(struct flow_index_line);
}

static struct flow_index_lines *lines_new(size_t capacity)
{
	const size_t count = capacity / FLOW_INDEX_PER_LINE + 1;
	struct flow_index_lines *lines = pages_take(lines_octets(count));

	if (lines)
		lines->count = count;
	return lines;
}

static void lines_free(struct flow_index_lines *lines)
{
	if (lines)
		pages_return(lines, lines_octets(lines->count));
}

int flow_index_init(struct flow_index *index)
{
	struct flow_index_lines *lines = lines_new(0);

	pthread_mutex_init(&index->lock, NULL);
	atomic_init(&index->lines, lines);
	return lines ? 0 : -ENOMEM;
}

void flow_index_destroy(struct flow_index *index)
{
	lines_free(atomic_load_explicit(&index->lines, memory_order_acquire));
	pthread_mutex_destroy(&index->lock);
}

static _Atomic uint64_t *slot_of(struct flow_index_line *line, uint64_t word)
{
	for (size_t i = 0; i < FLOW_INDEX_SLOTS; i++)
		if (atomic_load_explicit(&line->slots[i], memory_order_relaxed) == word)
			return &line->slots[i];
	return NULL;
}

/* There are more slots than entries, so one is free. Lines count the entry before it is there. So a search that could
 * find it does not end early. */
static void word_put(struct flow_index_lines *lines, uint64_t word)
{
	struct flow_index_line *line = flow_index_line(lines, (uint32_t)(word >> 32));
	_Atomic uint64_t *slot;

	while (!(slot = slot_of(line, 0))) {
		atomic_fetch_add_explicit(&line->passed, 1, memory_order_relaxed);
		line = flow_index_next(lines, line);
	}
	atomic_store_explicit(slot, word, memory_order_release);
}

static uint64_t word_of(uint32_t hash, uint32_t number)
{
	return (uint64_t)hash << 32 | (number + 1);
}

uint32_t flow_index_add(struct flow_index *index, uint32_t hash, uint32_t number, flow_index_same *same,
			const void *ctx)
{
	uint32_t there;

	pthread_mutex_lock(&index->lock);
	there = flow_index_find(index, hash, same, ctx);
	if (there == FLOW_INDEX_NONE)
		word_put(atomic_load_explicit(&index->lines, memory_order_relaxed), word_of(hash, number));
	pthread_mutex_unlock(&index->lock);
	return there == FLOW_INDEX_NONE ? number : there;
}

static bool word_take(struct flow_index_lines *lines, uint64_t word)
{
	struct flow_index_line *const own = flow_index_line(lines, (uint32_t)(word >> 32)), *line = own;
	_Atomic uint64_t *slot;

	while (!(slot = slot_of(line, word))) {
		if (!atomic_load_explicit(&line->passed, memory_order_relaxed))
			return false;
		line = flow_index_next(lines, line);
		if (line == own)
			return false;
	}
	atomic_store_explicit(slot, 0, memory_order_release);
	for (struct flow_index_line *passed = own; passed != line; passed = flow_index_next(lines, passed))
		atomic_fetch_sub_explicit(&passed->passed, 1, memory_order_release);
	return true;
}

bool flow_index_remove(struct flow_index *index, uint32_t hash, uint32_t number)
{
	bool was_there;

	pthread_mutex_lock(&index->lock);
	was_there = word_take(atomic_load_explicit(&index->lines, memory_order_relaxed), word_of(hash, number));
	pthread_mutex_unlock(&index->lock);
	return was_there;
}

static void words_copy(struct flow_index_lines *to, struct flow_index_lines *from)
{
	for (size_t at = 0; at < from->count; at++) {
		for (size_t i = 0; i < FLOW_INDEX_SLOTS; i++) {
			const uint64_t word = atomic_load_explicit(&from->line[at].slots[i], memory_order_relaxed);

			if (word)
				word_put(to, word);
		}
	}
}

int flow_index_grow(struct flow_index *index, size_t capacity)
{
	struct flow_index_lines *old = atomic_load_explicit(&index->lines, memory_order_relaxed), *lines;

	if (capacity / FLOW_INDEX_PER_LINE < old->count)
		return 0;
	lines = lines_new(capacity);
	if (!lines)
		return -ENOMEM;
	pthread_mutex_lock(&index->lock);
	words_copy(lines, old);
	atomic_store_explicit(&index->lines, lines, memory_order_release);
	pthread_mutex_unlock(&index->lock);
	synchronize_rcu();
	tsan_acquire(old);
	lines_free(old);
	return 0;
}

#include "flow_arena.h"

#include <errno.h>
#include <stdlib.h>

#include "flows.h"

struct flow_chunk {
	struct flow_chunk *next;
	size_t count, used; /* used: the first ones, that were ever taken. Under the lock */
	struct flow flows[];
};

void flow_arena_init(struct flow_arena *arena)
{
	*arena = (struct flow_arena){ .capacity = 0 };
	pthread_mutex_init(&arena->lock, NULL);
}

void flow_arena_destroy(struct flow_arena *arena)
{
	while (arena->chunks) {
		struct flow_chunk *next = arena->chunks->next;

		for (size_t i = 0; i < arena->chunks->used; i++)
			pthread_spin_destroy(&arena->chunks->flows[i].lock);
		free(arena->chunks);
		arena->chunks = next;
	}
	pthread_mutex_destroy(&arena->lock);
}

int flow_arena_grow(struct flow_arena *arena, size_t capacity)
{
	size_t count = capacity - arena->capacity;
	struct flow_chunk *chunk;

	if (capacity <= arena->capacity)
		return 0;
	chunk = calloc(1, sizeof *chunk + count * sizeof chunk->flows[0]);
	if (!chunk)
		return -ENOMEM;
	chunk->count = count;
	arena->capacity = capacity;
	pthread_mutex_lock(&arena->lock);
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	pthread_mutex_unlock(&arena->lock);
	return 0;
}

/* One that was never taken, or NULL. With the lock held. */
static struct flow *take_untouched(struct flow_arena *arena)
{
	struct flow_chunk *chunk = arena->chunks;
	struct flow *flow;

	while (chunk && chunk->used == chunk->count)
		chunk = chunk->next;
	if (!chunk)
		return NULL;
	flow = &chunk->flows[chunk->used++];
	pthread_spin_init(&flow->lock, PTHREAD_PROCESS_PRIVATE);
	flow->dead = true;
	return flow;
}

struct flow *flow_arena_take(struct flow_arena *arena, uint32_t *serial)
{
	struct flow *flow;

	pthread_mutex_lock(&arena->lock);
	flow = arena->free;
	if (flow)
		arena->free = flow->next_free;
	else
		flow = take_untouched(arena);
	*serial = ++arena->serial;
	pthread_mutex_unlock(&arena->lock);
	return flow;
}

void flow_arena_return(struct flow_arena *arena, struct flow *flow)
{
	pthread_mutex_lock(&arena->lock);
	flow->next_free = arena->free;
	arena->free = flow;
	pthread_mutex_unlock(&arena->lock);
}

static size_t chunk_used(struct flow_arena *arena, const struct flow_chunk *chunk)
{
	size_t used;

	pthread_mutex_lock(&arena->lock);
	used = chunk->used;
	pthread_mutex_unlock(&arena->lock);
	return used;
}

void flow_arena_visit(struct flow_arena *arena, size_t part, size_t parts, void (*visit)(void *ctx, struct flow *flow), void *ctx)
{
	for (struct flow_chunk *chunk = arena->chunks; chunk; chunk = chunk->next) {
		size_t used = chunk_used(arena, chunk);
		size_t end = chunk->count * (part + 1) / parts;

		for (size_t i = chunk->count * part / parts; i < end && i < used; i++)
			visit(ctx, &chunk->flows[i]);
	}
}

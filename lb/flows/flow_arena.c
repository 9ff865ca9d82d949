#include "flows/flow_arena.h"

#include <errno.h>

#include "base/pages.h"

static const size_t segment_octets = FLOW_ARENA_SEGMENT * sizeof(struct flow);

static size_t segments_for(size_t capacity)
{
	return (capacity + FLOW_ARENA_SEGMENT - 1) / FLOW_ARENA_SEGMENT;
}

void flow_arena_init(struct flow_arena *arena)
{
	*arena = (struct flow_arena){ .capacity = 0 };
	pthread_mutex_init(&arena->lock, NULL);
}

/* Those from `first` on. */
static void segments_return(struct flow_arena *arena, size_t first)
{
	for (size_t i = first; i < FLOW_ARENA_SEGMENTS && arena->segments[i]; i++) {
		pages_return(arena->segments[i], segment_octets);
		arena->segments[i] = NULL;
	}
}

void flow_arena_destroy(struct flow_arena *arena)
{
	segments_return(arena, 0);
	pthread_mutex_destroy(&arena->lock);
}

int flow_arena_grow(struct flow_arena *arena, size_t capacity)
{
	const size_t had = segments_for(arena->capacity), segments = segments_for(capacity);

	if (capacity <= arena->capacity)
		return 0;
	if (segments > FLOW_ARENA_SEGMENTS)
		return -ENOMEM;
	for (size_t i = had; i < segments; i++) {
		arena->segments[i] = pages_take(segment_octets);
		if (!arena->segments[i]) {
			segments_return(arena, had);
			return -ENOMEM;
		}
	}
	pthread_mutex_lock(&arena->lock);
	arena->capacity = capacity;
	pthread_mutex_unlock(&arena->lock);
	return 0;
}

/* A descriptor that was never taken, or NULL. The lock is held. */
static struct flow *take_untouched(struct flow_arena *arena)
{
	struct flow *flow;

	if (arena->used == arena->capacity)
		return NULL;
	flow = flow_arena_at(arena, arena->used);
	flow->number = arena->used++;
	flow->dead = true;
	return flow;
}

struct flow *flow_arena_take(struct flow_arena *arena)
{
	struct flow *flow;

	pthread_mutex_lock(&arena->lock);
	flow = arena->free;
	if (flow)
		arena->free = flow->next_free;
	else
		flow = take_untouched(arena);
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

static size_t arena_used(struct flow_arena *arena)
{
	size_t used;

	pthread_mutex_lock(&arena->lock);
	used = arena->used;
	pthread_mutex_unlock(&arena->lock);
	return used;
}

void flow_arena_visit(struct flow_arena *arena, size_t part, size_t parts, void (*visit)(void *ctx, struct flow *flow),
		      void *ctx)
{
	const size_t used = arena_used(arena), end = arena->capacity * (part + 1) / parts;

	for (size_t i = arena->capacity * part / parts; i < end && i < used; i++)
		visit(ctx, flow_arena_at(arena, (uint32_t)i));
}

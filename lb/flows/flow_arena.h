/* The descriptors of flows. A flow takes one when it is made, and returns it when it has ended. Each has a number for
 * life, by which the indexes know it (flow_index.h). Nothing is allocated for a datagram. Memory is touched when a
 * descriptor is first taken.
 *
 * Any thread takes and returns. The control thread makes, grows and frees.
 */
#ifndef CIDLB_FLOWS_FLOW_ARENA_H
#define CIDLB_FLOWS_FLOW_ARENA_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "flows/flows.h"

enum { FLOW_ARENA_SEGMENT = 1 << 16 /* descriptors */, FLOW_ARENA_SEGMENTS = 1 << 12 };

struct flow_arena {
	pthread_mutex_t lock; /* held when a flow is made or ends, never for a datagram of a known flow */
	struct flow *free;
	size_t capacity;
	uint32_t used; /* descriptors below this were taken at least once; under the lock */
	struct flow *segments[FLOW_ARENA_SEGMENTS]; /* constant once a number in them was given out */
};

void flow_arena_init(struct flow_arena *arena);

/* No descriptor may be in use. */
void flow_arena_destroy(struct flow_arena *arena);

/* Grows to `capacity` descriptors, if it has fewer. -ENOMEM: it has as many as before. */
int flow_arena_grow(struct flow_arena *arena, size_t capacity);

/* A descriptor that is dead and not locked. NULL: none is left. */
struct flow *flow_arena_take(struct flow_arena *arena);

/* Nobody may be reading the descriptor any more. */
void flow_arena_return(struct flow_arena *arena, struct flow *flow);

/* Calls visit() for the descriptors of part `part` of `parts`, dead ones too. Control thread. */
void flow_arena_visit(struct flow_arena *arena, size_t part, size_t parts, void (*visit)(void *ctx, struct flow *flow),
		      void *ctx);

static inline struct flow *flow_arena_at(const struct flow_arena *arena, uint32_t number)
{
	return &arena->segments[number / FLOW_ARENA_SEGMENT][number % FLOW_ARENA_SEGMENT];
}

#endif

/* Stable small numbers for names: a pool, a backend, or a listener by its address keeps its number through reloads and
 * removal, so that counters, flows and health stay with it, until numbers run out and are taken back. Control thread
 * only. */
#ifndef CIDLB_REGISTRY_H
#define CIDLB_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

struct registry;

#define REGISTRY_FULL UINT16_MAX

/* At most `capacity` names. NULL: out of memory. */
struct registry *registry_new(uint16_t capacity);
void registry_free(struct registry *registry);

/* The number of `name` within `scope` (a pool's number for backends, else 0), given out on first use. REGISTRY_FULL:
 * none left. */
uint16_t registry_uid(struct registry *registry, uint16_t scope, const char *name);

/* Takes back every number n that is not `used[n]` (an element per number of the capacity), and forgets its name: it
 * will be another's. The caller has made sure that nothing bears it any more, no scope either, and clears what has
 * gathered under it. */
void registry_take_back(struct registry *registry, const bool *used);

#endif

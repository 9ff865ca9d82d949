/* Stable small numbers for names: a pool, a backend, or a listener by its address keeps its number for the life of the process, through
 * reloads and removal, so that counters, flows and health stay with it. Control thread only. */
#ifndef CIDLB_REGISTRY_H
#define CIDLB_REGISTRY_H

#include <stdint.h>

struct registry;

#define REGISTRY_FULL UINT16_MAX

/* At most `capacity` names. NULL: out of memory. */
struct registry *registry_new(uint16_t capacity);
void registry_free(struct registry *registry);

/* The number of `name` within `scope` (a pool's number for backends, else 0), given out on first use. REGISTRY_FULL: none left. */
uint16_t registry_uid(struct registry *registry, uint16_t scope, const char *name);

#endif

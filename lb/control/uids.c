#include "control/uids.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	uint16_t scope;
	char *name; /* NULL: taken back */
};

struct registry {
	uint16_t capacity;
	uint16_t count;
	struct entry entries[]; /* the number is the index */
};

struct registry *registry_new(uint16_t capacity)
{
	struct registry *registry = calloc(1, sizeof *registry + capacity * sizeof registry->entries[0]);

	if (registry != NULL)
		registry->capacity = capacity;
	return registry;
}

void registry_free(struct registry *registry)
{
	if (registry == NULL)
		return;
	for (uint16_t i = 0; i < registry->count; i++)
		free(registry->entries[i].name);
	free(registry);
}

uint16_t registry_uid(struct registry *registry, uint16_t scope, const char *name)
{
	uint16_t unused = registry->count;

	for (uint16_t i = 0; i < registry->count; i++) {
		const struct entry *entry = &registry->entries[i];
		if (entry->name == NULL)
			unused = unused == registry->count ? i : unused;
		else if (entry->scope == scope && strcmp(entry->name, name) == 0)
			return i;
	}
	if (unused == registry->capacity)
		return REGISTRY_FULL;
	char *copy = strdup(name);
	if (copy == NULL)
		return REGISTRY_FULL;
	registry->entries[unused] = (struct entry){ .scope = scope, .name = copy };
	if (unused == registry->count)
		registry->count++;
	return unused;
}

void registry_take_back(struct registry *registry, const bool *used)
{
	for (uint16_t i = 0; i < registry->count; i++) {
		if (used[i])
			continue;
		free(registry->entries[i].name);
		registry->entries[i].name = NULL;
	}
}

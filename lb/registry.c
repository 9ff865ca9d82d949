#include "registry.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	uint16_t scope;
	char *name;
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
	for (uint16_t i = 0; i < registry->count; i++) {
		const struct entry *entry = &registry->entries[i];
		if (entry->scope == scope && strcmp(entry->name, name) == 0)
			return i;
	}
	if (registry->count == registry->capacity)
		return REGISTRY_FULL;
	char *copy = strdup(name);
	if (copy == NULL)
		return REGISTRY_FULL;
	registry->entries[registry->count] = (struct entry){ .scope = scope, .name = copy };
	return registry->count++;
}

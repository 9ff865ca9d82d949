#include "control/uids.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	uint16_t scope;
	char *name; /* NULL: taken back */
};

struct uids {
	uint16_t capacity;
	uint16_t count;
	struct entry entries[]; /* the number is the index */
};

struct uids *uids_new(uint16_t capacity)
{
	struct uids *uids = calloc(1, sizeof *uids + capacity * sizeof uids->entries[0]);

	if (uids)
		uids->capacity = capacity;
	return uids;
}

void uids_free(struct uids *uids)
{
	if (!uids)
		return;
	for (uint16_t i = 0; i < uids->count; i++)
		free(uids->entries[i].name);
	free(uids);
}

uint16_t uids_give(struct uids *uids, uint16_t scope, const char *name)
{
	uint16_t unused = uids->count;

	for (uint16_t i = 0; i < uids->count; i++) {
		const struct entry *entry = &uids->entries[i];
		if (!entry->name)
			unused = unused == uids->count ? i : unused;
		else if (entry->scope == scope && strcmp(entry->name, name) == 0)
			return i;
	}
	if (unused == uids->capacity)
		return UIDS_FULL;
	char *copy = strdup(name);
	if (!copy)
		return UIDS_FULL;
	uids->entries[unused] = (struct entry){ .scope = scope, .name = copy };
	if (unused == uids->count)
		uids->count++;
	return unused;
}

uint16_t uids_scope(const struct uids *uids, uint16_t number)
{
	return number < uids->count && uids->entries[number].name ? uids->entries[number].scope : UIDS_FULL;
}

void uids_take_back(struct uids *uids, const bool *used)
{
	for (uint16_t i = 0; i < uids->count; i++) {
		if (used[i])
			continue;
		free(uids->entries[i].name);
		uids->entries[i].name = NULL;
	}
}

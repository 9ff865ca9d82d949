#include "path/backend_by_addr.h"

#include <stdlib.h>

/* Open addressing, at most half full. */
struct origins {
	const struct snapshot_backend *backends;
	uint64_t mask;
	uint16_t rows[]; /* index of a backend; SNAPSHOT_NO_BACKEND: none */
};

/* No secret is needed: what is in the table is configured, so that nobody can make a search long. */
static uint64_t row_of(const struct origins *origins, const struct addr *a)
{
	uint64_t high, low;

	memcpy(&high, a->ip, sizeof high);
	memcpy(&low, a->ip + 8, sizeof low);
	low = (low ^ a->port ^ high * UINT64_C(0xbf58476d1ce4e5b9)) * UINT64_C(0x9e3779b97f4a7c15);
	return (low ^ low >> 32) & origins->mask;
}

static uint64_t find_row(const struct origins *origins, const struct addr *a)
{
	uint64_t row = row_of(origins, a);

	while (origins->rows[row] != SNAPSHOT_NO_BACKEND && !addr_equal(&origins->backends[origins->rows[row]].addr, a))
		row = (row + 1) & origins->mask;
	return row;
}

struct origins *origins_new(const struct snapshot_pool *pool)
{
	struct origins *origins;
	size_t rows = 2;

	while (rows < 2 * pool->backend_count)
		rows *= 2;
	origins = malloc(sizeof *origins + rows * sizeof origins->rows[0]);
	if (!origins)
		return NULL;
	origins->backends = pool->backends;
	origins->mask = rows - 1;
	for (size_t i = 0; i < rows; i++)
		origins->rows[i] = SNAPSHOT_NO_BACKEND;
	for (size_t i = 0; i < pool->backend_count; i++) {
		uint16_t *row = &origins->rows[find_row(origins, &pool->backends[i].addr)];

		if (*row == SNAPSHOT_NO_BACKEND && !addr_is_wildcard(&pool->backends[i].addr))
			*row = (uint16_t)i;
	}
	return origins;
}

void origins_free(struct origins *origins)
{
	free(origins);
}

uint16_t origins_find(const struct origins *origins, const struct addr *from)
{
	return origins->rows[find_row(origins, from)];
}

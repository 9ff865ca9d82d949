#include "path/backend_by_addr.h"

#include <stdlib.h>

/* Open addressing, at most half full. */
struct backend_by_addr {
	const struct snapshot_backend *backends;
	uint64_t mask;
	uint16_t rows[]; /* index of a backend; SNAPSHOT_NO_BACKEND: none */
};

/* The hash needs no secret: all addresses in the table are configured, so nobody can make a search long. */
static uint64_t row_of(const struct backend_by_addr *backend_by_addr, const struct addr *a)
{
	uint64_t high, low;

	memcpy(&high, a->ip, sizeof high);
	memcpy(&low, a->ip + 8, sizeof low);
	/* Addresses often differ in their last octets alone, which are the highest here. */
	low ^= a->port ^ high * UINT64_C(0xbf58476d1ce4e5b9);
	low = (low ^ low >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	return (low ^ low >> 32) & backend_by_addr->mask;
}

static uint64_t find_row(const struct backend_by_addr *backend_by_addr, const struct addr *a)
{
	uint64_t row = row_of(backend_by_addr, a);

	while (backend_by_addr->rows[row] != SNAPSHOT_NO_BACKEND &&
	       !addr_equal(&backend_by_addr->backends[backend_by_addr->rows[row]].addr, a))
		row = (row + 1) & backend_by_addr->mask;
	return row;
}

struct backend_by_addr *backend_by_addr_new(const struct snapshot_pool *pool)
{
	struct backend_by_addr *backend_by_addr;
	size_t rows = 2;

	while (rows < 2 * pool->backend_count)
		rows *= 2;
	backend_by_addr = malloc(sizeof *backend_by_addr + rows * sizeof backend_by_addr->rows[0]);
	if (!backend_by_addr)
		return NULL;
	backend_by_addr->backends = pool->backends;
	backend_by_addr->mask = rows - 1;
	for (size_t i = 0; i < rows; i++)
		backend_by_addr->rows[i] = SNAPSHOT_NO_BACKEND;
	for (size_t i = 0; i < pool->backend_count; i++) {
		uint16_t *row = &backend_by_addr->rows[find_row(backend_by_addr, &pool->backends[i].addr)];

		if (*row == SNAPSHOT_NO_BACKEND && !addr_is_wildcard(&pool->backends[i].addr))
			*row = (uint16_t)i;
	}
	return backend_by_addr;
}

void backend_by_addr_free(struct backend_by_addr *backend_by_addr)
{
	free(backend_by_addr);
}

uint16_t backend_by_addr_find(const struct backend_by_addr *backend_by_addr, const struct addr *from)
{
	return backend_by_addr->rows[find_row(backend_by_addr, from)];
}

#include "path/backend_ifaces.h"

#include <stdlib.h>
#include <string.h>

#define ANY UINT32_MAX

struct row {
	uint8_t ip[16];
	uint32_t iface; /* 0: the row is free; ANY: there are several ways */
	uint16_t uid;
};

/* Open addressing, at most half full. */
struct backend_ifaces {
	uint64_t mask;
	struct row rows[];
};

/* As in backend_by_addr.c: all addresses in the table are configured. */
static uint64_t row_of(const struct backend_ifaces *ifaces, const uint8_t ip[static 16])
{
	const struct row *rows = ifaces->rows;
	uint64_t high, low, at;

	memcpy(&high, ip, sizeof high);
	memcpy(&low, ip + 8, sizeof low);
	/* Addresses often differ in their last octets alone, which are the highest here. */
	low ^= high * UINT64_C(0xbf58476d1ce4e5b9);
	low = (low ^ low >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	at = (low ^ low >> 32) & ifaces->mask;
	while (rows[at].iface && memcmp(rows[at].ip, ip, sizeof rows[at].ip) != 0)
		at = (at + 1) & ifaces->mask;
	return at;
}

struct backend_ifaces *backend_ifaces_new(const struct snapshot *snapshot)
{
	struct backend_ifaces *ifaces;
	size_t count = 0, rows = 2;

	for (size_t i = 0; i < snapshot->pool_count; i++)
		count += snapshot->pools[i].backend_count;
	while (rows < 2 * count)
		rows *= 2;
	ifaces = calloc(1, sizeof *ifaces + rows * sizeof ifaces->rows[0]);
	if (!ifaces)
		return NULL;
	ifaces->mask = rows - 1;
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		for (size_t j = 0; j < snapshot->pools[i].backend_count; j++) {
			const struct snapshot_backend *backend = &snapshot->pools[i].backends[j];
			const uint32_t iface = backend->iface ? backend->iface : ANY;
			struct row *row = &ifaces->rows[row_of(ifaces, backend->addr.ip)];

			memcpy(row->ip, backend->addr.ip, sizeof row->ip);
			row->iface = row->iface && row->iface != iface ? ANY : iface;
			row->uid = backend->uid;
		}
	}
	return ifaces;
}

void backend_ifaces_free(struct backend_ifaces *ifaces)
{
	free(ifaces);
}

uint16_t backend_ifaces_elsewhere(const struct backend_ifaces *ifaces, const uint8_t ip[static 16], uint32_t iface)
{
	const struct row *row = &ifaces->rows[row_of(ifaces, ip)];

	return row->iface && row->iface != ANY && row->iface != iface ? row->uid : SNAPSHOT_NO_BACKEND;
}

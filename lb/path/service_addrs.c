#include "path/service_addrs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"

enum { NUMBERS = 256 };

struct entry {
	uint16_t listener;
	uint8_t local[16];
};

struct services {
	pthread_mutex_t lock; /* for giving out a number */
	_Atomic uint16_t count;
	struct entry entries[NUMBERS]; /* constant below count */
};

struct services *services_new(void)
{
	struct services *services = calloc(1, sizeof *services);

	if (services)
		pthread_mutex_init(&services->lock, NULL);
	return services;
}

void services_free(struct services *services)
{
	if (!services)
		return;
	pthread_mutex_destroy(&services->lock);
	free(services);
}

static bool entry_find(const struct services *services, uint16_t listener, const uint8_t *local, uint16_t *number)
{
	uint16_t count = atomic_load_explicit(&services->count, memory_order_acquire);

	for (uint16_t i = 0; i < count; i++) {
		const struct entry *entry = &services->entries[i];

		if (entry->listener == listener && memcmp(entry->local, local, 16) == 0) {
			*number = (uint16_t)(STATS_LISTENERS + i);
			return true;
		}
	}
	return false;
}

uint16_t services_number(struct services *services, uint16_t listener, const uint8_t local[static 16])
{
	uint16_t number = listener, count;

	/* No lock once all are given out: that may be for every datagram. Looked at first: what is not among all of
	 * them then has none. */
	bool all = atomic_load_explicit(&services->count, memory_order_acquire) == NUMBERS;

	if (entry_find(services, listener, local, &number) || all)
		return number;
	pthread_mutex_lock(&services->lock);
	count = atomic_load_explicit(&services->count, memory_order_relaxed);
	if (!entry_find(services, listener, local, &number) && count < NUMBERS) {
		services->entries[count].listener = listener;
		memcpy(services->entries[count].local, local, 16);
		atomic_store_explicit(&services->count, count + 1, memory_order_release);
		number = (uint16_t)(STATS_LISTENERS + count);
	}
	pthread_mutex_unlock(&services->lock);
	return number;
}

struct service services_get(const struct services *services, uint16_t number)
{
	if (number < STATS_LISTENERS)
		return (struct service){ .listener = number };
	return (struct service){ services->entries[number - STATS_LISTENERS].listener,
				 services->entries[number - STATS_LISTENERS].local };
}

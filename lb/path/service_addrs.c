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

struct service_addrs {
	pthread_mutex_t lock; /* held while a number is given out */
	_Atomic uint16_t count;
	struct entry entries[NUMBERS]; /* those below `count` are constant */
	atomic_bool is_pinned[STATS_LISTENERS];
	uint8_t pinned[STATS_LISTENERS][16]; /* not read unless is_pinned */
};

struct service_addrs *service_addrs_new(void)
{
	struct service_addrs *service_addrs = calloc(1, sizeof *service_addrs);

	if (service_addrs)
		pthread_mutex_init(&service_addrs->lock, NULL);
	return service_addrs;
}

void service_addrs_free(struct service_addrs *service_addrs)
{
	if (!service_addrs)
		return;
	pthread_mutex_destroy(&service_addrs->lock);
	free(service_addrs);
}

static bool entry_find(const struct service_addrs *service_addrs, uint16_t listener, const uint8_t *local,
		       uint16_t *number)
{
	uint16_t count = atomic_load_explicit(&service_addrs->count, memory_order_acquire);

	for (uint16_t i = 0; i < count; i++) {
		const struct entry *entry = &service_addrs->entries[i];

		if (entry->listener == listener && memcmp(entry->local, local, 16) == 0) {
			*number = (uint16_t)(STATS_LISTENERS + i);
			return true;
		}
	}
	return false;
}

uint16_t service_addrs_number(struct service_addrs *service_addrs, uint16_t listener, const uint8_t local[static 16])
{
	uint16_t number = listener, count;

	/* Once all numbers are given out nobody takes the lock, because every datagram might. `all` is read before the
	 * search. If it is true, an address that the search does not find has no number. */
	bool all = atomic_load_explicit(&service_addrs->count, memory_order_acquire) == NUMBERS;

	if (entry_find(service_addrs, listener, local, &number) || all)
		return number;
	pthread_mutex_lock(&service_addrs->lock);
	count = atomic_load_explicit(&service_addrs->count, memory_order_relaxed);
	if (!entry_find(service_addrs, listener, local, &number) && count < NUMBERS) {
		service_addrs->entries[count].listener = listener;
		memcpy(service_addrs->entries[count].local, local, 16);
		atomic_store_explicit(&service_addrs->count, count + 1, memory_order_release);
		number = (uint16_t)(STATS_LISTENERS + count);
	}
	pthread_mutex_unlock(&service_addrs->lock);
	return number;
}

void service_addrs_pin(struct service_addrs *service_addrs, uint16_t listener, const uint8_t *local)
{
	if (local)
		memcpy(service_addrs->pinned[listener], local, sizeof service_addrs->pinned[listener]);
	atomic_store_explicit(&service_addrs->is_pinned[listener], local != NULL, memory_order_release);
}

struct service_addr service_addrs_get(const struct service_addrs *service_addrs, uint16_t number)
{
	if (number < STATS_LISTENERS) {
		const bool pinned = atomic_load_explicit(&service_addrs->is_pinned[number], memory_order_acquire);

		return (struct service_addr){ number, pinned ? service_addrs->pinned[number] : NULL };
	}
	return (struct service_addr){ service_addrs->entries[number - STATS_LISTENERS].listener,
				      service_addrs->entries[number - STATS_LISTENERS].local };
}

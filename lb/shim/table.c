#include "shim/table.h"

#include <sched.h>
#include <string.h>

enum { LOCK_TRIES = 4096 };

_Static_assert(TABLE_SETS % TABLE_LOCKS == 0, "a lock covers every TABLE_LOCKS-th set");

void table_hold(struct table *table)
{
	for (size_t i = 0; i < TABLE_SETS; i++)
		table->sets[i].clock = 1;
}

static bool lock_take(atomic_uint *lock)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (atomic_exchange_explicit(lock, 1, memory_order_acquire) == 0)
			return true;
		sched_yield();
	}
	return false;
}

static void lock_release(atomic_uint *lock)
{
	atomic_store_explicit(lock, 0, memory_order_release);
}

static size_t set_of(const struct table *table, const struct addr *device)
{
	return siphash_addr(&table->key, device, true) % TABLE_SETS;
}

static struct table_entry *find(struct table_set *set, unsigned port, const struct addr *device)
{
	for (size_t i = 0; i < TABLE_WAYS; i++) {
		struct table_entry *entry = &set->entries[i];
		if (entry->used && entry->port == port && addr_equal(&entry->device, device))
			return entry;
	}
	return NULL;
}

static struct table_entry *find_oldest(struct table_set *set)
{
	struct table_entry *oldest = &set->entries[0];

	for (size_t i = 1; i < TABLE_WAYS; i++)
		if (set->entries[i].used < oldest->used)
			oldest = &set->entries[i];
	return oldest;
}

static size_t service_place(const struct table *table, const struct addr *service)
{
	return siphash_addr(&table->key, service, true) % TABLE_SERVICES;
}

static bool is_probe(const struct addr *device, const struct table_way *way)
{
	return memcmp(device->ip, way->node.ip, sizeof device->ip) == 0;
}

/* The place of a service address, or where it is to be. */
static uint32_t place_of(const struct table_ways *ways, const struct addr *service)
{
	uint32_t at = 0;

	while (at < ways->count && !addr_equal(&ways->ways[at].service, service))
		at++;
	return at < TABLE_PAIRS ? at : TABLE_PAIRS - 1;
}

static uint32_t later(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Forgets the ways that were silent since the one at `heard` began. */
static void forget_silent(struct table_ways *ways, uint32_t heard, uint32_t now_s)
{
	const uint32_t since_s = ways->first_s[heard];
	uint32_t kept = 0;

	for (uint32_t i = 0; i < ways->count; i++) {
		/* Of two threads, the later one may have read the time first. */
		const int32_t silent_s = (int32_t)(now_s - later(ways->last_s[i], since_s));
		if (i != heard && silent_s >= TABLE_SILENCE_S)
			continue;
		ways->ways[kept] = ways->ways[i];
		ways->first_s[kept] = ways->first_s[i];
		ways->last_s[kept++] = ways->last_s[i];
	}
	ways->count = kept;
}

static void hear(struct table_ways *ways, const struct table_way *way, uint32_t now_s)
{
	const uint32_t at = place_of(ways, &way->service);

	if (at == ways->count || !addr_equal(&ways->ways[at].service, &way->service))
		ways->first_s[at] = now_s;
	ways->ways[at] = *way;
	ways->last_s[at] = now_s;
	if (at == ways->count)
		ways->count++;
	forget_silent(ways, at, now_s);
}

void table_learn(struct table *table, unsigned port, const struct addr *device, const struct table_way *way,
		 uint32_t now_s)
{
	const size_t at = set_of(table, device);
	struct table_set *set = &table->sets[at];

	if (lock_take(&table->locks[at % TABLE_LOCKS])) {
		struct table_entry *entry = find(set, port, device);
		if (!entry) {
			entry = find_oldest(set);
			*entry = (struct table_entry){ .device = *device, .port = (uint16_t)port };
		}
		entry->used = ++set->clock;
		hear(&entry->ways, way, now_s);
		lock_release(&table->locks[at % TABLE_LOCKS]);
	}
	if (lock_take(&table->last_lock)) {
		struct table_last *last = &table->last[port][addr_is_v4(device)];
		table->services[service_place(table, &way->service)] = (struct table_service){ way->service, way->key };
		const bool of_probe = is_probe(device, way);
		if (last->of_probe && !of_probe)
			last->ways.count = 0;
		if (!of_probe || last->of_probe || last->ways.count == 0) {
			last->of_probe = of_probe;
			hear(&last->ways, way, now_s);
		}
		lock_release(&table->last_lock);
	}
}

static size_t copy_ways(struct table_way out[static TABLE_PAIRS], const struct table_ways *ways)
{
	memcpy(out, ways->ways, sizeof ways->ways);
	return ways->count;
}

static void sign_anew(const struct table *table, struct table_way *way)
{
	const struct table_service *heard = &table->services[service_place(table, &way->service)];

	if (addr_equal(&heard->service, &way->service))
		way->key = heard->key;
}

size_t table_find(struct table *table, unsigned port, const struct addr *device,
		  struct table_way out[static TABLE_PAIRS])
{
	const size_t at = set_of(table, device);
	size_t count = 0;

	if (lock_take(&table->locks[at % TABLE_LOCKS])) {
		const struct table_entry *entry = find(&table->sets[at], port, device);
		if (entry)
			count = copy_ways(out, &entry->ways);
		lock_release(&table->locks[at % TABLE_LOCKS]);
	}
	if (!lock_take(&table->last_lock))
		return count;
	if (count == 0)
		count = copy_ways(out, &table->last[port][addr_is_v4(device)].ways);
	for (size_t i = 0; i < count; i++)
		sign_anew(table, &out[i]);
	lock_release(&table->last_lock);
	return count;
}

void table_recover(struct table *table)
{
	for (size_t i = 0; i < TABLE_LOCKS; i++) {
		if (atomic_load_explicit(&table->locks[i], memory_order_relaxed) == 0)
			continue;
		for (size_t at = i; at < TABLE_SETS; at += TABLE_LOCKS)
			memset(&table->sets[at], 0, sizeof table->sets[at]);
		lock_release(&table->locks[i]);
	}
	if (atomic_load_explicit(&table->last_lock, memory_order_relaxed) != 0) {
		memset(table->last, 0, sizeof table->last);
		memset(table->services, 0, sizeof table->services);
		lock_release(&table->last_lock);
	}
}

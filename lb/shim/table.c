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

static bool is_probe(const struct addr *device, const struct table_way *way)
{
	return memcmp(device->ip, way->node.ip, sizeof device->ip) == 0;
}

void table_learn(struct table *table, unsigned port, const struct addr *device, const struct table_way *way)
{
	const size_t at = set_of(table, device);
	struct table_set *set = &table->sets[at];

	if (lock_take(&table->locks[at % TABLE_LOCKS])) {
		struct table_entry *entry = find(set, port, device);
		if (!entry)
			entry = find_oldest(set);
		*entry = (struct table_entry){ *device, *way, (uint16_t)port, ++set->clock };
		lock_release(&table->locks[at % TABLE_LOCKS]);
	}
	if (lock_take(&table->last_lock)) {
		struct table_last *last = &table->last[port][addr_is_v4(device)];
		const bool of_probe = is_probe(device, way);
		if (!of_probe || last->of_probe || !last->known)
			*last = (struct table_last){ true, of_probe, *way };
		lock_release(&table->last_lock);
	}
}

static bool find_last(struct table *table, unsigned port, const struct addr *device, struct table_way *out)
{
	if (!lock_take(&table->last_lock))
		return false;
	const struct table_last last = table->last[port][addr_is_v4(device)];
	lock_release(&table->last_lock);
	*out = last.way;
	return last.known;
}

bool table_find(struct table *table, unsigned port, const struct addr *device, struct table_way *out)
{
	const size_t at = set_of(table, device);
	const struct table_entry *entry = NULL;

	if (lock_take(&table->locks[at % TABLE_LOCKS])) {
		entry = find(&table->sets[at], port, device);
		if (entry)
			*out = entry->way;
		lock_release(&table->locks[at % TABLE_LOCKS]);
	}
	return entry || find_last(table, port, device, out);
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
		lock_release(&table->last_lock);
	}
}

#include "path/drops.h"

#include <string.h>

enum { REFUSED_BIT = 1 << 15, TRIES = 100 };

_Static_assert((DROPS_SLOTS & (DROPS_SLOTS - 1)) == 0, "a power of two");

static size_t slot_of(const struct siphash_key *key, const uint8_t ip[static 16])
{
	return siphash24(key, ip, 16) & (DROPS_SLOTS - 1);
}

static uint32_t what_of(const struct drop *drop)
{
	const uint32_t why = drop->why.refused ? REFUSED_BIT | (uint32_t)drop->why.reason : (uint32_t)drop->why.verdict;

	return (uint32_t)drop->from.port << 16 | why;
}

void drops_note(struct drops *drops, const struct siphash_key *key, const struct drop *drop)
{
	const size_t at = slot_of(key, drop->from.ip);
	const uint32_t changes = atomic_load_explicit(&drops->slots[at].changes, memory_order_relaxed);
	const uint32_t times = atomic_load_explicit(&drops->slots[at].times, memory_order_relaxed);
	uint64_t ip[2];
	bool same = times > 0;

	memcpy(ip, drop->from.ip, sizeof ip);
	for (int i = 0; i < 2; i++)
		same = same && atomic_load_explicit(&drops->slots[at].ip[i], memory_order_relaxed) == ip[i];
	atomic_store_explicit(&drops->slots[at].changes, changes + 1, memory_order_relaxed);
	/* Nothing of what follows is seen before that. */
	for (int i = 0; i < 2; i++)
		atomic_store_explicit(&drops->slots[at].ip[i], ip[i], memory_order_release);
	atomic_store_explicit(&drops->slots[at].what, what_of(drop), memory_order_release);
	atomic_store_explicit(&drops->slots[at].service, drop->service, memory_order_release);
	atomic_store_explicit(&drops->slots[at].last_s, drop->last_s, memory_order_release);
	atomic_store_explicit(&drops->slots[at].times,
			      same && times < UINT32_MAX ? times + 1
			      : same                     ? times
							 : 1,
			      memory_order_release);
	atomic_store_explicit(&drops->slots[at].changes, changes + 2, memory_order_release);
}

/* False: it was being written. */
static bool slot_read(const struct drops *drops, size_t at, struct drop *out)
{
	const uint32_t changes = atomic_load_explicit(&drops->slots[at].changes, memory_order_acquire);
	uint64_t ip[2];
	uint32_t what;

	for (int i = 0; i < 2; i++)
		ip[i] = atomic_load_explicit(&drops->slots[at].ip[i], memory_order_acquire);
	what = atomic_load_explicit(&drops->slots[at].what, memory_order_acquire);
	*out = (struct drop){
		.service = (uint16_t)atomic_load_explicit(&drops->slots[at].service, memory_order_acquire),
		.last_s = atomic_load_explicit(&drops->slots[at].last_s, memory_order_acquire),
		.times = atomic_load_explicit(&drops->slots[at].times, memory_order_acquire),
		.why = { .refused = what & REFUSED_BIT },
	};
	out->from.port = (uint16_t)(what >> 16);
	memcpy(out->from.ip, ip, sizeof ip);
	if (out->why.refused)
		out->why.reason = (enum refused)(what & (REFUSED_BIT - 1));
	else
		out->why.verdict = (enum verdict)(what & (REFUSED_BIT - 1));
	return changes % 2 == 0 && atomic_load_explicit(&drops->slots[at].changes, memory_order_relaxed) == changes;
}

bool drops_find(const struct drops *drops, const struct siphash_key *key, const uint8_t ip[static 16], struct drop *out)
{
	const size_t at = slot_of(key, ip);

	for (int i = 0; i < TRIES; i++)
		if (slot_read(drops, at, out))
			return out->times > 0 && memcmp(out->from.ip, ip, sizeof out->from.ip) == 0;
	return false;
}

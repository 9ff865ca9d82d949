#include "claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "steering.h"

/* What one backend has to do with one id. */
struct stake {
	struct server_id id;
	uint16_t uid;
	bool configured; /* for this backend */
	bool claimed;    /* by this backend, and it serves */
};

struct settling {
	const struct claims_backend **backends; /* sorted by uid */
	size_t backend_count;
	struct stake *stakes; /* sorted by id, then uid */
	size_t stake_count;
	struct claims_entry *entries; /* will become claims->entries */
	size_t count;
	struct claims_entry **unheard; /* those of the entries without a stake */
	size_t unheard_count;
	uint64_t round;
	bool changed;
	claims_report report;
	void *ctx;
};

/* The stakes in one id. */
struct tally {
	uint16_t configured; /* uid; CLAIMS_NOBODY: for no backend */
	bool at_home;        /* that backend claims it */
	size_t claimants;
	uint16_t first, second; /* the claimants with the lowest uids, the owner before all others */
};

int claims_id_compare(const void *left, const void *right)
{
	const struct server_id *a = left, *b = right;

	return a->len != b->len ? a->len - b->len : memcmp(a->octets, b->octets, a->len);
}

static int stake_compare(const void *left, const void *right)
{
	const struct stake *a = left, *b = right;
	const int order = claims_id_compare(&a->id, &b->id);

	if (order || a->uid != b->uid)
		return order ? order : a->uid - b->uid;
	return b->configured - a->configured; /* so that it is known by the time of the claim */
}

static int backend_compare(const void *left, const void *right)
{
	const struct claims_backend *const *a = left, *const *b = right;

	return (*a)->uid - (*b)->uid;
}

/* By owner. Of the ids of one owner, those heard of last come first. */
static int unheard_compare(const void *left, const void *right)
{
	const struct claims_entry *const *a = left, *const *b = right;

	if ((*a)->owner != (*b)->owner)
		return (*a)->owner - (*b)->owner;
	if ((*a)->heard != (*b)->heard)
		return (*a)->heard > (*b)->heard ? -1 : 1;
	return claims_id_compare(&(*a)->id, &(*b)->id);
}

static const struct claims_backend *backend_find(const struct settling *settling, uint16_t uid)
{
	const struct claims_backend wanted = { .uid = uid }, *key = &wanted;
	const struct claims_backend **found = bsearch(&key, settling->backends, settling->backend_count,
						      sizeof(struct claims_backend *), backend_compare);

	return found ? *found : NULL;
}

bool claims_may(const struct claims_backend *backend, const struct server_id *id)
{
	if (backend->may_claim_any || (backend->has_id && claims_id_compare(&backend->id, id) == 0))
		return true;
	return backend->may_claim_count > 0 &&
	       bsearch(id, backend->may_claim, backend->may_claim_count, sizeof *backend->may_claim, claims_id_compare);
}

/* How many claims of the backend count. */
static size_t claims_that_count(const struct claims_backend *backend)
{
	size_t count = 0;

	for (size_t i = 0; i < backend->claim_count; i++)
		count += claims_may(backend, &backend->claims[i]);
	return count;
}

static void stakes_add(struct settling *settling, const struct claims_backend *backend)
{
	struct stake *first = &settling->stakes[settling->stake_count], *stake = first + backend->has_id;
	const bool claims = backend->serves && !backend->unheard;

	for (size_t i = 0; i < backend->claim_count; i++)
		if (claims_may(backend, &backend->claims[i]))
			*stake++ = (struct stake){ backend->claims[i], backend->uid, false, claims };
	if (backend->has_id)
		*first = (struct stake){ backend->id, backend->uid, true, claims && stake == first + 1 };
	settling->stake_count = (size_t)(stake - settling->stakes);
}

/* False: out of memory. */
static bool settling_begin(struct settling *settling, const struct claims *claims,
			   const struct claims_backend *backends, size_t count)
{
	size_t stakes = count;

	for (size_t i = 0; i < count; i++)
		stakes += backends[i].claim_count;
	settling->backends = calloc(count + 1, sizeof(struct claims_backend *));
	settling->stakes = calloc(stakes + 1, sizeof *settling->stakes);
	settling->entries = calloc(stakes + claims->count + 1, sizeof *settling->entries);
	settling->unheard = calloc(claims->count + 1, sizeof(struct claims_entry *));
	if (!settling->backends || !settling->stakes || !settling->entries || !settling->unheard)
		return false;
	for (size_t i = 0; i < count; i++) {
		settling->backends[settling->backend_count++] = &backends[i];
		stakes_add(settling, &backends[i]);
	}
	qsort(settling->backends, settling->backend_count, sizeof(struct claims_backend *), backend_compare);
	qsort(settling->stakes, settling->stake_count, sizeof *settling->stakes, stake_compare);
	return true;
}

static void settling_end(struct settling *settling)
{
	free(settling->backends);
	free(settling->stakes);
	free(settling->entries);
	free(settling->unheard);
}

/* A backend may have two stakes in an id, or name it twice. These are neighbours, and count as one claimant. */
static struct tally stakes_tally(const struct stake *stakes, size_t count, uint16_t owner)
{
	struct tally tally = { CLAIMS_NOBODY, false, 0, CLAIMS_NOBODY, CLAIMS_NOBODY };
	uint16_t last = CLAIMS_NOBODY;

	for (size_t i = 0; i < count; i++) {
		const uint16_t uid = stakes[i].uid;

		if (stakes[i].configured)
			tally.configured = uid;
		tally.at_home |= stakes[i].claimed && uid == tally.configured;
		if (!stakes[i].claimed || uid == last)
			continue;
		last = uid;
		tally.claimants++;
		if (tally.first == CLAIMS_NOBODY) {
			tally.first = uid;
		} else if (uid == owner) {
			tally.second = tally.first;
			tally.first = uid;
		} else if (tally.second == CLAIMS_NOBODY) {
			tally.second = uid;
		}
	}
	return tally;
}

/* An owner that has not been heard yet may still claim its id, so nobody takes it. */
static bool is_unheard(const struct settling *settling, uint16_t owner)
{
	const struct claims_backend *backend = backend_find(settling, owner);

	return backend && backend->unheard;
}

static bool is_of_interest(const struct claims_entry *entry)
{
	return entry->owner != CLAIMS_NOBODY || entry->contested;
}

/* Settles one id: who had it (`old` may be NULL), who has a stake in it, who gets it. */
static void id_settle(struct settling *settling, const struct claims_entry *old, const struct stake *stakes,
		      size_t count)
{
	struct claims_entry now = old ? *old : (struct claims_entry){ .id = stakes->id, .owner = CLAIMS_NOBODY };
	const uint16_t before = now.owner;
	struct tally tally = stakes_tally(stakes, count, before);
	uint16_t from = old ? before : tally.configured;

	if (!backend_find(settling, before))
		now.owner = tally.configured;
	if (tally.at_home)
		now.owner = tally.configured;
	else if (tally.claimants == 1 && !is_unheard(settling, now.owner))
		now.owner = tally.first;
	now.contested = tally.claimants > 1;
	if (count > 0)
		now.heard = settling->round;
	settling->changed |= now.owner != before;
	if (now.owner != from && now.owner != CLAIMS_NOBODY)
		settling->report(settling->ctx, CLAIMS_MOVED, &now.id, from, now.owner);
	if (now.contested && !(old && old->contested)) {
		tally = stakes_tally(stakes, count, now.owner);
		settling->report(settling->ctx, CLAIMS_CONTESTED, &now.id, tally.first, tally.second);
	}
	if (!now.contested && old && old->contested)
		settling->report(settling->ctx, CLAIMS_SETTLED, &now.id, now.owner, CLAIMS_NOBODY);
	if (!is_of_interest(&now))
		return;
	settling->entries[settling->count] = now;
	if (count == 0)
		settling->unheard[settling->unheard_count++] = &settling->entries[settling->count];
	settling->count++;
}

/* Settles, in order, every id that was known or in which a backend has a stake. */
static void ids_settle(struct settling *settling, const struct claims *claims)
{
	const struct stake *stakes = settling->stakes, *end = stakes + settling->stake_count;
	size_t at = 0;

	while (at < claims->count || stakes < end) {
		const struct claims_entry *old = at < claims->count ? &claims->entries[at] : NULL;
		const struct server_id *id = old ? &old->id : &stakes->id;
		size_t count = 0;

		if (old && stakes < end && claims_id_compare(&stakes->id, id) < 0) {
			old = NULL;
			id = &stakes->id;
		}
		while (stakes + count < end && claims_id_compare(&stakes[count].id, id) == 0)
			count++;
		id_settle(settling, old, stakes, count);
		stakes += count;
		at += old != NULL;
	}
}

/* Besides its configured id, a backend holds at most STEERING_IDS ids, including those that it claims now. */
static void unheard_forget(struct settling *settling)
{
	uint16_t owner = CLAIMS_NOBODY;
	size_t held = 0, kept = 0;

	qsort(settling->unheard, settling->unheard_count, sizeof(struct claims_entry *), unheard_compare);
	for (size_t i = 0; i < settling->unheard_count; i++) {
		struct claims_entry *entry = settling->unheard[i];

		if (entry->owner != owner) {
			owner = entry->owner;
			held = claims_that_count(backend_find(settling, owner));
		}
		if (held++ < STEERING_IDS)
			continue;
		entry->owner = CLAIMS_NOBODY;
		settling->changed = true;
	}
	for (size_t i = 0; i < settling->count; i++) {
		if (is_of_interest(&settling->entries[i]))
			settling->entries[kept++] = settling->entries[i];
	}
	settling->count = kept;
}

bool claims_settle(struct claims *claims, const struct claims_backend *backends, size_t count, claims_report report,
		   void *ctx, bool *failed)
{
	struct settling settling = { .round = claims->round + 1, .report = report, .ctx = ctx };
	struct claims_entry *old = claims->entries;
	const bool begun = settling_begin(&settling, claims, backends, count);

	if (failed)
		*failed = !begun;
	if (begun) {
		ids_settle(&settling, claims);
		unheard_forget(&settling);
		*claims = (struct claims){ settling.entries, settling.count, settling.round };
		settling.entries = old;
	}
	settling_end(&settling);
	return settling.changed;
}

/* Makes room for one more seed, by doubling. */
static struct claims_entry *seeds_grow(struct claims *claims)
{
	struct claims_entry *entries = claims->entries;

	if (claims->count & (claims->count - 1))
		return entries;
	entries = calloc(claims->count ? 2 * claims->count : 1, sizeof *entries);
	if (!entries)
		return NULL;
	if (claims->count)
		memcpy(entries, claims->entries, claims->count * sizeof *entries);
	free(claims->entries);
	return claims->entries = entries;
}

int claims_seed(struct claims *claims, const struct server_id *id, uint16_t owner)
{
	struct claims_entry *entries;
	size_t at = claims->count;

	while (at > 0 && claims_id_compare(&claims->entries[at - 1].id, id) > 0)
		at--;
	if (at > 0 && claims_id_compare(&claims->entries[at - 1].id, id) == 0)
		return -EEXIST;
	entries = seeds_grow(claims);
	if (!entries)
		return -ENOMEM;
	memmove(entries + at + 1, entries + at, (claims->count - at) * sizeof *entries);
	entries[at] = (struct claims_entry){ .id = *id, .owner = owner };
	claims->count++;
	return 0;
}

static int entry_compare(const void *left, const void *right)
{
	const struct claims_entry *entry = right;

	return claims_id_compare(left, &entry->id);
}

uint16_t claims_owner(const struct claims *claims, const struct server_id *id)
{
	const struct claims_entry *found =
		claims->count ? bsearch(id, claims->entries, claims->count, sizeof *claims->entries, entry_compare)
			      : NULL;

	return found ? found->owner : CLAIMS_NOBODY;
}

void claims_free(struct claims *claims)
{
	free(claims->entries);
	*claims = (struct claims){ 0 };
}

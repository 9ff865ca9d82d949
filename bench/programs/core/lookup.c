/* Tables: of consistent hashing, and of server ids; and the building of the first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "bench/programs/core/groups.h"
#include "bench/programs/core/pools.h"
#include "common/learned.h"

enum { KEYS = 65536, NAME_OCTETS = 8, LOOKUP_BACKENDS = 250, LEARNED_BATCH = 16, LEARNED_CID_OCTETS = 8 };

struct lookup {
	const struct snapshot_pool *pool;
	union {
		uint64_t hashes[KEYS];
		struct server_id ids[KEYS];
	};
};

static uint64_t find_hashes(void *ctx, size_t operations)
{
	const struct lookup *of = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++)
		sum += snapshot_backend_of_hash(of->pool, of->hashes[i % KEYS]);
	return sum;
}

static uint64_t find_ids(void *ctx, size_t operations)
{
	const struct lookup *of = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++)
		sum += snapshot_backend_of_id(of->pool, &of->ids[i % KEYS]);
	return sum;
}

static void hash_case(const struct core_case *this, enum measure_effort effort)
{
	struct lookup *of = measure_alloc(1, sizeof *of);
	struct dice dice = { 6 };

	of->pool = pools_get(POOLS_NODE_ID, this->backends);
	for (size_t i = 0; i < KEYS; i++)
		of->hashes[i] = dice_roll(&dice);
	measure(this, effort, KEYS, find_hashes, of);
	free(of);
}

static void id_case(const struct core_case *this, enum measure_effort effort)
{
	struct lookup *of = measure_alloc(1, sizeof *of);
	struct dice dice = { 6 };

	of->pool = pools_get((enum pools_layout)this->of, this->backends);
	for (size_t i = 0; i < KEYS; i++)
		measure_require(
			cid_id_from_number(&of->ids[i], &of->pool->layout, 1 + dice_roll(&dice) % this->backends) == 0,
			this->name);
	measure(this, effort, KEYS, find_ids, of);
	free(of);
}

/* Learned CIDs, asked for in random order. */
struct learned_bed {
	struct learned learned;
	void *memory;
	uint32_t cids, batch;
	uint32_t order[KEYS];
};

static void learned_cid(uint8_t cid[static LEARNED_CID_OCTETS], uint32_t number)
{
	const uint64_t mixed = (number + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);

	memcpy(cid, &mixed, LEARNED_CID_OCTETS);
}

static uint64_t find_learned(void *ctx, size_t operations)
{
	const struct learned_bed *of = ctx;
	uint8_t cids[LEARNED_BATCH][LEARNED_CID_OCTETS];
	struct learned_asked asked[LEARNED_BATCH];
	struct learned_by by[LEARNED_BATCH];
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i += of->batch) {
		for (size_t j = 0; j < of->batch; j++) {
			learned_cid(cids[j], of->order[(i + j) % KEYS]);
			asked[j].cid = cids[j];
			asked[j].len = LEARNED_CID_OCTETS;
		}
		learned_find_all(&of->learned, asked, by, of->batch);
		for (size_t j = 0; j < of->batch; j++)
			sum += by[j].last;
	}
	return sum;
}

static void learned_case(const struct core_case *this, enum measure_effort effort)
{
	static const uint8_t secret[16] = { 3 };
	struct learned_bed *of = measure_alloc(1, sizeof *of);
	struct dice dice = { 6 };

	of->cids = (uint32_t)this->of;
	of->batch = this->batch;
	of->memory = pages_take_large(learned_octets(of->cids));
	measure_require(of->memory, this->name);
	learned_begin(&of->learned, of->memory, of->cids, secret);
	for (uint32_t i = 0; i < of->cids; i++) {
		uint8_t cid[LEARNED_CID_OCTETS];

		learned_cid(cid, i);
		measure_require(learned_add(&of->learned, cid, sizeof cid, 1) == LEARNED_ADDED, this->name);
	}
	for (size_t i = 0; i < KEYS; i++)
		of->order[i] = (uint32_t)(dice_roll(&dice) % of->cids);
	measure_require(find_learned(of, KEYS) == KEYS, this->name);
	measure(this, effort, KEYS, find_learned, of);
	pages_return(of->memory, learned_octets(of->cids));
	free(of);
}

struct build {
	struct rendezvous tables[2];
	struct rendezvous_member members[2][RENDEZVOUS_MAX_MEMBERS]; /* of the second, one has another weight */
	char names[RENDEZVOUS_MAX_MEMBERS][NAME_OCTETS];
	size_t count;
};

static const struct siphash_key key = { 1, 2 };

static uint64_t build_full(void *ctx, size_t operations)
{
	struct build *of = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++) {
		rendezvous_build(&of->tables[i % 2], &key, of->members[i % 2], of->count);
		sum += of->tables[i % 2].first[i % RENDEZVOUS_SLOTS];
	}
	return sum;
}

/* There and back. */
static uint64_t build_change(void *ctx, size_t operations)
{
	struct build *of = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < operations; i++) {
		const size_t to = (i + 1) % 2, from = i % 2;

		rendezvous_update(&of->tables[to], &key, of->members[to], of->count,
				  &(struct rendezvous_built){ &of->tables[from], of->members[from], of->count });
		sum += of->tables[to].first[i % RENDEZVOUS_SLOTS];
	}
	return sum;
}

static void build_case(const struct core_case *this, enum measure_effort effort)
{
	struct build *of = measure_alloc(1, sizeof *of);

	of->count = this->backends;
	for (size_t i = 0; i < of->count; i++) {
		snprintf(of->names[i], sizeof of->names[i], "b%u", (unsigned)(i & 0xffff));
		of->members[0][i] = of->members[1][i] = (struct rendezvous_member){ of->names[i], 100 };
	}
	of->members[1][of->count / 2].weight = 50;
	if (this->of)
		rendezvous_build(&of->tables[0], &key, of->members[0], of->count);
	measure(this, effort, 0, this->of ? build_change : build_full, of);
	free(of);
}

enum { FULL, CHANGE };

static const struct core_case cases[] = {
	{ "lookup/hash", hash_case, .backends = LOOKUP_BACKENDS },
	{ "lookup/id-1", id_case, POOLS_NODE_ID, .backends = LOOKUP_BACKENDS },
	{ "lookup/id-2", id_case, POOLS_NODE_ID_2, .backends = LOOKUP_BACKENDS },
	{ "lookup/id-3", id_case, POOLS_NODE_ID_3, .backends = LOOKUP_BACKENDS },
	{ "lookup/learned-100k", learned_case, 100000, .batch = 1 },
	{ "lookup/learned-100k/batch", learned_case, 100000, .batch = LEARNED_BATCH },
	{ "lookup/learned-1m", learned_case, 1000000, .batch = 1 },
	{ "lookup/learned-1m/batch", learned_case, 1000000, .batch = LEARNED_BATCH },
	{ "build/full-8", build_case, FULL, .backends = 8, .operations = 1, .repetitions = 3 },
	{ "build/full-64", build_case, FULL, .backends = 64, .operations = 1, .repetitions = 3 },
	{ "build/full-256", build_case, FULL, .backends = 256, .operations = 1, .repetitions = 1 },
	{ "build/full-1000", build_case, FULL, .backends = 1000, .operations = 1, .repetitions = 1, .slow = true },
	{ "build/change-8", build_case, CHANGE, .backends = 8, .operations = 2, .repetitions = 3 },
	{ "build/change-64", build_case, CHANGE, .backends = 64, .operations = 2, .repetitions = 3 },
	{ "build/change-256", build_case, CHANGE, .backends = 256, .operations = 2, .repetitions = 3 },
	{ "build/change-1000", build_case, CHANGE, .backends = 1000, .operations = 2, .repetitions = 3 },
};

const struct core_group core_lookup = { cases, sizeof cases / sizeof *cases };

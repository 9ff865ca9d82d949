#include "tests/simulation/pool/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const pool_member_names[MEMBERS] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" };
const struct cid_layout pool_layout = { .scheme = CID_LAYOUT_ID,
					.lbcid = { .scheme = LBCID_NODE_ID, .length = 6, .size = 1 },
					.length = 6 };

static const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

/* By number of backends. A world begins with a slot table that another world has built. */
static struct snapshot *beginnings[MEMBERS + 1];

void pool_expect(struct pool_world *world, bool holds, const char *what)
{
	if (!holds && !world->broken)
		world->broken = what;
}

void pool_trace(const struct pool_world *world, const char *format, ...)
{
	va_list args;

	if (!world->traced)
		return;
	printf("%llu ", (unsigned long long)world->step);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

unsigned pool_member_of(const struct pool_world *world, uint16_t uid)
{
	for (unsigned i = 0; i < world->count; i++) {
		if (world->members[world->order[i]].uid == uid)
			return world->order[i];
	}
	return NO_MEMBER;
}

struct server_id pool_id_of(unsigned number)
{
	return (struct server_id){ 1, { (uint8_t)number } };
}

/* Writes the specs of the pool, with what is in force now. */
static void spec_fill(struct pool_world *world, struct table_spec *spec)
{
	struct conf_backend backends[MEMBERS];
	struct conf_pool pool = { .name = (char *)"pool",
				  .affinity = world->affinity,
				  .all_down = world->all_down,
				  .layout = pool_layout,
				  .backends = backends,
				  .backend_count = world->count };
	const struct conf conf = { .pools = &pool, .pool_count = 1 };

	for (unsigned i = 0; i < world->count; i++) {
		const struct pool_member *member = &world->members[world->order[i]];

		backends[i] = (struct conf_backend){ .name = (char *)pool_member_names[world->order[i]],
						     .has_id = member->id != NO_ID,
						     .id = pool_id_of(member->id),
						     .addr = member->addr,
						     .weight = member->weight,
						     .admin = member->wish };
	}
	if (table_spec_make(spec, &conf, world->pools, world->backends))
		abort();
	for (unsigned i = 0; i < world->count; i++) {
		struct pool_member *member = &world->members[world->order[i]];

		member->uid = spec->backends[i].uid;
		spec->backends[i].name = pool_member_names[world->order[i]];
		spec->backends[i].health = backend_state_health(&member->state);
		spec->backends[i].admin = backend_state_admin(&member->state);
		spec->backends[i].weight = backend_state_weight(&member->state, member->weight);
	}
}

static struct snapshot *table_build(const struct table_spec *spec, const struct snapshot *previous)
{
	struct snapshot *table = snapshot_build(&key, spec->pools, spec->pool_count, previous);

	if (!table)
		abort();
	return table;
}

/* Settles the ids and publishes the table. */
static void world_publish(struct pool_world *world)
{
	struct snapshot *previous = world->snapshot;
	struct table_spec spec;

	spec_fill(world, &spec);
	pool_settle(world);
	pool_check_ids(world);
	if (table_spec_set_ids(&spec, 0, &world->claims))
		abort();
	world->snapshot = table_build(&spec, previous ? previous : beginnings[world->count]);
	if (!previous && !beginnings[world->count])
		beginnings[world->count] = table_build(&spec, world->snapshot);
	snapshot_free(previous);
	table_spec_free(&spec);
	pool_check_routes(world);
}

static void world_restart(struct pool_world *world)
{
	struct pool_id before[IDS];

	memcpy(before, world->id, sizeof before);
	pool_restart(world);
	world_publish(world);
	pool_check_restarted(world, before);
}

static void world_begin(struct pool_world *world, uint64_t seed, bool traced)
{
	*world = (struct pool_world){ .dice = { seed }, .traced = traced };
	world->rise = dice_between(&world->dice, 1, 4);
	world->fall = dice_between(&world->dice, 1, 4);
	world->ids = dice_percent(&world->dice, 75) ? 16 : IDS;
	world->all_down = dice_percent(&world->dice, 50) ? ALL_DOWN_HASH : ALL_DOWN_DROP;
	world->affinity = dice_percent(&world->dice, 50) ? AFFINITY_ADDRESS_PORT : AFFINITY_ADDRESS;
	world->weighs = dice_percent(&world->dice, 10);
	world->pools = uids_new(1);
	world->backends = uids_new(MEMBERS);
	if (!world->pools || !world->backends)
		abort();
	world->count = dice_between(&world->dice, 1, MEMBERS);
	for (unsigned i = 0; i < world->count; i++) {
		world->order[i] = i;
		pool_member_begin(world, i);
	}
	for (unsigned i = 0; i < IDS; i++)
		world->id[i] = (struct pool_id){ .owner = CLAIMS_NOBODY };
}

const char *pool_world_run(struct pool_world *world, uint64_t seed, uint64_t steps, bool traced)
{
	world_begin(world, seed, traced);
	world_publish(world);
	while (!world->broken && world->step < steps) {
		world->step++;
		if (dice_percent(&world->dice, 3))
			world_restart(world);
		for (unsigned i = dice_percent(&world->dice, 90) ? 1 : dice_between(&world->dice, 2, 8); i > 0; i--)
			pool_happen(world);
		world_publish(world);
	}
	claims_free(&world->claims);
	uids_free(world->pools);
	uids_free(world->backends);
	snapshot_free(world->snapshot);
	return world->broken;
}

void pool_world_end(void)
{
	for (unsigned i = 0; i <= MEMBERS; i++)
		snapshot_free(beginnings[i]);
}

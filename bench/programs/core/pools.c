#include "bench/programs/core/pools.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/programs/core/measure.h"

enum { PLAIN_CID_OCTETS = 8, NAME_OCTETS = 8 };

static const uint8_t aes_key[LBCID_KEY_OCTETS] = { 0x8f, 0x95, 0xf0, 0x92, 0x45, 0x76, 0x5f, 0x80,
						   0x25, 0x69, 0x34, 0xe5, 0x0c, 0x66, 0x20, 0x7f };
static const struct siphash_key hash_key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static struct snapshot *made[POOLS_LAYOUTS];

static struct cid_layout node_id(uint8_t octets)
{
	return (struct cid_layout){
		.scheme = CID_LAYOUT_ID,
		.lbcid = { .scheme = LBCID_NODE_ID, .length = PLAIN_CID_OCTETS, .size = octets },
		.length = PLAIN_CID_OCTETS,
	};
}

static struct cid_layout quic_lb(uint8_t id_octets, uint8_t nonce_octets, bool has_key)
{
	struct cid_rotation config = { .id_octets = id_octets, .nonce_octets = nonce_octets, .has_key = has_key };
	struct cid_layout layout;

	memcpy(config.key, aes_key, sizeof aes_key);
	measure_require(cid_layout_make(&layout, &config, 1) == 0, "no such quic-lb layout");
	return layout;
}

static struct cid_layout layout_of(enum pools_layout layout)
{
	switch (layout) {
	case POOLS_HASH:
		return (struct cid_layout){ .scheme = CID_LAYOUT_HASH, .length = PLAIN_CID_OCTETS };
	case POOLS_NODE_ID:
		return node_id(1);
	case POOLS_NODE_ID_2:
		return node_id(2);
	case POOLS_NODE_ID_3:
		return node_id(3);
	case POOLS_PLAIN_2_6:
		return quic_lb(2, 6, false);
	case POOLS_SINGLE_4_12:
		return quic_lb(4, 12, true);
	case POOLS_FOUR_2_6:
		return quic_lb(2, 6, true);
	case POOLS_FOUR_3_4:
		return quic_lb(3, 4, true);
	case POOLS_FOUR_9_9:
		return quic_lb(9, 9, true);
	case POOLS_FOUR_15_4:
		return quic_lb(15, 4, true);
	default:
		return (struct cid_layout){ .scheme = CID_LAYOUT_NONE };
	}
}

/* What has the same backends, so that the table of all is built once. */
static const struct snapshot *alike(size_t backends)
{
	for (size_t i = 0; i < POOLS_LAYOUTS; i++)
		if (made[i] && made[i]->pools[0].backend_count == backends)
			return made[i];
	return NULL;
}

static struct addr server_addr(size_t at)
{
	return (struct addr){ .ip = { [10] = 0xff, 0xff, 10, 0, (uint8_t)(at >> 8), (uint8_t)at }, .port = 5684 };
}

/* The servers, and a prefix of endpoints. */
static bool take_bad_sources(struct snapshot *snapshot, const struct addr *servers, size_t count)
{
	const struct bad_prefix endpoints = { { .ip = { [10] = 0xff, 0xff, 10, 64 } }, 10 };
	struct bad_sources *sources = bad_sources_new(&(struct bad_sources_spec){
		.pairs = servers, .pair_count = count, .prefixes = &endpoints, .prefix_count = 1 });

	if (sources)
		snapshot_take_bad_sources(snapshot, sources);
	return sources;
}

static struct snapshot *build(struct cid_layout layout, size_t count)
{
	struct snapshot_backend *backends = measure_alloc(count, sizeof *backends);
	char(*names)[NAME_OCTETS] = measure_alloc(count, sizeof *names);
	struct snapshot_id *ids = measure_alloc(count, sizeof *ids);
	struct addr *servers = measure_alloc(count, sizeof *servers);
	struct snapshot_pool_spec spec = {
		.name = "p", .layout = layout, .backends = backends, .backend_count = count, .ids = ids
	};
	struct snapshot *snapshot;

	for (size_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof names[i], "b%u", (unsigned)(i & 0xffff));
		backends[i] = (struct snapshot_backend){ .name = names[i],
							 .uid = (uint16_t)i,
							 .weight = 100,
							 .health = BACKEND_UP,
							 .addr = server_addr(i) };
		servers[i] = backends[i].addr;
		if (cid_id_from_number(&ids[i].id, &layout, i + 1) == 0)
			ids[spec.id_count++].backend = (uint16_t)i;
	}
	snapshot = snapshot_build(&hash_key, &spec, 1, alike(count));
	measure_require(snapshot && take_bad_sources(snapshot, servers, count), "memory");
	free(servers);
	free(backends);
	free(names);
	free(ids);
	return snapshot;
}

const struct snapshot_pool *pools_get(enum pools_layout layout, size_t backends)
{
	if (!made[layout] || made[layout]->pools[0].backend_count != backends) {
		struct cid_layout of = layout_of(layout);
		struct snapshot *before = made[layout];

		made[layout] = NULL;
		made[layout] = build(of, backends);
		snapshot_free(before);
		cid_layout_drop(&of);
	}
	return &made[layout]->pools[0];
}

void pools_free(void)
{
	for (size_t i = 0; i < POOLS_LAYOUTS; i++)
		snapshot_free(made[i]);
}

int pools_random(void *dice, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)dice_roll(dice);
	return 0;
}

size_t pools_mint(uint8_t cid[static LBCID_MAX_OCTETS], const struct snapshot_pool *pool, uint64_t number,
		  struct dice *dice)
{
	const struct lbcid_config *config = cid_config(&pool->layout, 0);
	struct server_id id;

	if (!config) {
		pools_random(dice, cid, PLAIN_CID_OCTETS);
		return PLAIN_CID_OCTETS;
	}
	measure_require(cid_id_from_number(&id, &pool->layout, number) == 0, "no such server id");
	measure_require(lbcid_mint(config, id.octets, pools_random, dice, cid) == 0, "no CID");
	return config->length;
}

/* Listeners and tunnels, as the program knows them. */
#include <arpa/inet.h>
#include <string.h>

#include "xdp/fill_parts.h"

struct services {
	struct fast_table *out;
	const struct fast_fill *fill;
	const bool *whole; /* by index of the pool */
	unsigned count, left_out;
};

static void mask_id(struct fast_service *service, uint8_t octets)
{
	uint8_t mask[16] = { 0 };

	memset(mask, 0xff, octets);
	memcpy(service->id_mask, mask, sizeof service->id_mask);
}

static void read_as(struct fast_service *service, unsigned rotation, const struct lbcid_config *config)
{
	service->how[rotation] = config->key ? FAST_CID_BY_CACHE : FAST_CID_BY_ID;
	service->cid_octets[rotation] = config->length;
	service->id_at = config->scheme == LBCID_QUIC_LB ? 1 : config->offset;
	mask_id(service, config->size);
}

static void fill_layout(struct fast_service *service, const struct snapshot_pool *pool)
{
	for (unsigned rotation = 0; rotation < FAST_CID_ROTATIONS; rotation++) {
		const struct lbcid_config *config = cid_config(&pool->layout, (uint8_t)rotation);

		if (config)
			read_as(service, rotation, config);
	}
}

static void fill_learned(struct fast_service *service, const struct learned_servers *learned)
{
	const uint32_t lengths = learned ? learned_lengths(learned->cids) : 0;
	unsigned count = 0;

	for (uint8_t octets = FAST_CID_OCTETS; octets > 0 && count < FAST_CID_LENGTHS; octets--)
		if (lengths >> octets & 1)
			service->learned_octets[count++] = octets;
}

static struct siphash_state half_of(const struct proxy2_key *key, enum proxy2_direction direction,
				    const struct addr *service, uint32_t *middle)
{
	const struct proxy2_half half = proxy2_half_make(key, direction, service);

	*middle = half.middle;
	return addr_is_v4(service) ? half.v4 : half.v6;
}

static void fill_tunnel(struct fast_service *service, const struct table_pool *pool, const struct addr *addr)
{
	service->kind = FAST_TUNNELS;
	service->local_port = htons(pool->tunnel_local.port);
	for (size_t i = 0; i < pool->tunnel_keys.count && i < FAST_KEYS; i++) {
		const struct proxy2_key *key = &pool->tunnel_keys.keys[i];

		service->key_ids[i] = key->id;
		service->tag_down[i] = half_of(key, PROXY2_DOWN, addr, &service->tag_middle);
		service->key_count++;
	}
	service->tag_up = half_of(&pool->tunnel_keys.keys[0], PROXY2_UP, addr, &service->tag_middle);
}

/* From replies a pool learns CIDs, and what sessions can be resumed. */
static enum fast_replies replies_of(const struct snapshot_pool *pool, const struct table_pool *settings)
{
	if (pool->layout.scheme == CID_LAYOUT_LEARNED)
		return FAST_REPLIES_PASSED;
	return settings->sessions ? FAST_REPLIES_SETTLED : FAST_REPLIES_ALL;
}

static void fill_hash(struct fast_service *service, const struct snapshot_pool *pool)
{
	service->hashes = pool->affinity == AFFINITY_ADDRESS_PORT ? FAST_HASHES_ADDRESS_PORT : FAST_HASHES_ADDRESS;
	service->hash = siphash_begin(pool->hash_key.k0, pool->hash_key.k1);
}

/* The embeds are in the order in which the packet path asks them. False: there is no room for this one. */
static bool fill_embed(struct services *services, struct fast_service *service, size_t pool)
{
	const struct table *table = services->fill->table;
	const struct stateless *stateless = &table->pools[pool].stateless;
	const uint8_t *octets = stateless->embed.service;
	struct fast_embed *embed;
	uint8_t at = 0;

	while (at < table->stateless_count && table->stateless_pools[at] != pool)
		at++;
	if (at >= FAST_EMBEDS)
		return false;
	service->kind = FAST_EMBEDS_DEVICES;
	service->embed = at;
	embed = &services->out->embeds[at];
	*embed = (struct fast_embed){
		.prefix = fast_ip_of(stateless->embed.prefix),
		.mask = fast_ip_mask(stateless->embed.bits),
		.check_mask = (UINT32_C(1) << embed_check_bits(stateless->embed.bits)) - 1,
		.port = htons(stateless->port),
		.service = (uint16_t)services->count,
		.pool = service->pool,
		.key_count = (uint8_t)stateless->embed.key_count,
	};
	memcpy(&embed->service_head, octets, sizeof embed->service_head);
	memcpy(&embed->service_tail, octets + sizeof embed->service_head, sizeof embed->service_tail);
	for (size_t i = 0; i < stateless->embed.key_count && i < FAST_KEYS; i++)
		embed->keys[i] = siphash_begin(stateless->embed.keys[i].k0, stateless->embed.keys[i].k1);
	if (services->out->embed_count <= at)
		services->out->embed_count = at + 1U;
	return true;
}

static struct fast_service service_of(struct services *services, uint16_t uid, const struct addr *addr)
{
	const struct table *table = services->fill->table;
	const size_t at = table->listeners[uid].pool;
	const struct snapshot_pool *pool = &table->snapshot->pools[at];
	struct fast_service service = {
		.ip = fast_ip_of(addr->ip),
		.port = htons(addr->port),
		.kind = FAST_DROPS,
		.listener = (uint8_t)uid,
		.pool = (uint8_t)pool->uid,
		.cid_generation = services->fill->generation,
	};

	if (!fast_handles(&table->pools[at]))
		return service;
	if (table->pools[at].forwarder == &forward_dsr) {
		service.kind = table->pools[at].dsr_encap == TABLE_L2 ? FAST_SENDS_ON : FAST_WRAPS;
	} else if (table->pools[at].forwarder == &forward_tunnel) {
		fill_tunnel(&service, &table->pools[at], addr);
	} else if (!fill_embed(services, &service, at)) {
		services->left_out++;
		return service;
	}
	if (services->fill->hashed && services->fill->hashed[at])
		fill_hash(&service, pool);
	service.replies = (__u8)replies_of(pool, &table->pools[at]);
	if (pool->layout.scheme == CID_LAYOUT_LEARNED)
		fill_learned(&service, table->pools[at].learned);
	else if (pool->opens_cids)
		fill_layout(&service, pool);
	service.drops_unknown =
		pool->layout.scheme == CID_LAYOUT_ID && pool->unknown_cid == UNKNOWN_CID_DROP && services->whole[at];
	return service;
}

static void add_service(struct services *services, uint16_t uid, const struct addr *addr)
{
	const unsigned at = services->count;

	if (at < FAST_SERVICES && fast_fill_addr(services->out, addr, FAST_AT_SERVICE, (uint8_t)at)) {
		services->out->services[at] = service_of(services, uid, addr);
		services->count++;
	} else {
		services->left_out++;
	}
}

/* The socket of another listener takes it. */
static bool is_anothers(const struct table *table, const struct addr *addr)
{
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		if (table->listeners[i].pool != TABLE_NONE && addr_equal(&table->listeners[i].addr, addr))
			return true;
	return false;
}

/* A listener on a wildcard address has every address of this host that no other listener has. What it has of whole
 * prefixes is passed up. */
static void add_wildcard(struct services *services, uint16_t uid)
{
	const struct table *table = services->fill->table;
	const struct host_addrs *host = services->fill->net->host;
	const struct addr *listener = &table->listeners[uid].addr;
	const bool v4 = addr_is_v4(listener);

	for (size_t i = 0; host && i < host->count; i++) {
		struct addr addr = host->at[i].addr;

		addr.port = listener->port;
		if (addr_is_v4(&addr) == v4 && host->at[i].bits == (v4 ? 32 : 128) && !addr_is_loopback(&addr) &&
		    !addr_is_of_link(addr.ip) && !is_anothers(table, &addr))
			add_service(services, uid, &addr);
	}
}

static void add_tunnel(struct services *services, size_t at)
{
	const unsigned workers = services->fill->workers ? services->fill->workers : 1;
	struct addr local = services->fill->table->pools[at].tunnel_local;

	for (unsigned worker = 0; worker < workers; worker++, local.port++)
		if (!fast_fill_addr(services->out, &local, FAST_AT_TUNNEL,
				    (uint8_t)services->fill->table->snapshot->pools[at].uid))
			services->left_out++;
}

static void add_tunnels(struct services *services)
{
	const struct table *table = services->fill->table;

	for (size_t i = 0; i < table->snapshot->pool_count; i++)
		if (table->pools[i].forwarder == &forward_tunnel && !table->pools[i].only_sockets)
			add_tunnel(services, i);
}

unsigned fast_fill_services(struct fast_table *out, const struct fast_fill *fill, const bool whole[static STATS_POOLS])
{
	struct services services = { .out = out, .fill = fill, .whole = whole };
	const struct table *table = fill->table;

	for (uint16_t uid = 0; uid < STATS_LISTENERS; uid++) {
		const struct table_listener *listener = &table->listeners[uid];

		if (listener->pool == TABLE_NONE || table->pools[listener->pool].only_sockets ||
		    table->snapshot->pools[listener->pool].protocol != POOL_DTLS)
			continue;
		if (listener->wildcard)
			add_wildcard(&services, uid);
		else if (!addr_is_of_link(listener->addr.ip))
			add_service(&services, uid, &listener->addr);
	}
	add_tunnels(&services);
	return services.left_out;
}

#include "xdp/fill.h"

#include <arpa/inet.h>
#include <string.h>

#include "xdp/fill_parts.h"

_Static_assert((int)FAST_LISTENERS == (int)STATS_LISTENERS && (int)FAST_POOLS == (int)STATS_POOLS &&
		       (int)FAST_BACKENDS == (int)STATS_BACKENDS && (int)VERDICTS <= (int)FAST_VERDICTS,
	       "a counter for each");
_Static_assert((int)FAST_CID_OCTETS == (int)LBCID_MAX_OCTETS && (int)FAST_CID_LENGTHS == (int)LEARNED_LENGTHS &&
		       (int)FAST_KEYS == (int)PROXY2_POOL_KEYS && (int)FAST_KEYS == (int)EMBED_KEYS &&
		       FAST_CID_ROTATIONS > LBCID_ROTATIONS,
	       "what a pool may have");
_Static_assert((int)FAST_FRESH == (int)RESUME_FRESH, "records that the C core reads");

bool fast_fill_addr(struct fast_table *out, const struct addr *at, enum fast_at what, uint8_t index)
{
	const struct fast_ip ip = fast_ip_of(at->ip);
	const uint16_t port = htons(at->port);
	const uint64_t hash = fast_hash_addr(out->key, &ip, port);

	for (uint64_t i = 0; i < FAST_PROBES; i++) {
		struct fast_addr_row *row = &out->addrs[(hash + i) & (FAST_ADDR_ROWS - 1)];

		if (row->at != FAST_AT_NOTHING)
			continue;
		*row = (struct fast_addr_row){ .ip = ip, .port = port, .at = (uint8_t)what, .index = index };
		return true;
	}
	return false;
}

/* Of several backends at one address the first is it. */
static bool add_origin(struct fast_table *out, const struct snapshot_pool *pool, const struct snapshot_backend *backend)
{
	const struct fast_origin_row origin = {
		.ip = fast_ip_of(backend->addr.ip),
		.port = htons(backend->addr.port),
		.backend = backend->uid,
		.pool = (uint8_t)pool->uid,
		.used = 1,
	};
	const uint64_t hash = fast_hash_addr(out->key ^ origin.pool, &origin.ip, origin.port);

	for (uint64_t i = 0; i < FAST_PROBES; i++) {
		struct fast_origin_row *row = &out->origins[(hash + i) & (FAST_ORIGIN_ROWS - 1)];

		if (!row->used)
			*row = origin;
		if (row->pool == origin.pool && row->port == origin.port &&
		    memcmp(&row->ip, &origin.ip, sizeof origin.ip) == 0)
			return true;
	}
	return false;
}

static bool add_id_row(struct fast_table *out, const struct fast_id_row *id)
{
	const uint64_t hash = fast_hash(out->key, id->id[0], id->id[1]);

	for (uint64_t i = 0; i < FAST_PROBES; i++) {
		struct fast_id_row *row = &out->ids[(hash + i) & (FAST_ID_ROWS - 1)];

		if (row->used)
			continue;
		*row = *id;
		return true;
	}
	return false;
}

static bool add_neighbour(struct fast_table *out, const struct fast_neighbour *neighbour)
{
	const uint64_t hash = fast_hash_addr(out->key, &neighbour->ip, 0);

	for (uint64_t i = 0; i < FAST_PROBES; i++) {
		struct fast_neighbour_row *row = &out->neighbours[(hash + i) & (FAST_NEIGHBOUR_ROWS - 1)];

		if (row->used)
			continue;
		*row = (struct fast_neighbour_row){ .ip = neighbour->ip, .hop = neighbour->hop, .used = 1 };
		return true;
	}
	return false;
}

static uint8_t from_device(const struct fast_net *net, uint32_t ifindex)
{
	/* One that is not ours compares unequal to all that are. */
	return ifindex ? fast_net_device(net, ifindex) : (uint8_t)FAST_ANY_DEVICE;
}

static unsigned fill_backends(struct fast_table *out, const struct fast_fill *fill, size_t at)
{
	const struct snapshot_pool *pool = &fill->table->snapshot->pools[at];
	unsigned left_out = 0;

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct snapshot_backend *backend = &pool->backends[i];
		const bool somewhere = !addr_is_wildcard(&backend->addr);

		out->backends[backend->uid] = (struct fast_backend){
			.ip = fast_ip_of(backend->addr.ip),
			.local = fast_ip_of(fill->table->pools[at].tunnel_local.ip),
			.port = htons(backend->addr.port),
			.verdict = pool->cid_verdict[i],
			.pool = (uint8_t)pool->uid,
			.from_device = from_device(fill->net, backend->iface),
			.v6 = !addr_is_v4(&backend->addr),
		};
		if (fill->table->pools[at].forwarder == &forward_dsr) {
			fast_fill_dsr(&out->backends[backend->uid], fill, at, i);
			continue;
		}
		if (somewhere)
			out->backends[backend->uid].hop = fast_net_hop(fill->net, &backend->addr);
		if (somewhere && !add_origin(out, pool, backend))
			left_out++;
	}
	return left_out;
}

struct ids {
	struct fast_table *out;
	const struct snapshot_pool *pool;
	unsigned left_out;
};

static void add_id(void *ctx, const struct server_id *id, uint16_t backend)
{
	struct ids *ids = ctx;
	struct fast_id_row row = { .backend = ids->pool->backends[backend].uid, .used = 1 };
	uint8_t octets[sizeof row.id] = { 0 };

	memcpy(octets, id->octets, id->len);
	octets[sizeof octets - 1] = (uint8_t)ids->pool->uid;
	memcpy(row.id, octets, sizeof row.id);
	ids->left_out += !add_id_row(ids->out, &row);
}

static void fill_masks(struct fast_table *out)
{
	for (size_t octets = 0; octets <= FAST_CID_OCTETS; octets++)
		memset(out->cid_masks[octets], 0xff, octets);
}

static unsigned fill_net(struct fast_table *out, const struct fast_net *net)
{
	unsigned left_out = 0;

	memcpy(out->interfaces, net->interfaces, sizeof out->interfaces);
	memcpy(out->hops, net->hops, sizeof out->hops);
	memcpy(out->routes, net->routes, sizeof out->routes);
	out->route_count[0] = (uint32_t)net->route_count[0];
	out->route_count[1] = (uint32_t)net->route_count[1];
	for (size_t i = 0; i < net->neighbour_count; i++)
		left_out += !add_neighbour(out, &net->neighbours[i]);
	return left_out;
}

unsigned fast_fill(struct fast_table *out, const struct fast_fill *fill)
{
	const struct snapshot *snapshot = fill->table->snapshot;
	bool whole[STATS_POOLS] = { false };
	unsigned left_out;

	memset(out, 0, sizeof *out);
	out->key = fill->key;
	fill_masks(out);
	left_out = fill_net(out, fill->net);
	fast_fill_sources(out, snapshot->bad_sources, fill->net->host);
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		struct ids ids = { out, &snapshot->pools[i], 0 };

		if (!fast_handles(&fill->table->pools[i]))
			continue;
		left_out += fill_backends(out, fill, i);
		if (ids.pool->opens_cids)
			snapshot_each_id(ids.pool, add_id, &ids);
		whole[i] = ids.left_out == 0;
		left_out += ids.left_out;
	}
	return left_out + fast_fill_services(out, fill, whole);
}

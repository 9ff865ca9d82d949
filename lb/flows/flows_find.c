#include <string.h>

#include "base/tsan.h"
#include "flows/flows_priv.h"

uint32_t flows_hash_key(const struct flows *flows, const struct flow_key *key)
{
	uint8_t octets[2 + 2 + sizeof(struct addr) + 1 + LBCID_MAX_OCTETS];
	size_t len = 0;

	octets[len++] = (uint8_t)key->kind;
	octets[len++] = (uint8_t)key->pool;
	if (key->kind != FLOW_CID) {
		memcpy(octets + len, &key->service, 2);
		memcpy(octets + len + 2, &key->source, sizeof key->source);
		len += 2 + sizeof key->source;
	}
	if (key->kind == FLOW_CID || key->kind == FLOW_SOURCE) {
		octets[len++] = key->cid_len;
		memcpy(octets + len, key->cid, key->cid_len);
		len += key->cid_len;
	}
	return (uint32_t)siphash24(&flows->hash_key, octets, len);
}

uint32_t flows_hash_end(const struct flows *flows, const struct addr *endpoint, const struct addr *backend)
{
	const struct addr both[2] = { *endpoint, *backend };

	/* There is less to hash, because the rest of an IPv4 address is constant. */
	if (addr_is_v4(endpoint) && addr_is_v4(backend)) {
		uint8_t octets[2][6];

		memcpy(octets[0], (const uint8_t *)endpoint + 12, 6);
		memcpy(octets[1], (const uint8_t *)backend + 12, 6);
		return (uint32_t)siphash24(&flows->hash_key, octets, sizeof octets);
	}
	return (uint32_t)siphash24(&flows->hash_key, both, sizeof both);
}

/* What the flow behind a number is compared with. */
struct wanted {
	const struct flows *flows;
	const struct flow_key *key;
	const struct addr *endpoint, *backend;
};

static inline bool key_is_same(const void *ctx, uint32_t number)
{
	const struct wanted *wanted = ctx;
	struct flow *flow = flow_arena_at(&wanted->flows->arena, number);
	const struct flow_key *key = wanted->key;
	bool same = flow->kind == key->kind && flow->pool == key->pool;

	if (same && key->kind != FLOW_CID)
		same = flow->source.service == key->service && addr_equal(&flow->source.device, &key->source);
	if (same && (key->kind == FLOW_CID || key->kind == FLOW_SOURCE))
		same = flow->cid_len == key->cid_len && memcmp(flow->cid, key->cid, key->cid_len) == 0 &&
		       (key->only == 0 || flow->backend + 1 == key->only);
	tsan_release(flow);
	return same;
}

static inline bool end_is_same(const void *ctx, uint32_t number)
{
	const struct wanted *wanted = ctx;
	struct flow *flow = flow_arena_at(&wanted->flows->arena, number);
	const bool same =
		addr_equal(&flow->endpoint, wanted->endpoint) && addr_equal(&flow->backend_addr, wanted->backend);

	tsan_release(flow);
	return same;
}

static struct flow *flow_found(const struct flows *flows, uint32_t number)
{
	return number == FLOW_INDEX_NONE ? NULL : flow_arena_at(&flows->arena, number);
}

struct flow *flows_find_hashed(const struct flows *flows, const struct flow_key *key, uint32_t hash)
{
	const struct wanted wanted = { .flows = flows, .key = key };

	return flow_found(flows, flow_index_find(&flows->by_key, hash, key_is_same, &wanted));
}

struct flow *flows_find(const struct flows *flows, const struct flow_key *key)
{
	return flows_find_hashed(flows, key, flows_hash_key(flows, key));
}

struct flow *flows_find_end_hashed(const struct flows *flows, const struct addr *endpoint, const struct addr *backend,
				   uint32_t hash)
{
	const struct wanted wanted = { .flows = flows, .endpoint = endpoint, .backend = backend };

	return flow_found(flows, flow_index_find(&flows->by_end, hash, end_is_same, &wanted));
}

struct flow *flows_find_end(const struct flows *flows, const struct addr *endpoint, const struct addr *backend)
{
	return flows_find_end_hashed(flows, endpoint, backend, flows_hash_end(flows, endpoint, backend));
}

static inline bool any(const void *ctx, uint32_t number)
{
	(void)ctx;
	(void)number;
	return true;
}

/* Fetches all lines of the index first, and then all descriptors that they name. */
static inline void prefetch(const struct flows *flows, const struct flow_index *index, const uint32_t *hashes,
			    size_t count)
{
	for (size_t i = 0; i < count; i++)
		flow_index_prefetch(index, hashes[i]);
	for (size_t i = 0; i < count; i++) {
		const uint32_t number = flow_index_find(index, hashes[i], any, NULL);

		if (number != FLOW_INDEX_NONE) {
			const uint8_t *flow = (const void *)flow_arena_at(&flows->arena, number);

			__builtin_prefetch(flow, 1);
			__builtin_prefetch(flow + 64, 1);
			__builtin_prefetch(flow + 127, 1);
		}
	}
}

void flows_prefetch_keys(const struct flows *flows, const uint32_t *hashes, size_t count)
{
	prefetch(flows, &flows->by_key, hashes, count);
}

void flows_prefetch_ends(const struct flows *flows, const uint32_t *hashes, size_t count)
{
	prefetch(flows, &flows->by_end, hashes, count);
}

static uint32_t end_hash(const struct flows *flows, const struct flow *flow)
{
	return flows_hash_end(flows, &flow->endpoint, &flow->backend_addr);
}

bool flows_index_end(struct flows *flows, struct flow *flow)
{
	const struct wanted wanted = { .flows = flows, .endpoint = &flow->endpoint, .backend = &flow->backend_addr };

	return flow_index_add(&flows->by_end, end_hash(flows, flow), flow->number, end_is_same, &wanted) ==
	       flow->number;
}

void flows_unindex_end(struct flows *flows, const struct flow *flow)
{
	(void)flow_index_remove(&flows->by_end, end_hash(flows, flow), flow->number);
}

bool flows_has_end(const struct flows *flows, const struct flow *flow)
{
	return flows_find_end(flows, &flow->endpoint, &flow->backend_addr) == flow;
}

struct flow *flows_index_key(struct flows *flows, struct flow *flow, const struct flow_key *key)
{
	const struct wanted wanted = { .flows = flows, .key = key };

	return flow_arena_at(&flows->arena, flow_index_add(&flows->by_key, flows_hash_key(flows, key), flow->number,
							   key_is_same, &wanted));
}

struct flow_key flows_key_of(const struct flow *flow)
{
	const bool has_source = flow->kind != FLOW_CID;

	return (struct flow_key){
		.kind = (enum flow_kind)flow->kind,
		.pool = flow->pool,
		.service = has_source ? flow->source.service : 0,
		.source = has_source ? flow->source.device : (struct addr){ .port = 0 },
		.cid_len = flow->cid_len,
		.cid = flow->cid,
		.only = (uint16_t)(flow->backend + 1),
	};
}

void flows_unindex_key(struct flows *flows, const struct flow *flow)
{
	const struct flow_key key = flows_key_of(flow);

	(void)flow_index_remove(&flows->by_key, flows_hash_key(flows, &key), flow->number);
}

#include <string.h>

#include "flows_priv.h"
#include "race.h"

static uint64_t key_hash(const struct flows *flows, const struct flow_key *key)
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
	return siphash24(&flows->hash_key, octets, len);
}

static uint64_t end_hash(const struct flows *flows, const struct addr *endpoint, const struct addr *backend)
{
	struct addr both[2] = { *endpoint, *backend };

	return siphash24(&flows->hash_key, both, sizeof both);
}

static int key_matches(struct cds_lfht_node *node, const void *wanted)
{
	struct flow *flow = caa_container_of(node, struct flow, by_key);
	const struct flow_key *key = wanted;
	bool same;

	race_acquire(flow);
	same = flow->kind == key->kind && flow->pool == key->pool;
	if (same && key->kind != FLOW_CID)
		same = flow->state.owner.peer.service == key->service && addr_equal(&flow->state.owner.peer.device, &key->source);
	if (same && (key->kind == FLOW_CID || key->kind == FLOW_SOURCE))
		same = flow->cid_len == key->cid_len && memcmp(flow->cid, key->cid, key->cid_len) == 0;
	race_release(flow);
	return same;
}

struct end {
	const struct addr *endpoint, *backend;
};

static int end_matches(struct cds_lfht_node *node, const void *wanted)
{
	struct flow *flow = caa_container_of(node, struct flow, by_end);
	const struct end *end = wanted;
	bool same;

	race_acquire(flow);
	same = addr_equal(&flow->endpoint, end->endpoint) && addr_equal(&flow->backend_addr, end->backend);
	race_release(flow);
	return same;
}

struct flow *flows_find(struct flows *flows, const struct flow_key *key)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	cds_lfht_lookup(flows->by_key, key_hash(flows, key), key_matches, key, &iter);
	node = cds_lfht_iter_get_node(&iter);
	return node ? caa_container_of(node, struct flow, by_key) : NULL;
}

struct flow *flows_find_end(struct flows *flows, const struct addr *endpoint, const struct addr *backend)
{
	struct end end = { endpoint, backend };
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	cds_lfht_lookup(flows->by_end, end_hash(flows, endpoint, backend), end_matches, &end, &iter);
	node = cds_lfht_iter_get_node(&iter);
	return node ? caa_container_of(node, struct flow, by_end) : NULL;
}

bool flows_index_end(struct flows *flows, struct flow *flow)
{
	struct end end = { &flow->endpoint, &flow->backend_addr };

	cds_lfht_node_init(&flow->by_end);
	race_release(flow);
	return cds_lfht_add_unique(flows->by_end, end_hash(flows, end.endpoint, end.backend), end_matches, &end, &flow->by_end) ==
	       &flow->by_end;
}

struct flow *flows_index_key(struct flows *flows, struct flow *flow, const struct flow_key *key)
{
	cds_lfht_node_init(&flow->by_key);
	race_release(flow);
	return caa_container_of(cds_lfht_add_unique(flows->by_key, key_hash(flows, key), key_matches, key, &flow->by_key), struct flow,
				by_key);
}

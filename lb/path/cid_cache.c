#include "path/cid_cache.h"

#include <stdatomic.h>

#include "path/forward.h"
#include "path/pending_cids.h"

static bool is_of_server(enum verdict verdict)
{
	return verdict == VERDICT_CID || verdict == VERDICT_CID_DRAINING || verdict == VERDICT_CID_DOWN;
}

/* Octets of a CID that is encrypted. 0: everyone can read its server id. */
static uint8_t encrypted_octets(const struct snapshot_pool *pool, const struct route_in *in)
{
	const uint8_t first = in->data[in->view.cid_at];
	const struct lbcid_config *config = pool->opens_cids ? cid_config(&pool->layout, first >> 5) : NULL;

	return config && config->key ? cid_length(&pool->layout, first) : 0;
}

static bool is_contested(struct path *path)
{
	return pending_cids_contested(handshakes_pending(path->handshakes), (uint32_t)(path->clock_ms / 1000));
}

static bool is_at(const struct learned_servers *servers, const uint8_t *cid, uint8_t len, uint16_t backend)
{
	const struct learned_place place = learned_look(servers->cids, cid, len);
	struct learned_by by;

	return learned_find(servers->cids, &place, &by) && by.before == LEARNED_NOBODY &&
	       by.last == servers->members[backend];
}

/* Another worker may hear at this moment that another server gives out the same CID, and forget it. Whichever of both
 * comes last sees what the other has done. */
static void tell_learned(struct path *path, const struct batch *batch, size_t i)
{
	const struct path_cid_cache *cache = path->cid_cache;
	const struct route_in *in = &batch->in[i];
	const uint16_t at = batch->out[i].backend;
	const uint8_t *cid = in->data + in->view.cid_at;

	if (in->learned_at != at || batch->up[i].shared != SNAPSHOT_NO_BACKEND || is_contested(path))
		return;
	cache->put(cache->ctx, batch->pool->uid, cid, in->learned_len, batch->pool->backends[at].uid);
	atomic_thread_fence(memory_order_seq_cst);
	if (is_contested(path) || !is_at(batch->settings->learned, cid, in->learned_len, at))
		cache->forget(cache->ctx, batch->pool->uid, cid, in->learned_len);
}

static void tell_encrypted(struct path *path, const struct batch *batch, size_t i)
{
	const struct path_cid_cache *cache = path->cid_cache;
	const struct route_in *in = &batch->in[i];
	const uint8_t len = encrypted_octets(batch->pool, in);

	if (len > 0)
		cache->put(cache->ctx, batch->pool->uid, in->data + in->view.cid_at, len,
			   batch->pool->backends[batch->out[i].backend].uid);
}

void cid_cache_tell(struct path *path, const struct batch *batch)
{
	if (!path->cid_cache || batch->settings->only_sockets || batch->pool->protocol != POOL_DTLS)
		return;
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->in[i].view.kind != DTLS_CID || batch->in[i].view.flight ||
		    !is_of_server(batch->out[i].verdict))
			continue;
		if (batch->settings->learned)
			tell_learned(path, batch, i);
		else
			tell_encrypted(path, batch, i);
	}
}

void cid_cache_forget(struct path *path, uint16_t pool, const uint8_t *cid, size_t len)
{
	const struct path_cid_cache *cache = path->cid_cache;

	atomic_thread_fence(memory_order_seq_cst);
	if (cache && len > 0)
		cache->forget(cache->ctx, pool, cid, len);
}

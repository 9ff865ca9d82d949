#include "path/given_cid.h"

/* *owner: the backend that has its server id, or SNAPSHOT_NO_BACKEND. */
static enum cid_result open_cid(const struct given_cid *cid, uint16_t *owner)
{
	struct server_id id;
	const enum cid_result result = cid_open_octets(&id, &cid->pool->layout, cid->octets, cid->len);

	*owner = result == CID_OPENED ? snapshot_backend_of_id(cid->pool, &id) : SNAPSHOT_NO_BACKEND;
	return result;
}

/* The index of the backend that gave it out. */
static uint16_t giver(const struct given_cid *cid)
{
	return snapshot_backend_of_uid(cid->pool, cid->backend);
}

static bool gave(const struct given_cid *cid, uint16_t at)
{
	return at != SNAPSHOT_NO_BACKEND && cid->pool->backends[at].uid == cid->backend;
}

uint16_t given_cid_home(const struct given_cid *cid)
{
	uint16_t owner;

	if (cid->pool->layout.scheme == CID_LAYOUT_LEARNED)
		return giver(cid);
	if (open_cid(cid, &owner) == CID_HASHED)
		return snapshot_backend_of_hash(cid->pool, siphash24(&cid->pool->hash_key, cid->octets, cid->len));
	return gave(cid, owner) ? owner : SNAPSHOT_NO_BACKEND;
}

/* With unknown_cid = "hash" servers share sessions, or pass on what is not theirs. */
void given_cid_note(struct path *path, const struct given_cid *cid)
{
	uint16_t owner, leads = GIVEN_CID_NOBODY;

	if (cid->pool->layout.scheme != CID_LAYOUT_ID)
		return;
	(void)open_cid(cid, &owner);
	if (gave(cid, owner) || (owner == SNAPSHOT_NO_BACKEND && cid->pool->unknown_cid == UNKNOWN_CID_HASH))
		return;
	if (owner != SNAPSHOT_NO_BACKEND)
		leads = (uint16_t)(cid->pool->backends[owner].uid + 1);
	atomic_store_explicit(&path->foreign_leads[cid->backend], leads, memory_order_relaxed);
	stats_add(&path->stats.foreign_cids[cid->backend], 1);
}

#include "base/clock.h"
#include "common/learned.h"
#include "control/state.h"
#include "control/view.h"

static struct view_drop view_of(const struct drop *drop)
{
	const int64_t now_s = clock_s();

	return (struct view_drop){
		.from = drop->from,
		.service = drop->service,
		.why = drop->why.refused ? refused_name(drop->why.reason) : verdict_name(drop->why.verdict),
		.refused = drop->why.refused,
		.times = drop->times,
		.ago_s = now_s > drop->last_s ? now_s - drop->last_s : 0,
	};
}

/* What several workers know for the same reason is one. */
static bool is_joined(struct view_drop *to, const struct view_drop *from)
{
	if (to->why != from->why)
		return false;
	to->times += from->times;
	if (from->ago_s < to->ago_s) {
		to->from = from->from;
		to->service = from->service;
		to->ago_s = from->ago_s;
	}
	return true;
}

size_t view_drops(const struct control *control, const uint8_t ip[static 16], struct view_drop out[static VIEW_DROPS])
{
	size_t count = 0;

	for (unsigned i = 0; i < control->worker_count; i++) {
		const struct path *path = &control->workers[i]->path;
		struct view_drop one;
		struct drop drop;
		bool joined = false;

		if (!drops_find(&path->drops, &path->hello_key.random, ip, &drop))
			continue;
		one = view_of(&drop);
		for (size_t j = 0; !joined && j < count; j++)
			joined = is_joined(&out[j], &one);
		if (!joined && count < VIEW_DROPS)
			out[count++] = one;
	}
	return count;
}

const char *view_handshake(struct control *control, uint16_t pool, const struct addr *device)
{
	const uint64_t source = handshakes_source(control->handshakes, pool, device);
	const uint16_t backend = handshakes_hint(control->handshakes, source, (uint32_t)clock_s());

	return backend == HANDSHAKES_NO_HINT ? NULL : view_backend_name(control, backend);
}

/* The index of the backend that was seen to give out the CID. */
static uint16_t learned_backend(const struct learned_servers *servers, const uint8_t *cid, size_t len)
{
	const struct learned_place place = learned_look(servers->cids, cid, len);
	struct learned_by by;

	return learned_find(servers->cids, &place, &by) ? servers->at[by.last] : SNAPSHOT_NO_BACKEND;
}

static enum view_cid leads_to(const struct snapshot_pool *pool, uint16_t at, enum view_cid otherwise, uint16_t *backend)
{
	if (at == SNAPSHOT_NO_BACKEND)
		return otherwise;
	*backend = pool->backends[at].uid;
	return VIEW_CID_LEADS;
}

enum view_cid view_cid(struct control *control, size_t pool, const uint8_t *cid, size_t len, uint16_t *backend)
{
	const struct table *table = publisher_read(&control->publisher);
	const struct snapshot_pool *snapshot = &table->snapshot->pools[pool];
	const struct learned_servers *learned = table->pools[pool].learned;
	struct server_id id;

	if (!snapshot->reads_cids)
		return VIEW_CID_UNREAD;
	if (learned)
		return leads_to(snapshot, learned_backend(learned, cid, len), VIEW_CID_UNKNOWN, backend);
	switch (cid_open_octets(&id, &snapshot->layout, cid, len)) {
	case CID_OPENED:
		return leads_to(snapshot, snapshot_backend_of_id(snapshot, &id), VIEW_CID_UNKNOWN, backend);
	case CID_HASHED:
		return leads_to(snapshot, snapshot_backend_of_hash(snapshot, siphash24(&snapshot->hash_key, cid, len)),
				VIEW_CID_NO_SERVER, backend);
	default:
		return VIEW_CID_MISFIT;
	}
}

/* Mode nat. A backend sees an endpoint of ours, computed from the session's CID or from the device's address. Soft
 * flows remember the way back. This file does what concerns a whole batch. */
#include "path/nat_priv.h"

#include "flows/flows.h"

/* Finds where to answer from, at a listener on a wildcard address. Addresses of a routed prefix (nat.sources) are no
 * service addresses. All of them are this host's, so a stranger could have a number given out for each. */
static void services_recall(struct path *path, struct batch *batch)
{
	const struct table_pool *settings = batch->settings;

	for (size_t i = 0; i < batch->count; i++) {
		struct uplink *up = &batch->up[i];

		if (settings->single || !endpoint_has_address(&settings->space, up->datagram->local))
			up->service = service_addrs_number(path->service_addrs, up->service, up->datagram->local);
	}
}

static bool asks_hint(const struct snapshot_pool *pool, const struct dtls_view *view)
{
	return pool->protocol == POOL_UDP || (view->kind >= DTLS_CID && !route_by_cid(pool, view));
}

/* Fills in the hint where the flow of the source says where a datagram goes. */
static void hints_recall(struct path *path, struct batch *batch)
{
	uint32_t hashes[IO_BATCH];
	uint8_t asking[IO_BATCH];
	size_t asked = 0;

	for (size_t i = 0; i < batch->count; i++) {
		if (!asks_hint(batch->pool, &batch->in[i].view))
			continue;
		batch->up[i].flow_hash = hashes[asked] = nat_hash_source(path, &batch->up[i]);
		asking[asked++] = (uint8_t)i;
	}
	if (asked == 0)
		return;
	flows_prefetch_keys(path->flows, hashes, asked);
	for (size_t i = 0; i < asked; i++)
		batch->in[asking[i]].hint = nat_hint(path, &batch->up[asking[i]]);
}

static void recall(struct path *path, struct batch *batch)
{
	if (batch->listener->wildcard)
		services_recall(path, batch);
	hints_recall(path, batch);
}

/* Prefetches the flows that will be looked up. Those that gave a hint have been read already. */
static void prefetch(struct path *path, struct batch *batch, enum flow_kind session)
{
	uint32_t hashes[IO_BATCH];
	size_t wanted = 0;

	for (size_t i = 0; i < batch->count; i++)
		if (verdict_is_routed(batch->out[i].verdict) && !asks_hint(batch->pool, &batch->in[i].view))
			batch->up[i].flow_hash = hashes[wanted++] = nat_hash(path, &batch->up[i], session);
	if (wanted)
		flows_prefetch_keys(path->flows, hashes, wanted);
}

typedef void uplink_send(struct path *path, const struct uplink *up);

/* `session` sends the datagrams that were routed by their CID; `kind` is the kind of their flows. */
static inline void uplinks(struct path *path, struct batch *batch, enum flow_kind kind, uplink_send *session)
{
	prefetch(path, batch, kind);
	for (size_t i = 0; i < batch->count; i++) {
		const struct uplink *up = &batch->up[i];

		if (!uplink_routed_or_traced(path, up))
			continue;
		if (addr_is_wildcard(&batch->pool->backends[up->decision->backend].addr))
			nat_refuse_up(path, up, REFUSED_NO_ADDRESS);
		else if (up->decision->cid_len == 0)
			nat_address_uplink(path, up);
		else
			session(path, up);
	}
}

static void follow_uplinks(struct path *path, struct batch *batch)
{
	uplinks(path, batch, FLOW_CID, nat_follow_uplink);
}

static void backend_uplinks(struct path *path, struct batch *batch)
{
	uplinks(path, batch, FLOW_SOURCE, nat_backend_uplink);
}

static uint16_t flow_error(struct path *path, const struct undelivered *datagram)
{
	struct flow *flow = flows_find_end(path->flows, &datagram->endpoint, &datagram->error->to);
	uint16_t backend;

	if (!flow || !flow_lock(flow))
		return SNAPSHOT_NO_BACKEND;
	backend = flow->backend;
	flow_unlock(flow);
	return backend;
}

const struct forwarder forward_nat_follow = {
	.recall = recall,
	.uplinks = follow_uplinks,
	.replies = nat_replies,
	.error = flow_error,
};

const struct forwarder forward_nat_backend = {
	.recall = recall,
	.uplinks = backend_uplinks,
	.replies = nat_replies,
	.error = flow_error,
};

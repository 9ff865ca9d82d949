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

/* True: what is known of the source decides on the datagram, or leads it. `contested`: whoever shows a CID that is
 * known may mean another server all the same. */
static bool asks_source(const struct snapshot_pool *pool, const struct uplink *up, const struct route_in *in,
			bool contested)
{
	const struct dtls_view *view = &in->view;

	return pool->protocol == POOL_UDP ||
	       (view->kind >= DTLS_HELLO &&
		(contested || view->flight || !route_by_cid(pool, view) || nat_cid_is_unknown(up, in)));
}

static void sources_recall(struct path *path, struct batch *batch)
{
	uint32_t hashes[IO_BATCH];
	uint8_t asking[IO_BATCH];
	size_t asked = 0;
	const bool contested = batch->settings->learned && nat_cids_are_contested(path);

	for (size_t i = 0; i < batch->count; i++) {
		struct uplink *up = &batch->up[i];

		up->of_source = asks_source(batch->pool, up, &batch->in[i], contested);
		if (!up->of_source)
			continue;
		up->flow_hash = hashes[asked] = nat_hash_source(path, up);
		asking[asked++] = (uint8_t)i;
	}
	if (asked == 0)
		return;
	flows_prefetch_keys(path->flows, hashes, asked);
	for (size_t i = 0; i < asked; i++)
		nat_source_recall(path, &batch->up[asking[i]], &batch->in[asking[i]]);
}

/* In a pool that learns CIDs. What a handshake has just given out is routed by its CID from now on. */
static void cids_recall(struct path *path, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct uplink *up = &batch->up[i];
		struct route_in *in = &batch->in[i];

		if (in->view.kind != DTLS_CID)
			continue;
		if (up->shared != SNAPSHOT_NO_BACKEND)
			nat_shared_recall(path, up, in);
		up->of_source = in->view.flight || nat_cid_is_unknown(up, in);
		if (in->learned_at != SNAPSHOT_NO_BACKEND)
			up->only = nat_only(up->settings, up->pool->backends[in->learned_at].uid);
	}
}

static void recall(struct path *path, struct batch *batch)
{
	if (batch->listener->wildcard)
		services_recall(path, batch);
	sources_recall(path, batch);
	if (batch->settings->learned)
		cids_recall(path, batch);
}

/* Servers take plaintext records beside a CID record for the session's own. So a flight only goes to a handshake. */
static void admit(struct path *path, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct route_out *out = &batch->out[i];

		if (out->cid_len && batch->in[i].view.flight && !nat_flight_belongs(path, &batch->up[i]))
			*out = (struct route_out){ .verdict = VERDICT_MIXED, .backend = SNAPSHOT_NO_BACKEND };
	}
}

/* Prefetches the flows of sessions. `kind` is the kind of flow that the pool keeps them in. */
static void prefetch(struct path *path, struct batch *batch, enum flow_kind kind)
{
	uint32_t hashes[IO_BATCH];
	size_t wanted = 0;

	for (size_t i = 0; i < batch->count; i++) {
		struct uplink *up = &batch->up[i];
		struct flow_key key;

		if (up->of_source || !verdict_is_routed(up->decision->verdict))
			continue;
		key = nat_cid_key(kind, up);
		up->flow_hash = hashes[wanted++] = flows_hash_key(path->flows, &key);
	}
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
		else if (!up->of_source)
			session(path, up);
		else if (up->decision->cid_len)
			nat_flight_uplink(path, up);
		else
			nat_source_uplink(path, up);
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
	.admit = admit,
	.hello_look = nat_hello_look,
	.hello_take = nat_hello_take,
	.uplinks = follow_uplinks,
	.replies = nat_replies,
	.error = flow_error,
};

const struct forwarder forward_nat_backend = {
	.recall = recall,
	.admit = admit,
	.hello_look = nat_hello_look,
	.hello_take = nat_hello_take,
	.uplinks = backend_uplinks,
	.replies = nat_replies,
	.error = flow_error,
};

/* Mode nat: pools that learn CIDs. */
#include "path/nat_priv.h"

#include "flows/flows.h"
#include "path/learned_cids.h"
#include "path/pending_cids.h"

bool nat_cids_are_contested(const struct path *path)
{
	return pending_cids_contested(handshakes_pending(path->handshakes), (uint32_t)(path->clock_ms / 1000));
}

void nat_pending_recall(const struct uplink *up, const struct flow *flow, struct route_in *in)
{
	const uint16_t at = snapshot_backend_of_uid(up->pool, flow->backend);

	if (at == SNAPSHOT_NO_BACKEND || !flow->handshake.given || !learned_cids_is(in, flow->cid, flow->cid_len))
		return;
	in->learned_at = at;
	in->learned_len = flow->cid_len;
}

/* What is known of a session at one of the servers. The second and third say that it is the source's. */
enum knows { KNOWS_NOTHING, KNOWS_SESSION, KNOWS_SOURCE };

static enum knows session_knows(struct path *path, const struct uplink *up, const struct route_in *in, uint16_t at)
{
	const bool follows = up->settings->forwarder == &forward_nat_follow;
	const struct flow_key key = {
		.kind = follows ? FLOW_CID : FLOW_SOURCE,
		.pool = up->pool->uid,
		.service = up->service,
		.source = up->datagram->from,
		.cid_len = in->learned_len,
		.cid = in->data + in->view.cid_at,
		.only = nat_only(up->settings, up->pool->backends[at].uid),
	};
	const struct ownership_pair from = nat_pair(up);
	struct flow *flow = flows_find(path->flows, &key);
	enum knows knows = KNOWS_SOURCE;

	if (!flow || !flow_lock(flow))
		return KNOWS_NOTHING;
	if (follows && !ownership_is_proven(&flow->session, &from) && !ownership_has_place(&flow->session, &from))
		knows = KNOWS_SESSION;
	flow_unlock(flow);
	return knows;
}

/* True: a handshake of the source with this server has given out the CID. */
static bool handshake_knows(struct path *path, const struct uplink *up, const struct route_in *in, uint16_t at)
{
	const struct flow_key key = nat_address_key(FLOW_ADDRESS, up);
	struct flow *flow = flows_find(path->flows, &key);
	bool knows;

	if (!flow || !flow_lock(flow))
		return false;
	knows = flow->backend == up->pool->backends[at].uid &&
		handshake_gave(&flow->handshake, in->data + in->view.cid_at, in->learned_len);
	flow_unlock(flow);
	return knows;
}

static enum knows knows(struct path *path, const struct uplink *up, const struct route_in *in, uint16_t at)
{
	return handshake_knows(path, up, in, at) ? KNOWS_SOURCE : session_knows(path, up, in, at);
}

void nat_shared_recall(struct path *path, const struct uplink *up, struct route_in *in)
{
	if (knows(path, up, in, up->shared) > knows(path, up, in, in->learned_at))
		in->learned_at = up->shared;
}

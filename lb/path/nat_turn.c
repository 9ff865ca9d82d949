/* Mode nat: what handshakes change beyond their own flow. */
#include "path/nat_priv.h"

#include "flows/flows.h"
#include "path/given_cid.h"

/* The index of the backend that the CID of the handshake leads to. SNAPSHOT_NO_BACKEND: it is not that of the backend
 * that has given it out, which is up to something. */
static uint16_t cid_home(const struct nat_turn *turn)
{
	const struct flow *handshake = turn->handshake;

	return given_cid_home(
		&(struct given_cid){ turn->pool, handshake->backend, handshake->cid, handshake->cid_len });
}

void nat_session_prove(const struct nat_turn *turn)
{
	const uint16_t home = cid_home(turn);
	struct flow *session;

	if (home == SNAPSHOT_NO_BACKEND)
		return;
	session = nat_make_session(turn, &turn->pool->backends[home]);
	if (!session)
		return;
	ownership_prove(&session->session, &turn->handshake->source);
	flows_finish(turn->path->flows, session);
	flow_unlock(session);
}

void nat_session_renew(const struct nat_turn *turn)
{
	const struct flow *handshake = turn->handshake;
	const struct flow_key key = {
		.kind = FLOW_CID,
		.pool = handshake->pool,
		.cid_len = handshake->cid_len,
		.cid = handshake->cid,
		.only = nat_only(turn->settings, handshake->backend),
	};
	struct flow *session = flows_find(turn->path->flows, &key);
	bool ends;

	if (!session || cid_home(turn) == SNAPSHOT_NO_BACKEND || !flow_lock(session))
		return;
	ends = session->class == FLOW_CLASS_CID && !ownership_is_proven(&session->session, &handshake->source);
	flow_unlock(session);
	if (ends)
		flows_end(turn->path->flows, session);
}

void nat_session_elsewhere(const struct nat_turn *turn)
{
	const struct flow *handshake = turn->handshake;
	const struct flow_key key = {
		.kind = turn->settings->forwarder == &forward_nat_follow ? FLOW_CID : FLOW_SOURCE,
		.pool = handshake->pool,
		.service = handshake->source.service,
		.source = handshake->source.device,
		.cid_len = handshake->cid_len,
		.cid = handshake->cid,
		.only = nat_only(turn->settings, handshake->backend),
	};
	struct flow *session = flows_find(turn->path->flows, &key);

	if (!session || !flow_lock(session))
		return;
	session->elsewhere = session->unanswered > 0;
	flow_unlock(session);
}

void nat_hello_succeeds(const struct nat_turn *turn)
{
	const struct flow *hello = turn->handshake;
	struct path *path = turn->path;
	const struct flow_new successor = {
		.key = { .kind = FLOW_ADDRESS,
			 .pool = hello->pool,
			 .service = hello->source.service,
			 .source = hello->source.device },
		.backend = hello->backend,
		.backend_addr = hello->backend_addr,
		.endpoint = &hello->endpoint,
		.source = &hello->source.device,
		.now_ms = path->now_ms,
	};
	struct flow *old = flows_find(path->flows, &successor.key), *flow;

	if (old)
		flows_end(path->flows, old);
	flows_end(path->flows, turn->flow);
	flow = flows_make(path->flows, &successor);
	if (flow && flow_lock(flow)) {
		flow->handshake = hello->handshake;
		flow->cid_len = hello->cid_len;
		memcpy(flow->cid, hello->cid, sizeof flow->cid);
		flow_unlock(flow);
	}
}

void nat_handshake_end(struct path *path, const struct ownership_pair *proven, const struct flow *session)
{
	const struct flow_key key = {
		.kind = FLOW_ADDRESS, .pool = session->pool, .service = proven->service, .source = proven->device
	};
	struct flow *flow = flows_find(path->flows, &key);
	bool ends;

	if (!flow || !flow_lock(flow))
		return;
	ends = flow->handshake.over && flow->cid_len == session->cid_len &&
	       memcmp(flow->cid, session->cid, session->cid_len) == 0;
	flow_unlock(flow);
	if (ends)
		flows_end(path->flows, flow);
}

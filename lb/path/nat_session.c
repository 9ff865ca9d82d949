/* Mode nat: datagrams of a session, which were routed by their CID. */
#include "path/nat_priv.h"

#include "flows/flows.h"

/* The flow of a session or of one of its sources, locked. NULL: there is none, or the datagram has left with the
 * handshake of its source. *said tells, or that this handshake has made the session. A session that its backend has
 * answered at its endpoint belongs to no handshake any more, and neither does one whose proven address speaks. */
static struct flow *find_beyond_handshake(struct path *path, const struct uplink *up, const struct flow_key *key,
					  enum nat_handshake *said)
{
	const struct ownership_pair from = nat_pair(up);
	struct flow *flow = nat_lock(path, up, flows_find_hashed(path->flows, key, up->flow_hash));

	*said = NAT_HANDSHAKE_OTHER;
	if (flow && (flow->class != FLOW_CLASS_HANDSHAKE ||
		     (flow->kind == FLOW_CID && ownership_is_proven(&flow->session, &from))))
		return flow;
	if (flow)
		flow_unlock(flow);
	*said = nat_handshake_uplink(path, up);
	return *said != NAT_HANDSHAKE_SENT && flow && flow_lock(flow) ? flow : NULL;
}

/* The device of a handshake that is over speaks, and its server has not answered it since. The lock is held. */
static void count_unanswered(const struct uplink *up, struct flow *flow)
{
	if (flow->unanswered < FLOW_SILENT && !up->settings->at_handshake)
		flow->unanswered++;
}

void nat_backend_uplink(struct path *path, const struct uplink *up)
{
	const struct flow_key key = nat_cid_key(FLOW_SOURCE, up);
	enum nat_handshake said;
	struct flow *flow = find_beyond_handshake(path, up, &key, &said);

	if (said == NAT_HANDSHAKE_SENT)
		return;
	if (!flow)
		flow = nat_make(path, up, &key);
	if (!flow) {
		nat_refuse_up(path, up, REFUSED_FLOWS);
		return;
	}
	if (said == NAT_HANDSHAKE_OVER && flow->class == FLOW_CLASS_HANDSHAKE)
		count_unanswered(up, flow);
	nat_send_up(path, up, flow);
	flow_unlock(flow);
}

/* nat.contest = "home". The session's lock is held. */
static void home_uplink(struct path *path, const struct uplink *up, struct flow *session,
			const struct ownership_datagram *datagram)
{
	struct ownership_place *many =
		ownership_wants_many(&session->session, &datagram->from) ? flows_many_places() : NULL;

	if (many)
		ownership_expand(&session->session, many);
	ownership_uplink_home(&session->session, datagram);
	nat_send_up(path, up, session);
}

/* Asks which way the datagram goes. The session's lock is held. `own` may be NULL. */
static enum ownership_way ask_way(struct flow *session, struct flow *own, const struct ownership_datagram *datagram)
{
	enum ownership_way way;

	if (!own || !flow_lock(own))
		return ownership_uplink(&session->session, NULL, datagram);
	way = ownership_uplink(&session->session, &own->own, datagram);
	flow_unlock(own);
	return way;
}

/* Sends through the endpoint of the session, although an own one was due: there is none, or to make it the session had
 * to go. */
static void home_send(struct path *path, const struct uplink *up, struct flow *session,
		      const struct ownership_datagram *datagram)
{
	const struct flow_key key = nat_cid_key(FLOW_CID, up);

	if (!flow_lock(session)) {
		session = nat_make(path, up, &key);
		if (!session) {
			nat_refuse_up(path, up, REFUSED_FLOWS);
			return;
		}
		(void)ownership_uplink(&session->session, NULL, datagram);
	}
	nat_send_up(path, up, session);
	flow_unlock(session);
}

/* Both are locked, or neither. */
static bool lock_both(struct flow *session, struct flow *own)
{
	if (!flow_lock(session))
		return false;
	if (flow_lock(own))
		return true;
	flow_unlock(session);
	return false;
}

/* Sends through the own endpoint of the source. `own` may be NULL. No lock is held: a flow may have to be made. */
static void own_send(struct path *path, const struct uplink *up, struct flow *session, struct flow *own,
		     enum ownership_way way)
{
	const struct flow_key key = nat_cid_key(FLOW_SOURCE, up);
	const struct ownership_datagram datagram = { nat_pair(up), (uint32_t)up->datagram->len, path->now_ms };

	own = nat_lock(path, up, own);
	if (!own)
		own = nat_make(path, up, &key);
	if (own)
		flow_unlock(own);
	if (!own || !lock_both(session, own)) {
		home_send(path, up, session, &datagram);
		return;
	}
	ownership_own_uplink(&session->session, &own->own, way, &datagram);
	nat_send_up(path, up, own);
	flow_unlock(own);
	flow_unlock(session);
	stats_add(&path->stats.own_endpoint[up->pool->uid], 1);
}

/* nat.endpoint = "handshake": where the handshake of the session was is not known, and its server has not answered. So
 * the endpoint is that of whoever showed the CID last (nat_flow.c). */
static bool is_misplaced(const struct flow *session, const struct uplink *up, const struct ownership_pair *from)
{
	return up->settings->at_handshake && session->class == FLOW_CLASS_HANDSHAKE && !session->session.has_proven &&
	       !ownership_has_place(&session->session, from);
}

/* The flow of the session, locked, or NULL. */
static struct flow *session_make(struct path *path, const struct uplink *up, struct flow *session)
{
	const struct flow_key key = nat_cid_key(FLOW_CID, up);
	const struct ownership_pair from = nat_pair(up);

	if (session && is_misplaced(session, up, &from)) {
		flow_unlock(session);
		flows_end(path->flows, session);
		session = NULL;
	}
	return session ? session : nat_make(path, up, &key);
}

/* Apart from nat_follow_uplink(), which hardly ever needs it. */
static struct flow *find_own(struct path *path, const struct uplink *up)
{
	const struct flow_key key = nat_cid_key(FLOW_SOURCE, up);

	return flows_find(path->flows, &key);
}

void nat_follow_uplink(struct path *path, const struct uplink *up)
{
	const struct flow_key key = nat_cid_key(FLOW_CID, up);
	const struct ownership_datagram datagram = { nat_pair(up), (uint32_t)up->datagram->len, path->now_ms };
	enum nat_handshake said;
	struct flow *session = find_beyond_handshake(path, up, &key, &said), *own = NULL;
	enum ownership_way way;

	if (said == NAT_HANDSHAKE_SENT)
		return;
	session = session_make(path, up, session);
	if (!session) {
		nat_refuse_up(path, up, REFUSED_FLOWS);
		return;
	}
	/* The flow that was made when the handshake was over may have ended before the device spoke. */
	if (said == NAT_HANDSHAKE_OVER && !session->session.has_proven) {
		ownership_prove(&session->session, &datagram.from);
		flows_finish(path->flows, session);
	}
	if (session->class == FLOW_CLASS_HANDSHAKE && ownership_is_proven(&session->session, &datagram.from))
		count_unanswered(up, session);
	if (up->settings->contest_home) {
		home_uplink(path, up, session, &datagram);
		flow_unlock(session);
		return;
	}
	if (ownership_asks_own(&session->session, &datagram))
		own = find_own(path, up);
	way = ask_way(session, own, &datagram);
	if (way == OWNERSHIP_HOME)
		nat_send_up(path, up, session);
	flow_unlock(session);
	if (way != OWNERSHIP_HOME)
		own_send(path, up, session, own, way);
}

/* Mode nat, the way back: to whom a reply at an endpoint belongs, and what it proves. */
#include "path/nat_priv.h"

#include "common/allowance.h"
#include "flows/flows.h"
#include "path/given_cid.h"
#include "path/resumed.h"

/* One reply whose flow was found. */
struct reply {
	struct path *path;
	const struct table *table;
	const struct snapshot_pool *pool;
	const struct table_pool *settings;
	const struct io_datagram *datagram;
	struct flow *flow;
	/* Who gets it. */
	struct ownership_pair to[OWNERSHIP_WAYS_BACK];
	unsigned count;
	enum refused reason;  /* if nobody gets it */
	struct flow *leaving; /* must end to make room; NULL: none */
};

static bool pay(void *ctx, const struct ownership_pair *to, uint32_t octets)
{
	const struct reply *reply = ctx;
	const struct allowance allowance = { reply->pool->uid, reply->settings->unproven_rate, &to->device };

	return allowance_take(reply->path->allowances, &allowance, octets, reply->path->clock_ms);
}

static void send_down(const struct reply *reply, const struct ownership_pair *to)
{
	struct path *path = reply->path;
	struct service_addr service = service_addrs_get(path->service_addrs, to->service);

	io_queue(path->outbox, &(struct io_send){
				       .handle = atomic_load_explicit(&path->listener_handles[service.listener],
								      memory_order_relaxed),
				       .data = reply->datagram->data,
				       .len = reply->datagram->len,
				       .to = to->device,
				       .local = service.local,
				       .sent = &path->stats.sent_down[reply->flow->backend],
				       .refused = &path->stats.refused_down[reply->pool->uid][REFUSED_SEND],
			       });
}

/* The lock is held. `withheld`: so many addresses do not get it. */
static void pass(struct reply *reply, unsigned withheld)
{
	struct trace_ring *trace = path_trace(reply->path);

	flow_pass_down(reply->flow, reply->count ? reply->count - 1 : 0, reply->path->now_ms);
	flow_count(reply->flow, (uint64_t)reply->count * reply->datagram->len, withheld);
	if (trace)
		trace_down(trace, reply->datagram, reply->flow, reply->to, reply->count);
}

static void promote(struct reply *reply, enum flow_class class)
{
	reply->leaving = flows_promote(reply->path->flows, reply->flow, class, reply->path->now_ms);
}

static void session_answered(struct reply *reply)
{
	promote(reply, FLOW_CLASS_CID);
	stats_add(&reply->path->stats.sessions[reply->flow->backend], 1);
}

/* A downlink went to whoever should get it; `own`: to this source's own endpoint. The session's lock is held. */
static void count_move(const struct reply *reply, struct flow *session, const struct ownership_pair *own)
{
	enum ownership_move move;

	if (!session->session.moves)
		return;
	move = ownership_settle_move(&session->session, own);
	if (move != OWNERSHIP_STAYS) {
		flow_count_move(session);
		stats_add(&reply->path->stats.moves[session->pool], 1);
	}
	if (move == OWNERSHIP_MOVED_FIRST)
		stats_add(&reply->path->stats.rescued[session->pool], 1);
}

/* True: a record of it is protected by a key. */
static bool is_protected(const struct io_datagram *datagram)
{
	return dtls_read_reply(datagram->data, datagram->len) == DTLS_REPLY_PROTECTED ||
	       (datagram->len && datagram->data[0] >> 5 == 1);
}

/* What a reply on the flow of a source changed, for when its lock is given back. */
struct turn {
	bool succeeds, renews, proves, goes_on;
	struct flow flow; /* a copy, if any */
};

/* The handshake has made a session with a CID. The lock is held. */
static void handshake_made(const struct reply *reply)
{
	const struct flow *flow = reply->flow;

	flows_finish(reply->path->flows, reply->flow);
	learned_cids_add(reply->settings->learned, reply->pool, flow->backend, flow->cid, flow->cid_len);
}

static void cid_given(const struct reply *reply, const struct given_cid *given)
{
	struct path *path = reply->path;

	given_cid_note(path, given);
	learned_cids_offer(reply->settings->learned, handshakes_pending(path->handshakes), given,
			   (uint32_t)(path->clock_ms / 1000));
}

/* What the backend gives out to a device without a CID. True: it has shown that the device has the keys. The lock is
 * held. */
static bool resume_take(const struct reply *reply)
{
	struct flow *flow = reply->flow;
	const struct table_pool *settings = reply->settings;
	struct resumed_session session = { settings, reply->pool, flow->backend, &flow->source.device, { 0 } };

	if (!settings->sessions || flow->handshake.given ||
	    !resume_reply(&flow->handshake.resume, &settings->session_key, reply->datagram->data, reply->datagram->len,
			  &session.given))
		return false;
	resumed_learn(&session);
	return true;
}

/* The lock is held. A handshake that was led to its backend by what its ClientHello offers may be anybody's, until the
 * source has repeated a cookie or has shown the keys. */
static bool hello_succeeds(const struct flow *flow, const struct handshake_news *news, bool shown)
{
	if (flow->kind != FLOW_HELLO)
		return false;
	return shown || (news->served && (!flow->handshake.led || hello_confirmed(&flow->handshake.hello)));
}

static void handshake_take(struct reply *reply, struct turn *turn)
{
	struct path *path = reply->path;
	struct flow *flow = reply->flow;
	const struct handshake_datagram down = nat_datagram(path, reply->datagram);
	const struct ownership_purse purse = { pay, reply };
	const bool was_over = flow->handshake.over && flow->handshake.given;
	const struct handshake_news news =
		handshake_reply(&flow->handshake, &path->hello_key, &down, &flow->source, &purse);

	nat_keep_cid(flow);
	if (news.pass == HANDSHAKE_WITHHELD)
		reply->count = 0;
	else if (news.pass == HANDSHAKE_REFLECTED)
		stats_add(&path->stats.reflected[flow->pool], 1);
	if (news.over)
		stats_add(&path->stats.handshakes_over[flow->pool], 1);
	if (news.over && hello_rrc(&flow->handshake.hello))
		stats_add(&path->stats.rrc[flow->pool], 1);
	if (news.gave)
		cid_given(reply, &(struct given_cid){ reply->pool, flow->backend, flow->cid, flow->cid_len });
	turn->goes_on = was_over && is_protected(reply->datagram);
	turn->succeeds = hello_succeeds(flow, &news, news.pass != HANDSHAKE_WITHHELD && resume_take(reply));
	turn->renews = news.gave && reply->settings->forwarder == &forward_nat_follow;
	turn->proves = news.over && flow->handshake.given && reply->settings->forwarder == &forward_nat_follow;
	if (news.over && flow->handshake.given)
		handshake_made(reply);
	else if (news.over)
		promote(reply, FLOW_CLASS_ADDRESS);
}

/* What does not change by itself, or is under the lock. */
static void copy_source_flow(struct flow *copy, const struct flow *flow)
{
	copy->pool = flow->pool;
	copy->backend = flow->backend;
	copy->backend_addr = flow->backend_addr;
	copy->endpoint = flow->endpoint;
	copy->cid_len = flow->cid_len;
	memcpy(copy->cid, flow->cid, sizeof copy->cid);
	copy->source = flow->source;
	copy->handshake = flow->handshake;
}

/* True: its backend answers a new session. The lock is held. */
static bool answers_new(const struct reply *reply)
{
	return reply->pool->protocol == POOL_UDP ? !reply->flow->replied
						 : dtls_answers_hello(reply->datagram->data, reply->datagram->len);
}

/* A flow of an address, be it under a handshake or not. */
static void source_reply(struct reply *reply)
{
	struct flow *flow = reply->flow;
	struct turn turn = { .succeeds = false };
	const struct nat_turn changed = { reply->path, reply->pool, reply->settings, flow, &turn.flow };

	reply->to[0] = flow->source;
	reply->count = 1;
	if (answers_new(reply))
		stats_add(&reply->path->stats.answered[flow->backend], 1);
	if (reply->pool->protocol == POOL_DTLS)
		handshake_take(reply, &turn);
	pass(reply, reply->count == 0);
	if (reply->pool->protocol == POOL_UDP && flow->rounds == FLOW_ROUNDS && flow->class == FLOW_CLASS_HANDSHAKE)
		promote(reply, FLOW_CLASS_ADDRESS);
	if (turn.succeeds || turn.renews || turn.proves || turn.goes_on)
		copy_source_flow(&turn.flow, flow);
	flow_unlock(flow);
	if (turn.succeeds)
		nat_hello_succeeds(&changed);
	if (turn.renews)
		nat_session_renew(&changed);
	if (turn.proves)
		nat_session_prove(&changed);
	if (turn.goes_on)
		nat_session_elsewhere(&changed);
}

/* With nat.endpoint = "handshake" what a server repeats of its last flight comes to the session: until it has answered
 * what came up behind the handshake. */
static bool ends_handshake(const struct reply *reply)
{
	return reply->settings->at_handshake && reply->flow->class == FLOW_CLASS_HANDSHAKE;
}

/* The flow of a session, at E0. */
static void session_reply(struct reply *reply)
{
	const struct ownership_purse purse = { pay, reply };
	const struct ownership_datagram down = { .octets = (uint32_t)reply->datagram->len,
						 .now_ms = reply->path->now_ms };
	struct flow *flow = reply->flow;
	struct ownership_pair proven;
	bool first = false, has_proven;
	unsigned withheld = 0;

	has_proven = flow->session.has_proven;
	proven = flow->session.proven;
	if (is_protected(reply->datagram)) {
		reply->count = ownership_downlink(&flow->session, &down, &purse, reply->to, &withheld);
		count_move(reply, flow, NULL);
		first = flow->class == FLOW_CLASS_HANDSHAKE;
	} else if (has_proven && ends_handshake(reply)) {
		reply->to[reply->count++] = proven;
	} else {
		reply->reason = REFUSED_PLAINTEXT;
	}
	pass(reply, withheld);
	/* With nat.endpoint = "handshake" the backend may only have repeated the end of the handshake. */
	first = first && flow->rounds;
	if (first)
		session_answered(reply);
	flow_unlock(flow);
	stats_add(&reply->path->stats.withheld[flow->pool], withheld);
	if (first && has_proven)
		nat_handshake_end(reply->path, &proven, flow);
}

/* The session of a source's own endpoint, locked, or NULL. */
static struct flow *session_of(const struct reply *reply)
{
	const struct flow_key key = {
		.kind = FLOW_CID,
		.pool = reply->flow->pool,
		.cid_len = reply->flow->cid_len,
		.cid = reply->flow->cid,
		.only = nat_only(reply->settings, reply->flow->backend),
	};
	struct flow *session = flows_find(reply->path->flows, &key);

	return session && flow_lock(session) ? session : NULL;
}

/* The own endpoint of one source of a session, with rebind = "follow". */
static void own_reply(struct reply *reply)
{
	const struct ownership_purse purse = { pay, reply };
	struct flow *flow = reply->flow, *session = session_of(reply);
	const struct ownership_datagram down = { flow->source, (uint32_t)reply->datagram->len, reply->path->now_ms };

	if (flow_lock(flow)) {
		reply->to[0] = flow->source;
		if (!is_protected(reply->datagram))
			reply->reason = REFUSED_PLAINTEXT;
		else if (ownership_own_downlink(session ? &session->session : NULL, &flow->own, &purse, &down))
			reply->count = 1;
		if (reply->count && session)
			count_move(reply, session, &flow->source);
		pass(reply, reply->count == 0);
		flow_unlock(flow);
	}
	if (session)
		flow_unlock(session);
}

/* The endpoint of one source of a session, with rebind = "backend": the backend decides. */
static void backend_reply(struct reply *reply)
{
	struct flow *flow = reply->flow;
	const bool first = flow->class == FLOW_CLASS_HANDSHAKE;

	reply->to[0] = flow->source;
	reply->count = 1;
	pass(reply, 0);
	if (first)
		session_answered(reply);
	flow_unlock(flow);
	if (first)
		nat_handshake_end(reply->path, &reply->to[0], flow);
}

/* False: the flow has ended meanwhile. */
static bool reply_route(struct reply *reply)
{
	if (reply->flow->kind == FLOW_SOURCE && reply->settings->forwarder == &forward_nat_follow) {
		own_reply(reply);
		return true;
	}
	if (!flow_lock(reply->flow))
		return false;
	switch ((enum flow_kind)reply->flow->kind) {
	case FLOW_ADDRESS:
	case FLOW_HELLO:
		source_reply(reply);
		break;
	case FLOW_CID:
		session_reply(reply);
		break;
	case FLOW_SOURCE:
		backend_reply(reply);
		break;
	}
	return true;
}

/* Takes the reply at `at`. `hash` is the hash of its endpoint and its sender (flows_hash_end()). */
static void take_reply(struct path *path, const struct replies *replies, size_t at, uint32_t hash)
{
	const struct table *table = replies->table;
	struct reply reply = {
		.path = path, .table = table, .datagram = &replies->datagrams[at], .reason = REFUSED_BUDGET
	};
	uint16_t pool;

	reply.flow = flows_find_end_hashed(path->flows, &replies->endpoints[at], &reply.datagram->from, hash);
	if (!reply.flow) {
		stats_add(replies->unclaimed[at], 1);
		return;
	}
	pool = table->pool_of_uid[reply.flow->pool];
	if (pool == TABLE_NONE) {
		stats_add(&path->stats.strays, 1);
		return;
	}
	reply.pool = &table->snapshot->pools[pool];
	reply.settings = &table->pools[pool];
	if (!reply_route(&reply)) {
		stats_add(&path->stats.strays, 1);
		return;
	}
	stats_add(&path->stats.replies[reply.flow->pool], 1);
	for (unsigned i = 0; i < reply.count; i++)
		send_down(&reply, &reply.to[i]);
	if (reply.count == 0)
		stats_add(&path->stats.refused_down[reply.flow->pool][reply.reason], 1);
	else
		stats_add(&path->stats.copies[reply.flow->pool], reply.count - 1);
	flows_evict(path->flows, reply.leaving);
}

void nat_replies(struct path *path, struct replies *replies)
{
	uint32_t hashes[IO_BATCH];
	uint8_t left[IO_BATCH];
	size_t count = 0;

	for (size_t i = 0; i < replies->count; i++) {
		if (replies->taken[i])
			continue;
		hashes[count] = flows_hash_end(path->flows, &replies->endpoints[i], &replies->datagrams[i].from);
		left[count++] = (uint8_t)i;
	}
	if (count == 0)
		return;
	flows_prefetch_ends(path->flows, hashes, count);
	for (size_t i = 0; i < count; i++)
		take_reply(path, replies, left[i], hashes[i]);
}

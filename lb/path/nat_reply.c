/* Mode nat, the way back: to whom a reply at an endpoint belongs, and what it proves. */
#include "path/nat_priv.h"

#include "flows/flows.h"

static void send_down(struct path *path, const struct io_datagram *reply, uint16_t backend, uint16_t pool,
		      const struct ownership_peer *to)
{
	struct service_addr service = service_addrs_get(path->service_addrs, to->service);

	io_queue(path->outbox, &(struct io_send){
				       .handle = atomic_load_explicit(&path->listener_handles[service.listener],
								      memory_order_relaxed),
				       .data = reply->data,
				       .len = reply->len,
				       .to = to->device,
				       .local = service.local,
				       .sent = &path->stats.sent_down[backend],
				       .refused = &path->stats.refused_down[pool][REFUSED_SEND],
			       });
}

/* The flow that takes the place of its source's old one. `hello` is the flow of a ClientHello, whose lock is held; the
 * backend goes on with its handshake. */
static struct flow_new successor_of(const struct path *path, const struct flow *hello, const struct addr *endpoint)
{
	const struct ownership_peer *owner = &hello->ownership.owner.peer;

	return (struct flow_new){
		.key = { .kind = FLOW_ADDRESS,
			 .pool = hello->pool,
			 .service = owner->service,
			 .source = owner->device },
		.backend = hello->backend,
		.backend_addr = hello->backend_addr,
		.endpoint = endpoint,
		.owner = *owner,
		.owner_proven = true,
		.now_ms = path->now_ms,
	};
}

static void hello_succeeds(struct path *path, struct flow *hello, const struct flow_new *successor)
{
	struct flow *old = flows_find(path->flows, &successor->key), *flow;

	if (old)
		flows_end(path->flows, old);
	flows_end(path->flows, hello);
	flow = flows_make(path->flows, successor);
	if (flow && flow_lock(flow)) {
		flow->handshake = true;
		flows_prove(path->flows, flow);
		flow_unlock(flow);
	}
}

/* A downlink came to the own endpoint of a source. So the backend checked the record that was sent there, and moved. */
static void source_proven(struct path *path, const struct flow *source, const struct ownership_peer *peer)
{
	struct flow_key key = {
		.kind = FLOW_CID, .pool = source->pool, .cid_len = source->cid_len, .cid = source->cid
	};
	struct flow *session = flows_find(path->flows, &key);

	if (!session || !flow_lock(session))
		return;
	ownership_prove(&session->ownership, peer);
	flow_unlock(session);
}

/* Takes a reply on a flow without a CID, which is locked. Returns true if this answer lets a FLOW_HELLO take over. */
static bool address_reply(struct path *path, const struct table *table, const struct io_datagram *reply,
			  struct flow *flow)
{
	const struct snapshot_pool *pool = &table->snapshot->pools[table->pool_of_uid[flow->pool]];
	enum dtls_reply said =
		pool->protocol == POOL_UDP ? DTLS_REPLY_PROTECTED : dtls_read_reply(reply->data, reply->len);

	if (said == DTLS_REPLY_NONE || said == DTLS_REPLY_STATELESS)
		return false;
	if (said == DTLS_REPLY_PROTECTED) {
		flow->handshake = false;
		flow->protected_seen = true;
	}
	flows_prove(path->flows, flow);
	return flow->kind == FLOW_HELLO;
}

/* Takes the reply at `at`. `hash` is the hash of its endpoint and its sender (flows_hash_end()). */
static void take_reply(struct path *path, const struct replies *replies, size_t at, uint32_t hash)
{
	const struct table *table = replies->table;
	const struct io_datagram *reply = &replies->datagrams[at];
	const struct addr *endpoint = &replies->endpoints[at];
	struct flow *flow = flows_find_end_hashed(path->flows, endpoint, &reply->from, hash);
	struct trace_ring *trace = path_trace(path);
	bool take_over = false, proof = false;
	struct ownership_peer to[OWNERSHIP_WAYS_BACK];
	struct flow_new successor = { 0 };
	unsigned count = 1;
	uint16_t backend;

	if (!flow) {
		stats_add(replies->unclaimed[at], 1);
		return;
	}
	if (table->pool_of_uid[flow->pool] == TABLE_NONE || !flow_lock(flow)) {
		stats_add(&path->stats.strays, 1);
		return;
	}
	to[0] = flow->ownership.owner.peer;
	backend = flow->backend;
	switch ((enum flow_kind)flow->kind) {
	case FLOW_ADDRESS:
	case FLOW_HELLO:
		take_over = address_reply(path, table, reply, flow);
		break;
	case FLOW_CID:
		count = ownership_downlink(&flow->ownership, (uint32_t)reply->len, to);
		flows_prove(path->flows, flow);
		break;
	case FLOW_SOURCE:
		proof = flow->awaiting;
		flow->awaiting = false;
		flows_prove(path->flows, flow);
		break;
	}
	flow_pass_down(flow, count ? count - 1 : 0, path->now_ms);
	if (trace)
		trace_down(trace, reply, flow, to, count);
	if (take_over)
		successor = successor_of(path, flow, endpoint);
	flow_unlock(flow);

	stats_add(&path->stats.replies[flow->pool], 1);
	for (unsigned i = 0; i < count; i++)
		send_down(path, reply, backend, flow->pool, &to[i]);
	if (count == 0)
		stats_add(&path->stats.refused_down[flow->pool][REFUSED_BUDGET], 1);
	else
		stats_add(&path->stats.copies[flow->pool], count - 1);
	if (take_over)
		hello_succeeds(path, flow, &successor);
	if (proof)
		source_proven(path, flow, &to[0]);
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

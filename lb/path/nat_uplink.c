/* Mode nat, one datagram on its way to a backend: which flow it belongs to, and through which endpoint it leaves.
 *
 * There are four kinds of flow (flows.h): ADDRESS, a source without a CID; HELLO, a ClientHello whose backend is not
 * that of its source's flow; CID, a session; SOURCE, one source of a session.
 */
#include "path/nat_priv.h"

#include "flows/flows.h"
#include "path/errors.h"

static struct flow_key address_key(enum flow_kind kind, const struct uplink *up)
{
	return (struct flow_key){
		.kind = kind, .pool = up->pool->uid, .service = up->service, .source = up->datagram->from
	};
}

static struct flow_key cid_key(enum flow_kind kind, const struct uplink *up)
{
	struct flow_key key = {
		.kind = kind, .pool = up->pool->uid, .cid_len = up->decision->cid_len, .cid = up->decision->cid
	};

	if (kind == FLOW_SOURCE) {
		key.service = up->service;
		key.source = up->datagram->from;
	}
	return key;
}

uint32_t nat_hash_source(const struct path *path, const struct uplink *up)
{
	struct flow_key key = address_key(FLOW_ADDRESS, up);

	return flows_hash_key(path->flows, &key);
}

uint32_t nat_hash(const struct path *path, const struct uplink *up, enum flow_kind session)
{
	struct flow_key key;

	if (up->decision->cid_len == 0)
		return nat_hash_source(path, up);
	key = cid_key(session, up);
	return flows_hash_key(path->flows, &key);
}

/* Hashes the CID, or the source and the address that it sent to, or the CID and the source. All keys come from the
 * configuration, so the result is the same on every node and after every start. */
static uint64_t endpoint_hash(const struct uplink *up, const struct flow_key *key)
{
	const struct siphash_key *hash_key = key->cid_len ? &up->settings->endpoint_key : &up->listener->endpoint_key;
	uint8_t octets[LBCID_MAX_OCTETS + sizeof(uint64_t) + 16];
	size_t len = key->cid_len;

	if (len)
		memcpy(octets, key->cid, len);
	if (key->kind != FLOW_CID) {
		uint64_t source = siphash_addr(hash_key, &key->source, true);

		for (size_t i = 0; i < sizeof source; i++)
			octets[len++] = (uint8_t)(source >> 8 * i);
	}
	if (key->cid_len == 0 && up->listener->wildcard) {
		memcpy(octets + len, up->datagram->local, 16);
		len += 16;
	}
	return siphash24(hash_key, octets, len);
}

static const struct snapshot_backend *decided(const struct uplink *up)
{
	return &up->pool->backends[up->decision->backend];
}

/* True: the flow leads where the datagram is to go. A flow that was made under an earlier configuration may not. */
static bool leads_there(const struct flow *flow, const struct uplink *up)
{
	const struct snapshot_backend *backend = decided(up);

	return flow->backend == backend->uid && addr_equal(&flow->backend_addr, &backend->addr) &&
	       endpoint_contains(&up->settings->space, &flow->endpoint);
}

void nat_refuse_up(struct path *path, const struct uplink *up, enum refused reason)
{
	struct trace_ring *trace = path_trace(path);

	stats_add(&path->stats.refused_up[up->pool->uid][reason], 1);
	if (trace)
		trace_up(trace, up, NULL);
}

static struct ownership_peer peer_of(const struct uplink *up)
{
	return (struct ownership_peer){ .device = up->datagram->from, .service = up->service };
}

static int endpoint_handle(struct path *path, const struct uplink *up, const struct flow *flow)
{
	enum io_family family = addr_is_v4(&flow->backend_addr) ? IO_V4 : IO_V6;

	if (up->settings->ports[family])
		return port_sockets_get(up->settings->ports[family], flow->endpoint.port);
	return atomic_load_explicit(&path->endpoint_handles[family][flow->endpoint.port], memory_order_relaxed);
}

/* The flow's lock is held. That is safe, because the outbox has room for all uplinks of a batch: it sends nothing, and
 * drains no error, in the meantime. */
static void send_up(struct path *path, const struct uplink *up, struct flow *flow)
{
	struct trace_ring *trace = path_trace(path);

	flow_pass_up(flow, path->now_ms);
	if (trace)
		trace_up(trace, up, flow);
	io_queue(path->outbox, &(struct io_send){
				       .handle = endpoint_handle(path, up, flow),
				       .data = up->datagram->data,
				       .len = up->datagram->len,
				       .to = flow->backend_addr,
				       .local = flow->endpoint.ip,
				       .queue = ERRORS_ENDPOINT | flow->endpoint.port,
				       .sent = &path->stats.sent_up[flow->backend],
				       .refused = &path->stats.refused_up[flow->pool][REFUSED_SEND],
			       });
}

struct opening {
	struct path *path;
	struct port_sockets *ports;
};

static struct opening opening_of(struct path *path, const struct table_pool *settings, const struct addr *backend)
{
	return (struct opening){ path, settings->ports[addr_is_v4(backend) ? IO_V4 : IO_V6] };
}

static bool port_opens(void *ctx, const struct addr *endpoint)
{
	const struct opening *opening = ctx;
	struct path *path = opening->path;

	return path->open_port(path->open_port_ctx, opening->ports, endpoint->port) >= 0;
}

/* A new flow of `key` to the decided backend, locked. NULL: none to be had. `proven`: its owner begins as proven. That
 * is right also for a source that nobody checked, if only this source uses the endpoint: it has no rival there. */
static struct flow *make_locked(struct path *path, const struct uplink *up, const struct flow_key *key, bool proven)
{
	struct opening opening = opening_of(path, up->settings, &decided(up)->addr);
	struct flow *flow = flows_make(path->flows, &(struct flow_new){
							    .key = *key,
							    .backend = decided(up)->uid,
							    .backend_addr = decided(up)->addr,
							    .space = &up->settings->space,
							    .endpoint_hash = endpoint_hash(up, key),
							    .usable = opening.ports ? port_opens : NULL,
							    .usable_ctx = &opening,
							    .owner = peer_of(up),
							    .owner_proven = proven,
							    .now_ms = path->now_ms,
						    });

	return flow && flow_lock(flow) ? flow : NULL;
}

/* The live flow of `key` if it leads to the decided backend, locked. Ends one that leads elsewhere. */
static struct flow *find_locked(struct path *path, const struct uplink *up, const struct flow_key *key, uint32_t hash)
{
	struct flow *flow = flows_find_hashed(path->flows, key, hash);

	if (!flow || !flow_lock(flow))
		return NULL;
	if (leads_there(flow, up))
		return flow;
	flow_unlock(flow);
	flows_end(path->flows, flow);
	return NULL;
}

uint16_t nat_hint(struct path *path, const struct uplink *up)
{
	struct flow_key key = address_key(FLOW_ADDRESS, up);
	struct flow *flow = flows_find_hashed(path->flows, &key, up->flow_hash);
	uint16_t backend = ROUTE_NO_HINT;

	if (flow && flow_lock(flow)) {
		backend = flow->backend;
		flow_unlock(flow);
	}
	return backend;
}

/* A ClientHello leaves the live flow of its source alone if that leads elsewhere, because anybody can send one. It gets
 * a flow of its own kind. That takes the place of the other when the backend goes on with the handshake. */
static enum flow_kind hello_kind(struct path *path, const struct uplink *up)
{
	struct flow_key key = address_key(FLOW_ADDRESS, up);
	struct flow *flow = flows_find_hashed(path->flows, &key, up->flow_hash);
	enum flow_kind kind = FLOW_ADDRESS;

	if (flow && flow_lock(flow)) {
		if (!flow->trial && !leads_there(flow, up))
			kind = FLOW_HELLO;
		flow_unlock(flow);
	}
	return kind;
}

void nat_address_uplink(struct path *path, const struct uplink *up)
{
	bool hello = up->pool->protocol == POOL_DTLS && up->view->kind == DTLS_HELLO;
	enum flow_kind kind = hello ? hello_kind(path, up) : FLOW_ADDRESS;
	struct flow_key key = address_key(kind, up);
	struct flow *flow =
		find_locked(path, up, &key, kind == FLOW_ADDRESS ? up->flow_hash : flows_hash_key(path->flows, &key));

	if (!flow)
		flow = make_locked(path, up, &key, true);
	if (!flow) {
		nat_refuse_up(path, up, REFUSED_FLOWS);
		return;
	}
	/* After a restart the ClientHello is forgotten. Then other datagrams of the handshake tell of it. */
	if (hello || (up->pool->protocol == POOL_DTLS && up->view->flight))
		flow->handshake = true;
	send_up(path, up, flow);
	flow_unlock(flow);
}

/* What the handshake of its source says of a datagram with a CID. */
struct handshake {
	bool sent;   /* the datagram belongs to the handshake, and has left through its endpoint */
	bool proven; /* the handshake succeeded with this CID: the source is reachable, and the session is its own */
};

static bool is_cid(const struct flow *flow, const struct route_out *decision)
{
	return flow->cid_len == decision->cid_len && memcmp(flow->cid, decision->cid, flow->cid_len) == 0;
}

/* A handshake keeps its endpoint to the end, because the server knows the device by that address until the first
 * application record. Some clients send Finished in a datagram of its own. Most send it in one that begins with epoch-0
 * records. Those records also tell a flight that is repeated because the server's answer was lost. */
static struct handshake handshake_uplink(struct path *path, const struct uplink *up)
{
	struct flow_key key = address_key(FLOW_ADDRESS, up);
	struct flow *flow = flows_find(path->flows, &key);
	struct handshake of = { false, false };

	/* After a restart a repeated flight may be the first that is seen of its handshake. */
	if (!flow && up->view->flight) {
		flow = make_locked(path, up, &key, true);
		if (flow)
			flow->handshake = true;
	} else if (flow && !flow_lock(flow)) {
		flow = NULL;
	}
	if (!flow)
		return of;
	if (leads_there(flow, up)) {
		of.sent = flow->handshake || up->view->flight;
		if (of.sent) {
			flow->cid_len = up->decision->cid_len;
			memcpy(flow->cid, up->decision->cid, flow->cid_len);
			send_up(path, up, flow);
		}
		of.proven = flow->protected_seen && is_cid(flow, up->decision);
	}
	flow_unlock(flow);
	return of;
}

/* Sends through an endpoint that only this source uses: that of `flow`, or of a new flow. */
static void source_send(struct path *path, const struct uplink *up, struct flow *flow, const struct flow_key *key)
{
	if (!flow)
		flow = make_locked(path, up, key, true);
	if (!flow) {
		nat_refuse_up(path, up, REFUSED_FLOWS);
		return;
	}
	flow->awaiting = true;
	send_up(path, up, flow);
	flow_unlock(flow);
}

static void own_send(struct path *path, const struct uplink *up)
{
	struct flow_key key = cid_key(FLOW_SOURCE, up);

	source_send(path, up, find_locked(path, up, &key, flows_hash_key(path->flows, &key)), &key);
}

/* The live flow of `key`, locked. NULL: there is none, or the datagram has left with the handshake of its source. A
 * handshake keeps its endpoint, whoever has shown the CID before. A flow that its backend has answered belongs to no
 * handshake, unless the datagram is a last flight. *of says what the handshake did. */
static struct flow *find_beyond_handshake(struct path *path, const struct uplink *up, const struct flow_key *key,
					  struct handshake *of)
{
	struct flow *flow = find_locked(path, up, key, up->flow_hash);

	*of = (struct handshake){ false, false };
	if (flow && !flow->trial && !up->view->flight)
		return flow;
	if (flow)
		flow_unlock(flow);
	*of = handshake_uplink(path, up);
	return flow && !of->sent ? find_locked(path, up, key, up->flow_hash) : NULL;
}

void nat_backend_uplink(struct path *path, const struct uplink *up)
{
	struct flow_key key = cid_key(FLOW_SOURCE, up);
	struct handshake of;
	struct flow *flow = find_beyond_handshake(path, up, &key, &of);

	if (!of.sent)
		source_send(path, up, flow, &key);
}

void nat_follow_uplink(struct path *path, const struct uplink *up)
{
	struct flow_key key = cid_key(FLOW_CID, up);
	struct ownership_peer from = peer_of(up);
	struct handshake of;
	struct flow *flow = find_beyond_handshake(path, up, &key, &of);
	bool contest_began;
	enum ownership_way way;

	if (of.sent)
		return;
	if (!flow)
		flow = make_locked(path, up, &key, of.proven);
	if (!flow) {
		nat_refuse_up(path, up, REFUSED_FLOWS);
		return;
	}
	way = ownership_uplink(&flow->ownership, &up->settings->times, &from, (uint32_t)up->datagram->len, path->now_ms,
			       &contest_began);
	if (way == OWNERSHIP_HOME)
		send_up(path, up, flow);
	flow_unlock(flow);
	if (way == OWNERSHIP_OWN)
		own_send(path, up);
	if (contest_began)
		stats_add(&path->stats.contests[up->pool->uid], 1);
}

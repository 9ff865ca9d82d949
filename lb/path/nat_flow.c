/* Mode nat: which endpoint a flow has, how it is found and made, and how a datagram leaves by it. */
#include "path/nat_priv.h"

#include <errno.h>

#include "common/bytes.h"
#include "flows/flows.h"
#include "path/errors.h"

enum { AT_HANDSHAKE_TRIES = 3 /* others may show the CID meanwhile */ };

static const struct snapshot_backend *decided(const struct uplink *up)
{
	return &up->pool->backends[up->decision->backend];
}

struct flow_key nat_address_key(enum flow_kind kind, const struct uplink *up)
{
	return (struct flow_key){
		.kind = kind, .pool = up->pool->uid, .service = up->service, .source = up->datagram->from
	};
}

/* Hashes the CID, or the source and the address that it sent to, or the CID and the source. All keys come from the
 * configuration, so the result is the same on every node and after every start.
 *
 * nat.endpoint = "handshake": whose handshake made a session that is not known, nobody can say. Its endpoint is that of
 * the source, which is right as long as the device is where its handshake was. */
static uint64_t endpoint_hash(const struct uplink *up, const struct flow_key *key)
{
	const bool of_cid = key->cid_len && !up->settings->at_handshake;
	const struct siphash_key *hash_key = of_cid ? &up->settings->endpoint_key : &up->listener->endpoint_key;
	uint8_t octets[LBCID_MAX_OCTETS + sizeof(uint64_t) + 16];
	size_t len = of_cid ? key->cid_len : 0;

	if (len)
		memcpy(octets, key->cid, len);
	if (!of_cid || key->kind != FLOW_CID) {
		uint64_t source = siphash_addr(hash_key, &up->datagram->from, true);

		for (size_t i = 0; i < sizeof source; i++)
			octets[len++] = (uint8_t)(source >> 8 * i);
	}
	if (!of_cid && up->listener->wildcard) {
		memcpy(octets + len, up->datagram->local, 16);
		len += 16;
	}
	return siphash24(hash_key, octets, len);
}

void nat_keep_cid(struct flow *flow)
{
	flow->cid_len = flow->handshake.cid.len;
	memcpy(flow->cid, flow->handshake.cid.octets, flow->cid_len);
}

bool nat_leads_there(const struct flow *flow, const struct uplink *up)
{
	const struct snapshot_backend *backend = decided(up);

	return flow->backend == backend->uid && addr_equal(&flow->backend_addr, &backend->addr) &&
	       endpoint_contains(&up->settings->space, &flow->endpoint);
}

bool nat_leads_somewhere(const struct flow *flow, const struct uplink *up)
{
	const uint16_t at = snapshot_backend_of_uid(up->pool, flow->backend);

	return at != SNAPSHOT_NO_BACKEND && addr_equal(&flow->backend_addr, &up->pool->backends[at].addr) &&
	       endpoint_contains(&up->settings->space, &flow->endpoint);
}

void nat_refuse_up(struct path *path, const struct uplink *up, enum refused reason)
{
	struct trace_ring *trace = path_trace(path);

	stats_add(&path->stats.refused_up[up->pool->uid][reason], 1);
	drops_note(&path->drops, &path->hello_key.random,
		   &(struct drop){ .from = up->datagram->from,
				   .why = { .refused = true, .reason = reason },
				   .service = up->service,
				   .last_s = (uint32_t)(path->clock_ms / 1000) });
	if (trace)
		trace_up(trace, up, NULL);
}

static int endpoint_handle(struct path *path, const struct uplink *up, const struct flow *flow)
{
	enum io_family family = addr_is_v4(&flow->backend_addr) ? IO_V4 : IO_V6;

	if (up->settings->ports[family])
		return port_sockets_get(up->settings->ports[family], flow->endpoint.port);
	return atomic_load_explicit(&path->endpoint_handles[family][flow->endpoint.port], memory_order_relaxed);
}

/* Whoever repeats a record of a device may have an endpoint of its own, and so another socket. If the repetition came
 * to the server first, that would drop the device's own record, and might turn to where the repetition came from.
 * Sessions whose CIDs end alike only wait for each other. */
static uint64_t stream_of(const struct route_out *decision)
{
	const size_t octets = decision->cid_len < sizeof(uint64_t) ? decision->cid_len : sizeof(uint64_t);
	const uint64_t end = octets ? bytes_le64(decision->cid + decision->cid_len - octets, octets) : 0;

	return octets && end == 0 ? 1 : end;
}

void nat_send_up(struct path *path, const struct uplink *up, struct flow *flow)
{
	struct trace_ring *trace = path_trace(path);

	flow_pass_up(flow, path->now_ms);
	flow_count(flow, up->datagram->len, 0);
	if (trace)
		trace_up(trace, up, flow);
	io_queue(path->outbox, &(struct io_send){
				       .handle = endpoint_handle(path, up, flow),
				       .data = up->datagram->data,
				       .len = up->datagram->len,
				       .to = flow->backend_addr,
				       .local = flow->endpoint.ip,
				       .stream = stream_of(up->decision),
				       .queue = ERRORS_ENDPOINT | flow->endpoint.port,
				       .sent = &path->stats.sent_up[flow->backend],
				       .refused = &path->stats.refused_up[flow->pool][REFUSED_SEND],
			       });
}

struct opening {
	struct path *path;
	struct port_sockets *ports;
	bool failed; /* the session's port cannot be had now, so it gets no other one */
};

static bool port_opens(void *ctx, const struct addr *endpoint)
{
	struct opening *opening = ctx;
	struct path *path = opening->path;
	int handle;

	if (opening->failed)
		return false;
	handle = path->open_port(path->open_port_ctx, opening->ports, endpoint->port);
	opening->failed = handle < 0 && handle != -EADDRINUSE;
	return handle >= 0;
}

static struct flow *make_in(struct path *path, const struct table_pool *settings, struct flow_new *what)
{
	struct opening opening = { path, settings->ports[addr_is_v4(&what->backend_addr) ? IO_V4 : IO_V6], false };
	struct flow *flow;

	what->space = &settings->space;
	what->usable = opening.ports ? port_opens : NULL;
	what->usable_ctx = &opening;
	what->now_ms = path->now_ms;
	flow = flows_make(path->flows, what);
	return flow && flow_lock(flow) ? flow : NULL;
}

struct flow *nat_make(struct path *path, const struct uplink *up, const struct flow_key *key)
{
	struct flow_new what = {
		.key = *key,
		.backend = decided(up)->uid,
		.backend_addr = decided(up)->addr,
		.endpoint_hash = endpoint_hash(up, key),
		.source = &up->datagram->from,
	};

	return make_in(path, up->settings, &what);
}

/* At the endpoint of its handshake. Whoever showed the CID before that was over has made a flow for it elsewhere. */
static struct flow *make_at_handshake(const struct nat_turn *turn, struct flow_new *what)
{
	struct flows *flows = turn->path->flows;
	struct flow *session = NULL, *early;

	what->now_ms = turn->path->now_ms;
	for (int tries = 0; tries < AT_HANDSHAKE_TRIES; tries++) {
		early = flows_find(flows, &what->key);
		if (early)
			flows_end(flows, early);
		session = flows_make_heir(flows, turn->flow, what);
		if (!session || addr_equal(&session->endpoint, &turn->handshake->endpoint))
			break;
	}
	if (!session || !flow_lock(session))
		return NULL;
	/* What came down so far was the handshake's. */
	session->last_down = true;
	return session;
}

struct flow *nat_make_session(const struct nat_turn *turn, const struct snapshot_backend *backend)
{
	const struct flow *handshake = turn->handshake;
	struct flow_new what = {
		.key = { .kind = FLOW_CID,
			 .pool = handshake->pool,
			 .cid_len = handshake->cid_len,
			 .cid = handshake->cid,
			 .only = nat_only(turn->settings, backend->uid) },
		.backend = backend->uid,
		.backend_addr = backend->addr,
		.endpoint_hash = siphash24(&turn->settings->endpoint_key, handshake->cid, handshake->cid_len),
		.source = &handshake->source.device,
	};

	if (turn->settings->at_handshake)
		return make_at_handshake(turn, &what);
	return make_in(turn->path, turn->settings, &what);
}

struct flow *nat_lock(struct path *path, const struct uplink *up, struct flow *flow)
{
	if (!flow || !flow_lock(flow))
		return NULL;
	if (nat_leads_there(flow, up))
		return flow;
	flow_unlock(flow);
	flows_end(path->flows, flow);
	return NULL;
}

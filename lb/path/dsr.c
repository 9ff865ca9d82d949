/* Mode dsr. Each datagram goes to its backend as it came, from the device to the service address, in an IP packet that
 * is wrapped into another (encap = "ipip") or into a frame for the backend (encap = "l2"). The backend has the service
 * address and answers the device itself. So nothing comes back, and nothing is remembered but the handshakes under way
 * (hints.h), without what answers would tell of them.
 *
 * As a router does, it takes 1 off the TTL: what goes in circles comes to an end. The traffic class stays, and is that
 * of the inner packet alone: the outer one says that it has no ECN, and so never comes with a mark (RFC 6040). What
 * else was in the IP header no socket tells: "don't fragment", options, the flow label.
 */
#include "path/forward.h"

#include "common/udp_packet.h"
#include "path/cid_cache.h"
#include "path/errors.h"
#include "path/hints.h"

_Static_assert((int)UDP_PACKET_HEAD_OCTETS <= (int)IO_HEAD, "headers fit the outbox");

enum {
	TTL_UNKNOWN = 64, /* for what came in before the listener's socket was told to say (socket_tell_hop()) */
	OUTER_V4_OCTETS = 20,
	OUTER_V6_OCTETS = 40,
};

/* A packet on its way to a backend. */
struct outgoing {
	const struct uplink *up;
	const struct snapshot_backend *backend;
	const struct table_hop *hop;
	struct udp_packet packet;
};

/* What all sends of it have in common. */
static struct io_send send_of(struct path *path, const struct outgoing *out, const struct udp_packet_part *part)
{
	const bool v4 = addr_is_v4(&out->packet.from), l2 = out->up->settings->dsr_encap == TABLE_L2;
	const enum bare bare = l2 ? BARE_LINK : v4 ? BARE_IPIP_V4 : BARE_IPIP_V6;
	struct io_send send = {
		.handle = atomic_load_explicit(&path->bare_handles[bare], memory_order_relaxed),
		.head = part->head,
		.head_len = part->head_len,
		.data = part->data,
		.len = part->len,
		.to = out->backend->addr,
		.link = l2 ? &out->hop->link : NULL,
		.queue = l2 ? 0 : ERRORS_BARE,
	};

	send.to.port = 0;
	return send;
}

static void send_last(struct path *path, const struct outgoing *out, const struct udp_packet_part *part)
{
	struct io_send send = send_of(path, out, part);

	send.before = out->packet.len - part->len;
	send.sent = &path->stats.sent_up[out->backend->uid];
	send.refused = &path->stats.refused_up[out->up->pool->uid][REFUSED_SEND];
	io_queue(path->outbox, &send);
}

/* A frame has to fit the link, so what is larger is cut up here. Of an outer packet the kernel does that. */
static void send_fragments(struct path *path, const struct outgoing *out)
{
	struct udp_packet_cut cut = { .mtu = out->hop->mtu, .id = path->fragment_id++ };
	struct udp_packet_part part, next;

	(void)udp_packet_next(&part, &out->packet, &cut);
	while (udp_packet_next(&next, &out->packet, &cut)) {
		struct io_send send = send_of(path, out, &part);

		io_queue(path->outbox, &send);
		part = next;
	}
	send_last(path, out, &part);
}

static void send_up(struct path *path, const struct outgoing *out)
{
	const bool l2 = out->up->settings->dsr_encap == TABLE_L2;
	const size_t outer = l2 ? 0 : addr_is_v4(&out->packet.from) ? OUTER_V4_OCTETS : OUTER_V6_OCTETS;
	struct udp_packet_part part;

	if (outer + udp_packet_octets(&out->packet) > out->hop->mtu) {
		stats_add(&path->stats.dsr_fragmented[out->up->pool->uid], 1);
		if (l2) {
			send_fragments(path, out);
			return;
		}
	}
	udp_packet_whole(&part, &out->packet);
	send_last(path, out, &part);
}

/* REFUSED_REASONS: it can be sent. */
static enum refused why_not(const struct outgoing *out)
{
	if (addr_is_wildcard(&out->backend->addr))
		return REFUSED_NO_ADDRESS;
	if (out->hop->mtu == 0)
		return REFUSED_NEXT_HOP;
	return out->packet.ttl == 0 ? REFUSED_TTL : REFUSED_REASONS;
}

static void take(struct path *path, const struct uplink *up)
{
	const struct io_datagram *datagram = up->datagram;
	struct trace_ring *trace = path_trace(path);
	const struct outgoing out = {
		.up = up,
		.backend = &up->pool->backends[up->decision->backend],
		.hop = &up->settings->hops[up->decision->backend],
		.packet = { .from = datagram->from,
			    .to = up->listener->addr,
			    .ttl = (uint8_t)((datagram->ttl ? datagram->ttl : TTL_UNKNOWN) - 1),
			    .tos = datagram->tos,
			    .data = datagram->data,
			    .len = datagram->len },
	};
	const enum refused reason = why_not(&out);

	if (trace)
		trace_up_stateless(trace, up, reason == REFUSED_REASONS ? out.backend : NULL, &datagram->from);
	if (reason == REFUSED_REASONS)
		send_up(path, &out);
	else
		stats_add(&path->stats.refused_up[up->pool->uid][reason], 1);
}

static void dsr_uplinks(struct path *path, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (uplink_routed_or_traced(path, &batch->up[i]))
			take(path, &batch->up[i]);
	cid_cache_tell(path, batch);
}

/* About an outer packet. Its protocol has no ports. */
static uint16_t dsr_error(struct path *path, const struct undelivered *datagram)
{
	const struct snapshot_pool *pool = &datagram->table->snapshot->pools[datagram->pool];

	(void)path;
	for (size_t i = 0; i < pool->backend_count; i++)
		if (memcmp(pool->backends[i].addr.ip, datagram->error->to.ip, sizeof pool->backends[i].addr.ip) == 0)
			return pool->backends[i].uid;
	return SNAPSHOT_NO_BACKEND;
}

const struct forwarder forward_dsr = {
	.recall = hints_recall,
	.hello_look = hints_hello_look,
	.hello_take = hints_hello_take,
	.uplinks = dsr_uplinks,
	.error = dsr_error,
};

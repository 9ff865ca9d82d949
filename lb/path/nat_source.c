/* Mode nat: datagrams that belong to a source rather than to a session. These are all without a CID, and those with one
 * that belong to a handshake. A handshake keeps its endpoint to the end, because the server knows the device by that
 * address until the first application record. */
#include "path/nat_priv.h"

#include "flows/flows.h"
#include "path/resumed.h"

uint32_t nat_hash_source(const struct path *path, const struct uplink *up)
{
	const struct flow_key key = nat_address_key(FLOW_ADDRESS, up);

	return flows_hash_key(path->flows, &key);
}

static bool is_hello(const struct uplink *up)
{
	return up->pool->protocol == POOL_DTLS && up->view->kind == DTLS_HELLO;
}

/* What the datagram is to the handshake on a flow that may be NULL. *leads: to which backend. */
static enum hello_step hello_look_at(struct path *path, const struct uplink *up, struct flow *flow, uint16_t *leads)
{
	static const struct hello nothing;
	const struct handshake_datagram datagram = nat_datagram(path, up->datagram);
	enum hello_step step;

	if (!flow || !flow_lock(flow))
		return hello_look(&nothing, &path->hello_key, datagram.data, datagram.len, datagram.now_s);
	*leads = flow->backend;
	step = hello_look(&flow->handshake.hello, &path->hello_key, datagram.data, datagram.len, datagram.now_s);
	flow_unlock(flow);
	return step;
}

/* A source with a live session may have a second handshake under way, on a flow of kind HELLO. */
static enum hello_step hello_find(struct path *path, struct uplink *up, uint16_t *leads)
{
	const struct flow_key key = nat_address_key(FLOW_HELLO, up);
	const enum hello_step step = hello_look_at(path, up, up->flow, leads);
	struct flow *other;

	if (step == HELLO_GOES_ON || !up->flow || up->flow->kind == FLOW_HELLO)
		return step;
	other = flows_find(path->flows, &key);
	if (!other || hello_look_at(path, up, other, leads) != HELLO_GOES_ON)
		return step;
	up->flow = other;
	return HELLO_GOES_ON;
}

/* A ClientHello that does not go on with a handshake is led to the server that can resume what it offers. */
static void hello_recall(struct path *path, struct uplink *up, struct route_in *in)
{
	uint16_t offered = ROUTE_NO_HINT;

	if (hello_find(path, up, &in->hint) == HELLO_GOES_ON)
		in->view.hello_first = false;
	else
		offered = resumed_offer(up->settings, up->pool, in->data, in->len);
	if (offered == ROUTE_NO_HINT)
		return;
	in->hint = offered;
	in->view.hello_first = false;
	up->led = true;
}

/* Where the session of a source without a flow is, if it is not where its address leads. */
static void home_recall(const struct uplink *up, struct route_in *in)
{
	struct learned_place place;

	if (up->pool->protocol != POOL_DTLS || !resumed_has_addresses(up->settings))
		return;
	place = resumed_look(up->settings, &in->source);
	in->hint = resumed_find(up->settings, up->pool, &place);
}

void nat_source_recall(struct path *path, struct uplink *up, struct route_in *in)
{
	const struct flow_key key = nat_address_key(FLOW_ADDRESS, up);

	up->flow = flows_find_hashed(path->flows, &key, up->flow_hash);
	if (is_hello(up)) {
		hello_recall(path, up, in);
	} else if (!up->flow) {
		home_recall(up, in);
	} else if (up->flow && flow_lock(up->flow)) {
		in->hint = up->flow->backend;
		if (in->view.kind == DTLS_CID && up->settings->learned)
			nat_pending_recall(up, up->flow, in);
		flow_unlock(up->flow);
	}
}

/* The flow may have been made by an earlier datagram of the batch. */
enum hello_step nat_hello_look(struct path *path, struct uplink *up)
{
	const struct flow_key key = nat_address_key(FLOW_ADDRESS, up);
	uint16_t leads;

	if (!up->flow)
		up->flow = flows_find_hashed(path->flows, &key, up->flow_hash);
	return hello_find(path, up, &leads);
}

/* True: a datagram with a CID belongs to the handshake on the flow, whose lock is held. If the ServerHello has given
 * out this CID, it goes to that server, wherever the CID leads: in a pool of scheme "hash" perhaps to another. */
static bool belongs_to(const struct flow *flow, const struct uplink *up, bool flight)
{
	const struct route_out *decision = up->decision;

	return (flow->handshake.given ? nat_leads_somewhere(flow, up) : nat_leads_there(flow, up)) &&
	       handshake_has(&flow->handshake, decision->cid, decision->cid_len, flight,
			     flight && up->settings->guesses);
}

/* True: the session of the CID has been answered at its endpoint. Then all its handshakes are over, and what looks like
 * a repeated flight is forged. */
static bool is_answered(struct path *path, const struct uplink *up)
{
	const struct flow_key key = nat_cid_key(FLOW_CID, up);
	struct flow *session = flows_find(path->flows, &key);
	bool answered;

	if (!session || !flow_lock(session))
		return false;
	answered = session->class == FLOW_CLASS_CID;
	flow_unlock(session);
	return answered;
}

bool nat_flight_belongs(struct path *path, const struct uplink *up)
{
	bool belongs;

	if (is_answered(path, up))
		return false;
	if (!up->flow || !flow_lock(up->flow))
		return up->settings->guesses;
	belongs = belongs_to(up->flow, up, true);
	flow_unlock(up->flow);
	return belongs;
}

/* The flow that a ClientHello goes by, locked, or NULL. It leaves the live flow of its source alone if that leads
 * elsewhere, or has handed its endpoint on to a session, because anybody can send one. Then it gets a flow of its own
 * kind, which takes the place of the other when the backend goes on with the handshake. One that is led by what it
 * offers to resume leaves a handshake alone, too, because who sends it can choose where. */
static struct flow *hello_lock(struct path *path, const struct uplink *up, struct flow_key *key)
{
	struct flow *flow = up->flow;
	bool spared;

	if (!flow || flow->kind == FLOW_HELLO || !flow_lock(flow))
		return nat_lock(path, up, flow);
	if (nat_leads_there(flow, up) && !flow->handed)
		return flow;
	spared = flow->class != FLOW_CLASS_HANDSHAKE || flow->handed || uplink_is_led(up);
	flow_unlock(flow);
	if (!spared) {
		flows_end(path->flows, flow);
		return NULL;
	}
	key->kind = FLOW_HELLO;
	return nat_lock(path, up, flows_find(path->flows, key));
}

/* The lock of its flow is held. */
static void hello_begins(struct path *path, const struct uplink *up)
{
	struct flow *flow = up->flow;

	flow->handshake.led = uplink_is_led(up);
	stats_add(&path->stats.begun[flow->backend], 1);
	stats_add(&path->stats.handshakes_begun[flow->pool], 1);
	if (flow->handshake.led)
		stats_add(&path->stats.handshakes_led[flow->pool], 1);
}

void nat_hello_take(struct path *path, struct uplink *up)
{
	struct flow_key key = nat_address_key(up->flow ? (enum flow_kind)up->flow->kind : FLOW_ADDRESS, up);
	const struct handshake_datagram datagram = nat_datagram(path, up->datagram);

	up->flow = hello_lock(path, up, &key);
	if (!up->flow)
		up->flow = nat_make(path, up, &key);
	if (!up->flow)
		return;
	if (handshake_hello(&up->flow->handshake, &path->hello_key, &datagram) == HELLO_BEGINS)
		hello_begins(path, up);
	flow_unlock(up->flow);
}

/* The flow that nat_hello_take() chose, locked, or NULL. What stands before the ClientHello in its batch may have made
 * flows since then, and had this one evicted. That is no reason to lose the ClientHello. */
static struct flow *hello_flow(struct path *path, const struct uplink *up)
{
	const struct handshake_datagram datagram = nat_datagram(path, up->datagram);
	struct flow_key key;
	struct flow *flow;

	if (!up->flow)
		return NULL;
	if (flow_lock(up->flow))
		return up->flow;
	key = nat_address_key((enum flow_kind)up->flow->kind, up);
	flow = nat_make(path, up, &key);
	if (!flow)
		return NULL;
	flow->handshake.led = uplink_is_led(up);
	(void)handshake_hello(&flow->handshake, &path->hello_key, &datagram);
	return flow;
}

/* The flow of a datagram that is no ClientHello, locked, or NULL. */
static struct flow *source_lock(struct path *path, const struct uplink *up)
{
	const struct flow_key key = nat_address_key(FLOW_ADDRESS, up);
	const struct handshake_datagram datagram = nat_datagram(path, up->datagram);
	struct flow *flow = nat_lock(path, up, up->flow);

	if (!flow) {
		flow = nat_make(path, up, &key);
		if (flow && up->pool->protocol == POOL_UDP)
			stats_add(&path->stats.begun[flow->backend], 1);
	}
	if (flow)
		handshake_follow(&flow->handshake, &datagram);
	return flow;
}

void nat_source_uplink(struct path *path, const struct uplink *up)
{
	struct flow *flow = is_hello(up) ? hello_flow(path, up) : source_lock(path, up);

	if (!flow) {
		nat_refuse_up(path, up, REFUSED_FLOWS);
		return;
	}
	nat_send_up(path, up, flow);
	flow_unlock(flow);
}

/* The lock is held. */
static void handshake_send(struct path *path, const struct uplink *up, struct flow *flow)
{
	const struct handshake_datagram datagram = nat_datagram(path, up->datagram);

	handshake_show(&flow->handshake, up->decision->cid, up->decision->cid_len, &datagram);
	nat_keep_cid(flow);
	nat_send_up(path, up, flow);
}

void nat_flight_uplink(struct path *path, const struct uplink *up)
{
	const struct flow_key key = nat_address_key(FLOW_ADDRESS, up);
	struct flow *flow = up->flow && flow_lock(up->flow) ? up->flow : nat_make(path, up, &key);

	/* Another flight of the same batch may have shown another CID. */
	if (!flow || !belongs_to(flow, up, true))
		nat_refuse_up(path, up, REFUSED_FLOWS);
	else
		handshake_send(path, up, flow);
	if (flow)
		flow_unlock(flow);
}

enum nat_handshake nat_handshake_uplink(struct path *path, const struct uplink *up)
{
	const struct flow_key key = nat_address_key(FLOW_ADDRESS, up);
	const struct route_out *decision = up->decision;
	struct flow *flow = flows_find(path->flows, &key);
	enum nat_handshake said = NAT_HANDSHAKE_OTHER;

	if (!flow || !flow_lock(flow))
		return NAT_HANDSHAKE_OTHER;
	if (belongs_to(flow, up, false)) {
		handshake_send(path, up, flow);
		said = NAT_HANDSHAKE_SENT;
	} else if (flow->handshake.over && handshake_gave(&flow->handshake, decision->cid, decision->cid_len)) {
		said = NAT_HANDSHAKE_OVER;
	}
	flow_unlock(flow);
	return said;
}

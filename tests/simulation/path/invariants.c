/* Where datagrams may go, checked at every one that leaves the balancer:
 *
 *   1  A datagram whose CID names a backend that is configured and not in maint leaves once, and only to that backend.
 *      One that names anything else does not leave. (Pools that read ids.)
 *
 *   2  A ClientHello goes to a backend that takes new sessions, if any does; but one that is repeated within a minute,
 *      to where it went before. A datagram of a plain pool goes to one that is at least draining.
 *
 *   3  A downlink comes from a backend, and leaves from a service that its receiver has addressed.
 *
 *   4  A downlink of a session goes only to addresses that have sent its CID to the service that it leaves from, or
 *      began its handshake. It goes to at most WAYS_BACK of them, and to each once. A downlink to an endpoint that
 *      belongs to one address goes only to it. A downlink of no session goes to the address whose endpoint it came to.
 *      After a restart an address must send the CID anew, but for what comes to its endpoint for handshakes. That is
 *      computed from the address, and a server may have moved there before the restart.
 *      With endpoint = "handshake" a session of which the balancer never saw the handshake's end leaves its endpoint to
 *      the next one from the same address. What still comes for it is judged as if it was for that one.
 *
 *  12  Nothing that comes from where nobody can be answered leaves, and nothing is sent there: no loops. (What a
 * backend is configured for later, or was, may get a downlink. Its answer does not leave.)
 *
 *  13  Nothing in the clear reaches a backend beside a record with a CID, but handshake messages that are no
 *      ClientHellos and ChangeCipherSpec before it, and these only through the source's endpoint for handshakes. All
 *      records with a CID show the same one. So no session is reset or ended: backend.h.
 *
 *  14  What shows no CID does not leave through a session's endpoint. A CID leaves through an endpoint for handshakes
 *      only if the handshake is its own.
 *
 *  15  Once a session has used its endpoint, no flight with its CID leaves any more from where its handshake was, nor
 *      from anywhere with contest = "home". A server that moves before it verifies would follow it.
 *
 * What addresses get, and through which endpoints: invariants_limits.c. Counters and bounds: invariants_count.c. When a
 * device is answered: invariants_answer.c. What is learned: invariants_learned.c. */
#include <string.h>

#include "tests/simulation/path/world.h"

enum { HELLO_KNOWN_MS = 61000 };

void invariants_expect(struct world *world, bool holds, const char *what)
{
	if (!holds && !world->broken) {
		world->broken = what;
		trace_event(world, "broken: %s", what);
	}
}

static int index_of(const struct world *world, const struct datagram *datagram)
{
	return (int)(datagram - world->network.datagrams);
}

void invariants_begin(struct world *world)
{
	const struct traits *traits = &world->traits;
	struct invariants *invariants = &world->invariants;
	bool calm = traits->unproven_rate >= ENOUGH_RATE && !traits->forgers && !traits->jitter_ms &&
		    !traits->duplicate_percent && !traits->overlap_percent && !traits->returns && !traits->swap_percent;

	if (traits->max_flows < 1000)
		invariants->class = WORLD_CRAMPED;
	else if (traits->loss_percent || traits->refuse_percent)
		invariants->class = WORLD_LOSSY;
	else if (traits->forgers)
		invariants->class = WORLD_ATTACKED;
	else if (!calm)
		invariants->class = WORLD_CONTESTED;
}

void invariants_restart(struct world *world)
{
	struct invariants *invariants = &world->invariants;

	limits_restart(world);
	memset(invariants->received, 0, sizeof invariants->received);
	invariants->answered = 0;
	invariants_excuse_all(world);
}

void invariants_session_begins(struct world *world, int slot, const struct datagram *hello)
{
	struct invariants *invariants = &world->invariants;

	memset(invariants->accounts[slot], 0, sizeof invariants->accounts[slot]);
	memset(invariants->home[slot], 0, sizeof invariants->home[slot]);
	invariants->excused[slot] = invariants->learned[slot] = false;
	invariants->proofs[slot] = (struct proof){ .address = hello->address, .service = hello->service };
}

void invariants_session_hurt(struct world *world, const char *how)
{
	invariants_expect(world, false, how);
}

void invariants_verified(struct world *world, int slot, const struct datagram *datagram)
{
	world->invariants.accounts[slot][datagram->address].verified = true;
}

int invariants_session_of(const struct world *world, const struct datagram *datagram)
{
	const struct wire_cid *cid = &datagram->shape.cid;

	if (!datagram->shape.has_cid)
		return NOBODY;
	for (int slot = 0; slot < SESSIONS; slot++) {
		const struct session *session = &world->sessions[slot];

		if (session->state != SESSION_NONE &&
		    session->member / POOL_MEMBERS == balancer_pool(datagram->service) &&
		    memcmp(session->cid.octets, cid->octets, cid->len) == 0)
			return slot;
	}
	return NOBODY;
}

void invariants_batch_begins(struct world *world, int first)
{
	struct invariants *invariants = &world->invariants;

	for (int i = first; i != NOBODY; i = world->network.datagrams[i].next) {
		const struct datagram *datagram = &world->network.datagrams[i];

		invariants->sends[i] = 0;
		if (datagram->leg == LEG_ENDPOINT) {
			invariants->answered++;
			continue;
		}
		invariants->received[datagram->service]++;
		invariants->services[datagram->address] |= (uint8_t)(1U << datagram->service);
	}
}

/* The member that a CID names; NOBODY: none. */
static int named_by(const struct balancer *balancer, int pool, const struct wire_cid *cid)
{
	const struct cid_layout *layout = balancer_layout(pool);

	for (int i = pool * POOL_MEMBERS; i < (pool + 1) * POOL_MEMBERS; i++) {
		struct server_id id = balancer_server_id(i);

		if (memcmp(cid->octets + layout->lbcid.offset, id.octets, id.len) == 0)
			return balancer_owner(balancer, i);
	}
	return NOBODY;
}

static bool any_accepts(const struct balancer *balancer, int pool)
{
	for (int i = pool * POOL_MEMBERS; i < (pool + 1) * POOL_MEMBERS; i++)
		if (balancer_accepts(&balancer->members[i]))
			return true;
	return false;
}

static bool reads_id(const struct datagram *datagram)
{
	return balancer_layout(balancer_pool(datagram->service))->scheme == CID_LAYOUT_ID;
}

/* Nothing but records with one CID, as devices send them. */
static bool is_clean_cid(const struct datagram *datagram)
{
	const struct wire_shape *shape = &datagram->shape;

	return shape->whole && shape->has_cid && shape->records == shape->cid_records && !shape->mixed &&
	       shape->records <= 16 && datagram->address < ADDRESS_BACKENDS;
}

static bool is_clean_hello(const struct datagram *datagram)
{
	const struct wire_shape *shape = &datagram->shape;

	return shape->whole && shape->hello_first && shape->records == 1 && datagram->address < ADDRESS_BACKENDS;
}

/* With endpoint = "handshake" it is the handshake's, too, until the backend has answered what came behind that. */
static bool is_handshakes(const struct world *world, int slot, const struct datagram *datagram)
{
	const struct proof *proof = &world->invariants.proofs[slot];

	return limits_is_at_handshake(world, balancer_pool(datagram->service)) && proof->stage < PROOF_STRICT &&
	       proof->address == datagram->address && proof->service == datagram->service;
}

/* Whether the backend at `to` has a session there. */
static bool is_sessions(const struct world *world, const struct datagram *datagram, const struct addr *endpoint,
			const struct addr *to)
{
	const int member = balancer_member(&world->balancer, to);

	for (int slot = 0; slot < SESSIONS; slot++)
		if (world->sessions[slot].state != SESSION_NONE && world->sessions[slot].member == member &&
		    addr_equal(&world->invariants.home[slot][family_of(endpoint)], endpoint) &&
		    !is_handshakes(world, slot, datagram))
			return true;
	return false;
}

static void check_shape(struct world *world, const struct datagram *datagram, bool sessions)
{
	const struct wire_shape *shape = &datagram->shape;

	if (shape->has_cid && (shape->plain_before || shape->plain_behind)) {
		invariants_expect(world, !shape->hello, "13: a ClientHello reaches a backend beside a CID");
		invariants_expect(world, !shape->plain_behind, "13: something in the clear behind a CID");
		invariants_expect(world, shape->flight, "13: something in the clear before a CID, which is no flight");
	}
	invariants_expect(world, !shape->has_cid || !shape->mixed, "13: records that differ in their CID");
	if (!shape->has_cid || shape->plain_before)
		invariants_expect(world, !sessions,
				  shape->has_cid ? "13: a flight leaves through a session's endpoint"
						 : "14: what shows no CID leaves through a session's endpoint");
}

/* 15 */
static void check_flight(struct world *world, int slot, const struct datagram *datagram)
{
	const struct proof *proof = &world->invariants.proofs[slot];

	if (balancer_pool(datagram->service) == POOL_HOME ||
	    (proof->address == datagram->address && proof->service == datagram->service))
		invariants_expect(world, proof->stage < PROOF_STRICT,
				  "15: a flight leaves after its handshake, and could turn the way back");
}

/* It has left, or its send was refused. In the order in which datagrams came, not in that in which they are sent. */
static void judge_uplink(struct world *world, const struct datagram *datagram)
{
	const struct addr *endpoint = &world->invariants.through[index_of(world, datagram)];
	const struct addr *to = &world->invariants.to[index_of(world, datagram)];
	const enum io_family family = family_of(endpoint);
	const int slot = invariants_session_of(world, datagram);
	struct addr *way;

	invariants_expect(world, !network_is_bad(world, &datagram->from),
			  "12: a datagram leaves whose source cannot be answered");
	if (world->broken)
		return;
	way = &world->invariants.way[datagram->address][datagram->service][family];
	if (balancer_pool(datagram->service) == POOL_PLAIN || !datagram->shape.has_cid ||
	    (way->port == 0 && datagram->shape.plain_before && datagram->shape.flight))
		*way = *endpoint;
	if (balancer_pool(datagram->service) == POOL_PLAIN)
		return;
	if (datagram->shape.hello_first)
		world->invariants.hello_way[datagram->address][datagram->service][family] = *endpoint;
	check_shape(world, datagram, is_sessions(world, datagram, endpoint, to));
	/* A ClientHello that others spoof has an endpoint of its own then. */
	if (slot != NOBODY && is_handshakes(world, slot, datagram) &&
	    addr_equal(&world->invariants.home[slot][family], endpoint))
		way = &world->invariants.home[slot][family];
	if (datagram->shape.has_cid && datagram->shape.plain_before)
		invariants_expect(world, addr_equal(way, endpoint),
				  "13: a flight leaves through another endpoint than its source's handshake");
	if (slot != NOBODY && datagram->shape.plain_before)
		check_flight(world, slot, datagram);
	limits_uplink(world, slot, datagram, endpoint);
}

static void batch_end_up(struct world *world, const struct datagram *datagram, unsigned sends)
{
	int pool = balancer_pool(datagram->service), member;

	invariants_expect(world, sends <= 1, "1: an uplink datagram leaves twice");
	if (sends > 0)
		judge_uplink(world, datagram);
	if (is_clean_cid(datagram) && reads_id(datagram)) {
		member = named_by(&world->balancer, pool, &datagram->shape.cid);
		if (member == NOBODY || !balancer_serves(&world->balancer, member))
			invariants_expect(world, sends == 0, "1: a CID reaches one that it does not name");
		else if (world->invariants.class != WORLD_CRAMPED)
			invariants_expect(world, sends == 1, "1: a CID does not reach its owner");
	}
	if (is_clean_cid(datagram) && pool == POOL_LEARNED)
		givens_batch_ends(world, invariants_session_of(world, datagram), sends);
	if (is_clean_hello(datagram) && any_accepts(&world->balancer, pool) && !world->traits.hello_rate &&
	    world->invariants.class != WORLD_CRAMPED)
		invariants_expect(world, sends == 1, "2: a ClientHello reaches nobody");
}

void invariants_batch_ends(struct world *world, int first)
{
	for (int i = first; i != NOBODY; i = world->network.datagrams[i].next) {
		const struct datagram *datagram = &world->network.datagrams[i];
		unsigned sends = world->invariants.sends[i];

		if (datagram->leg == LEG_LISTENER)
			batch_end_up(world, datagram, sends);
		else if (balancer_member(&world->balancer, &datagram->from) == NOBODY)
			invariants_expect(world, sends == 0, "3: a downlink of no backend");
		else
			limits_batch_ends(world, datagram);
	}
}

static void note_send(struct world *world, const struct datagram *datagram, int address, int service)
{
	struct invariants *invariants = &world->invariants;
	int at = index_of(world, datagram);
	unsigned before = invariants->sends[at]++;

	if (before >= WAYS_BACK_HOME)
		return;
	invariants->sent_to[at][before].address = address;
	invariants->sent_to[at][before].service = service;
}

bool invariants_was_sent(const struct world *world, const struct datagram *datagram, int address, int service)
{
	const struct invariants *invariants = &world->invariants;
	int at = index_of(world, datagram);

	for (unsigned i = 0; i < invariants->sends[at] && i < WAYS_BACK_HOME; i++)
		if (invariants->sent_to[at][i].address == address && invariants->sent_to[at][i].service == service)
			return true;
	return false;
}

void invariants_refused(struct world *world, const struct datagram *datagram, int address, int service)
{
	note_send(world, datagram, address, service);
	if (address != NOBODY && service != NOBODY && balancer_pool(service) != POOL_PLAIN)
		limits_refused(world, datagram, address, service);
}

void invariants_endpoint(struct world *world, const struct datagram *datagram, const struct addr *endpoint,
			 const struct addr *to)
{
	world->invariants.through[index_of(world, datagram)] = *endpoint;
	world->invariants.to[index_of(world, datagram)] = *to;
}

/* True: it left before, not longer ago than a balancer may remember it. Of a fragment nobody knows here. */
static bool is_repeated(struct world *world, const struct datagram *datagram)
{
	struct greeting *greeting = &world->invariants.greetings[datagram->address][datagram->service];
	const struct greeting before = *greeting;
	struct wire_hello hello = { .random = 0 };
	struct wire_record record;
	struct wire_part part;
	size_t at = 0, inside = 0;

	if (!wire_read(&datagram->wire, &at, 0, &record) || !wire_read_part(&record, &inside, &part) ||
	    !wire_read_client_hello(&part, &hello))
		return true;
	greeting->random = hello.random;
	greeting->hello_ms = world->now_ms;
	return before.hello_ms && before.random == hello.random && world->now_ms - before.hello_ms <= HELLO_KNOWN_MS;
}

void invariants_sent_up(struct world *world, const struct datagram *datagram, const struct io_send *send)
{
	struct invariants *invariants = &world->invariants;
	int member = balancer_member(&world->balancer, &send->to), pool = balancer_pool(datagram->service);

	invariants->sends[index_of(world, datagram)]++;
	invariants_expect(world, member != NOBODY && member / POOL_MEMBERS == pool,
			  "1: an uplink datagram goes to another pool");
	if (world->broken)
		return;
	if (datagram->shape.has_cid && reads_id(datagram))
		invariants_expect(world, member == named_by(&world->balancer, pool, &datagram->shape.cid),
				  "1: a CID reaches another than its owner");
	if (datagram->shape.has_cid && pool == POOL_LEARNED)
		givens_uplink(world, datagram, member);
	if (is_clean_hello(datagram) && datagram->shape.hello_begins && !is_repeated(world, datagram))
		invariants_expect(world,
				  balancer_accepts(&world->balancer.members[member]) ||
					  !any_accepts(&world->balancer, pool),
				  "2: a new session goes to a backend that takes none");
	if (pool == POOL_PLAIN)
		invariants_expect(
			world, balancer_keeps(&world->balancer.members[member]) || !any_accepts(&world->balancer, pool),
			"2: a plain datagram goes to a backend that is down");
}

/* 4 of a session. */
static void session_downlink(struct world *world, const struct datagram *datagram, int address, int service)
{
	struct invariants *invariants = &world->invariants;
	const int slot = limits_holder(world, datagram->session.slot, address, service, &datagram->to);
	const struct account *account = &invariants->accounts[slot][address];
	const struct proof *proof = &invariants->proofs[slot];
	enum io_family family = family_of(&datagram->to);
	const bool way = limits_is_way(world, address, service, &datagram->to);

	invariants_expect(world,
			  (way ? account->shown_ever : account->shown) & 1U << service ||
				  (proof->address == address && proof->service == service),
			  "4: a downlink to an address that has not shown the session's CID");
	if (!way && !addr_equal(&datagram->to, &invariants->home[slot][family]))
		invariants_expect(world, addr_equal(&datagram->to, &account->own[service][family]),
				  "4: a downlink to another's own endpoint");
}

void invariants_sent_down(struct world *world, const struct datagram *datagram, int address, int service)
{
	struct invariants *invariants = &world->invariants;
	const struct session *session = backend_session(world, datagram->session);
	unsigned before = invariants->sends[index_of(world, datagram)];
	int member = balancer_member(&world->balancer, &datagram->from);

	invariants_expect(world, member != NOBODY, "3: a downlink of no backend");
	if (world->broken)
		return;
	invariants_expect(world, service != NOBODY && invariants->services[address] & 1U << service,
			  "3: a downlink from a service that was not addressed");
	invariants_expect(world, before < (member / POOL_MEMBERS == POOL_HOME ? WAYS_BACK_HOME : WAYS_BACK),
			  "4: a downlink to too many");
	invariants_expect(world, !invariants_was_sent(world, datagram, address, service),
			  "4: a downlink twice to one address");
	if (world->broken)
		return;
	note_send(world, datagram, address, service);
	if (session)
		session_downlink(world, datagram, address, service);
	else if (datagram->session.slot == NOBODY)
		invariants_expect(world, limits_is_way(world, address, service, &datagram->to),
				  "4: a downlink to another's endpoint");
	limits_downlink(world, datagram, address, service);
}

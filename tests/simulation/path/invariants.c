/* Who may get what (1-6), checked at every datagram that leaves the balancer:
 *
 *   1  A datagram whose CID names a backend that is configured and not in maint leaves once, and only to that backend.
 *      One that names anything else does not leave. (Pools that read ids.)
 *
 *   2  A ClientHello goes to a backend that takes new sessions, if any does. A datagram of a plain pool goes to one
 *      that is at least draining.
 *
 *   3  A downlink comes from a backend, and leaves from a service that its receiver has addressed.
 *
 *   4  A downlink of a session goes only to addresses that have sent its CID or began its handshake. It goes to at most
 *      OWNERSHIP_WAYS_BACK of them, and to each once. A downlink to an endpoint that belongs to one address goes only
 *      to it, and a record from it has verified. A downlink of no session goes to the address whose endpoint it came
 *      to.
 *
 *   5  An address that has shown nothing gets at most three times what it sent (ownership.h). This ends when it has
 *      finished a handshake, was answered at an endpoint of its own, or has sent OWNERSHIP_ROUNDS datagrams that each
 *      followed a downlink of the session.
 *
 *   6  A backend sees at most one change of address in the life of a session. This holds with rebind = "follow",
 *      without forgers and reordering, with nothing under way while a device moves, and without returns to earlier
 *      addresses.
 *
 *  11  A device that its backend could reach before a change of the configuration, of addresses or of who owns which
 *      id can be reached after it, by that backend or by the one that took over from it.
 *
 * Counters and bounds: invariants_count.c. When a device is answered: invariants_answer.c. */
#include <string.h>

#include "tests/simulation/path/world.h"

void invariants_expect(struct world *world, bool holds, const char *what)
{
	if (!holds && !world->broken)
		world->broken = what;
}

static int index_of(const struct world *world, const struct datagram *datagram)
{
	return (int)(datagram - world->network.datagrams);
}

/* An endpoint has the family of its backend. */
static enum io_family family_of(const struct addr *addr)
{
	return addr_is_v4(addr) ? IO_V4 : IO_V6;
}

void invariants_begin(struct world *world)
{
	const struct traits *traits = &world->traits;
	struct invariants *invariants = &world->invariants;

	invariants->calm = !traits->forgers && !traits->jitter_ms && !traits->duplicate_percent &&
			   !traits->overlap_percent && !traits->returns;
	if (traits->max_flows < 1000)
		invariants->class = WORLD_CRAMPED;
	else if (traits->loss_percent || traits->refuse_percent)
		invariants->class = WORLD_LOSSY;
	else if (!invariants->calm)
		invariants->class = WORLD_CONTESTED;
}

void invariants_restart(struct world *world)
{
	struct invariants *invariants = &world->invariants;

	for (int i = 0; i < SESSIONS; i++) {
		for (int j = 0; j < ADDRESSES; j++) {
			struct account *account = &invariants->accounts[i][j];

			account->reachable = account->counted = false;
			account->rounds = 0;
			account->sent = account->got = 0;
		}
	}
	memset(invariants->finished, 0, sizeof invariants->finished);
	memset(invariants->received, 0, sizeof invariants->received);
	invariants->answered = 0;
	invariants_excuse_all(world);
}

void invariants_session_begins(struct world *world, int slot, const struct datagram *hello)
{
	struct invariants *invariants = &world->invariants;

	memset(invariants->accounts[slot], 0, sizeof invariants->accounts[slot]);
	memset(invariants->home[slot], 0, sizeof invariants->home[slot]);
	invariants->relearned[slot] = false;
	invariants->accounts[slot][hello->address].shown = true;
}

void invariants_verified(struct world *world, int slot, const struct datagram *datagram)
{
	world->invariants.accounts[slot][datagram->address].verified = true;
}

void invariants_moved(struct world *world, const struct session *session)
{
	if (world->invariants.calm && session->member / POOL_MEMBERS == POOL_FOLLOW)
		invariants_expect(world, session->changes <= 1, "6: a backend sees a second change of address");
}

static bool carries(const struct datagram *datagram, const struct wire_cid *cid)
{
	if (datagram->content == CONTENT_CID)
		return datagram->cid.len == cid->len && memcmp(datagram->cid.octets, cid->octets, cid->len) == 0;
	return datagram->content == CONTENT_OTHER &&
	       memmem(datagram->wire.data, datagram->wire.len, cid->octets, cid->len);
}

static bool of_service(const struct session *session, int service)
{
	return session->state != SESSION_NONE && session->member / POOL_MEMBERS == balancer_pool(service);
}

static void account_uplink(struct world *world, int slot, const struct datagram *datagram)
{
	struct account *account = &world->invariants.accounts[slot][datagram->address];

	if (account->counted && account->downlinks != world->invariants.downlinks[slot] && account->rounds < UINT8_MAX)
		account->rounds++;
	account->downlinks = world->invariants.downlinks[slot];
	account->shown = account->counted = true;
	account->sent += datagram->wire.len;
}

void invariants_batch_begins(struct world *world, int first)
{
	struct invariants *invariants = &world->invariants;

	for (int i = first; i != NOBODY; i = world->network.datagrams[i].next) {
		const struct datagram *datagram = &world->network.datagrams[i];

		invariants->sends[i] = 0;
		if (datagram->leg == LEG_ENDPOINT) {
			invariants->answered++;
			if (backend_session(world, datagram->session))
				invariants->downlinks[datagram->session.slot]++;
			continue;
		}
		invariants->received[datagram->service]++;
		invariants->services[datagram->address] |= (uint8_t)(1U << datagram->service);
		for (int slot = 0; slot < SESSIONS; slot++)
			if (of_service(&world->sessions[slot], datagram->service) &&
			    carries(datagram, &world->sessions[slot].cid))
				account_uplink(world, slot, datagram);
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

static void batch_end_up(struct world *world, const struct datagram *datagram, unsigned sends)
{
	int pool = balancer_pool(datagram->service), member;

	invariants_expect(world, sends <= 1, "1: an uplink datagram leaves twice");
	if (datagram->content == CONTENT_CID && balancer_layout(pool)->scheme == CID_LAYOUT_ID) {
		member = named_by(&world->balancer, pool, &datagram->cid);
		invariants_expect(world, sends == (member != NOBODY && balancer_serves(&world->balancer, member)),
				  "1: a CID does not reach its owner");
	}
	if (datagram->content == CONTENT_HELLO && pool != POOL_PLAIN && any_accepts(&world->balancer, pool) &&
	    !world->traits.hello_rate)
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
	}
}

/* A refused datagram still counts as an answer. */
void invariants_refused(struct world *world, const struct datagram *datagram, int address)
{
	struct invariants *invariants = &world->invariants;
	int at = index_of(world, datagram), slot = datagram->session.slot;

	invariants->sent_to[at][invariants->sends[at]++ % OWNERSHIP_WAYS_BACK] = NOBODY;
	if (backend_session(world, datagram->session) && address != NOBODY)
		invariants->accounts[slot][address].reachable |=
			!addr_equal(&datagram->to, &invariants->home[slot][family_of(&datagram->to)]);
}

/* Whether another address has left by this endpoint too. Then it belongs to no single address. */
static bool is_shared(const struct invariants *invariants, int slot, const struct datagram *datagram,
		      const struct addr *endpoint)
{
	for (int i = 0; i < ADDRESSES; i++)
		for (int service = 0; i != datagram->address && service < OWN_SERVICES; service++)
			if (addr_equal(&invariants->accounts[slot][i].own[service][family_of(endpoint)], endpoint))
				return true;
	return false;
}

/* Remembers the endpoint by which a session's datagram left. The first one is taken for its home. If that was the
 * endpoint of a handshake which a restart forgot, the first one that two addresses share becomes its home, once. */
static void endpoint_note(struct world *world, int slot, const struct datagram *datagram, const struct addr *endpoint)
{
	struct invariants *invariants = &world->invariants;
	enum io_family family = family_of(endpoint);
	struct addr *home = &invariants->home[slot][family];

	if (addr_equal(endpoint, &invariants->way[datagram->address][datagram->service][family]))
		return;
	if (balancer_pool(datagram->service) != POOL_BACKEND && home->port == 0) {
		*home = *endpoint;
	} else if (balancer_pool(datagram->service) != POOL_BACKEND && !invariants->relearned[slot] &&
		   !addr_equal(endpoint, home) && is_shared(invariants, slot, datagram, endpoint)) {
		*home = *endpoint;
		invariants->relearned[slot] = true;
	} else if (!addr_equal(endpoint, home)) {
		invariants->accounts[slot][datagram->address].own[datagram->service % OWN_SERVICES][family] = *endpoint;
	}
}

/* True if it leaves through its source's endpoint of handshakes, or of plain datagrams. A datagram that begins with
 * records of a handshake leaves there too, unless its CID leads elsewhere. Forgers also send datagrams with what was a
 * CID and is no longer quite one. */
static bool is_of_source(const struct world *world, const struct datagram *datagram, const struct addr *endpoint)
{
	const struct addr *way = &world->invariants.way[datagram->address][datagram->service][family_of(endpoint)];
	struct dtls_view view;

	if (datagram->content == CONTENT_HELLO || balancer_pool(datagram->service) == POOL_PLAIN)
		return true;
	dtls_walk(&view, datagram->wire.data, datagram->wire.len);
	return view.kind != DTLS_CID || (view.flight && way->port == 0);
}

void invariants_endpoint(struct world *world, const struct datagram *datagram, const struct addr *endpoint)
{
	if (is_of_source(world, datagram, endpoint))
		world->invariants.way[datagram->address][datagram->service][family_of(endpoint)] = *endpoint;
	for (int slot = 0; slot < SESSIONS; slot++)
		if (of_service(&world->sessions[slot], datagram->service) &&
		    carries(datagram, &world->sessions[slot].cid))
			endpoint_note(world, slot, datagram, endpoint);
}

void invariants_sent_up(struct world *world, const struct datagram *datagram, const struct io_send *send)
{
	struct invariants *invariants = &world->invariants;
	int member = balancer_member(&world->balancer, &send->to), pool = balancer_pool(datagram->service);

	invariants->sends[index_of(world, datagram)]++;
	invariants_expect(world, member != NOBODY && member / POOL_MEMBERS == pool,
			  "1: an uplink datagram goes to another pool");
	if (datagram->content == CONTENT_CID && balancer_layout(pool)->scheme == CID_LAYOUT_ID)
		invariants_expect(world, member == named_by(&world->balancer, pool, &datagram->cid),
				  "1: a CID reaches another than its owner");
	if (datagram->content == CONTENT_HELLO && pool != POOL_PLAIN)
		invariants_expect(world,
				  balancer_accepts(&world->balancer.members[member]) ||
					  !any_accepts(&world->balancer, pool),
				  "2: a new session goes to a backend that takes none");
	if (pool == POOL_PLAIN)
		invariants_expect(
			world, balancer_keeps(&world->balancer.members[member]) || !any_accepts(&world->balancer, pool),
			"2: a plain datagram goes to a backend that is down");
}

/* 4, 5: of a session. */
static void session_downlink(struct world *world, const struct datagram *datagram, int address, int service)
{
	struct invariants *invariants = &world->invariants;
	int slot = datagram->session.slot;
	struct account *account = &invariants->accounts[slot][address];
	enum io_family family = family_of(&datagram->to);

	invariants_expect(world, account->shown, "4: a downlink to an address that has not shown the session's CID");
	if (addr_equal(&datagram->to, &invariants->way[address][service][family])) {
		account->reachable = true;
		if (world->sessions[slot].state == SESSION_ESTABLISHED)
			invariants->finished[address] |= (uint8_t)(1U << service);
	} else if (!addr_equal(&datagram->to, &invariants->home[slot][family])) {
		invariants_expect(world, addr_equal(&datagram->to, &account->own[service % OWN_SERVICES][family]),
				  "4: a downlink to another's own endpoint");
		invariants_expect(world, account->verified,
				  "4: a downlink to an endpoint whose address never verified");
		account->reachable = true;
	}
	account->got += datagram->wire.len;
	if (!account->reachable && !invariants->finished[address] && account->rounds < OWNERSHIP_ROUNDS)
		invariants_expect(world, account->got <= 3 * account->sent,
				  "5: more than three times what the address sent");
}

void invariants_sent_down(struct world *world, const struct datagram *datagram, int address, int service)
{
	struct invariants *invariants = &world->invariants;
	int at = index_of(world, datagram);
	unsigned before = invariants->sends[at]++;

	invariants_expect(world, balancer_member(&world->balancer, &datagram->from) != NOBODY,
			  "3: a downlink of no backend");
	invariants_expect(world,
			  address != NOBODY && service != NOBODY && invariants->services[address] & 1U << service,
			  "3: a downlink from a service that was not addressed");
	invariants_expect(world, before < OWNERSHIP_WAYS_BACK, "4: a downlink to too many");
	if (world->broken)
		return;
	for (unsigned i = 0; i < before; i++)
		invariants_expect(world, invariants->sent_to[at][i] != address, "4: a downlink twice to one address");
	invariants->sent_to[at][before] = address;
	if (backend_session(world, datagram->session))
		session_downlink(world, datagram, address, service);
	else if (datagram->session.slot == NOBODY)
		invariants_expect(
			world, addr_equal(&datagram->to, &invariants->way[address][service][family_of(&datagram->to)]),
			"4: a downlink to another's endpoint");
}

static bool is_reached(const struct world *world, const struct session *session)
{
	return world->balancer.running && session->state == SESSION_ESTABLISHED &&
	       flows_find_end(world->balancer.flows, &session->peer, &world->balancer.members[session->member].addr);
}

void invariants_change_begins(struct world *world)
{
	for (int slot = 0; slot < SESSIONS; slot++)
		world->invariants.reached[slot] = is_reached(world, &world->sessions[slot]);
}

void invariants_change_ends(struct world *world)
{
	for (int slot = 0; slot < SESSIONS; slot++)
		if (world->invariants.reached[slot] && world->sessions[slot].state == SESSION_ESTABLISHED)
			invariants_expect(world, is_reached(world, &world->sessions[slot]),
					  "11: a device cannot be reached any more");
}

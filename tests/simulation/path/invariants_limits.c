/* What addresses get (with rebind = "follow"), and who is proven:
 *
 *   5a Through a session's endpoints an address that is not proven gets at most 3 times the octets that it sent, and
 *      ALLOWANCE more for each datagram that it sent. What it gets beyond 3 times is at most UNPROVEN_ADDRESS octets a
 *      second for one address, and unproven_rate for the pool, with a burst of a second. The same holds for handshakes
 *      until the address has sent back a cookie that went there.
 *
 *   5b The address where a session's handshake came to its end gets every downlink of the session's endpoint, until the
 *      balancer restarts, the flow is evicted or idle, or the session ends. Whatever anybody sends. (Not where CIDs are
 *      hashed: another configuration may lead the session to another server.)
 *
 *   5c Without forgers all records with a session's CID leave through one endpoint after the handshake, unless a
 *      downlink was withheld or more addresses than places are in use. With contest = "home" they always do. So a
 *      backend sees at most one change of address.
 *
 * The books count datagrams that left the balancer, and those whose send was refused. */

#include "tests/simulation/path/invariants_priv.h"
#include "tests/simulation/path/world.h"

enum {
	TIMES = 3,
	ALLOWANCE = 2560,
	UNPROVEN_ADDRESS = 16384,
	PLACES = 4,
	SILENT_MS = 5600 /* 5 s, and what a coarse clock adds */
};

static bool got_server_hello(const struct world *world, const struct device *device)
{
	const int slot = (int)(device - world->devices) * SESSIONS_EACH +
			 (int)((device->sessions + SESSIONS_EACH - 1) % SESSIONS_EACH);

	return world->sessions[slot].client_random == device->client_random && world->invariants.proofs[slot].helloed;
}

static bool shows_cid_alone(const struct device *device)
{
	return device->three_datagrams || device->v13;
}

/* After a restart the ServerHello is not known. A flight is known by what stands before its CID, and not with contest =
 * "home". So what shows only a CID leaves through the session's endpoint, where the server takes no Finished: that of a
 * client that sends it alone, and all of DTLS 1.3. Without a ServerHello the device repeats its ClientHello, and that
 * brings one. */
static bool is_interrupted(const struct world *world, const struct device *device)
{
	if (device->state != DEVICE_COOKIE && device->state != DEVICE_FINISHING)
		return false;
	/* Nobody knows where its CID leads, however it is shown. */
	if (balancer_pool(device->service) == POOL_LEARNED)
		return got_server_hello(world, device);
	return (balancer_pool(device->service) == POOL_HOME || shows_cid_alone(device)) &&
	       got_server_hello(world, device);
}

void limits_restart(struct world *world)
{
	struct invariants *invariants = &world->invariants;

	for (int i = 0; i < DEVICES; i++) {
		struct device *device = &world->devices[i];

		device->spoke = false;
		device->interrupted = is_interrupted(world, device);
	}
	for (int i = 0; i < SESSIONS; i++) {
		invariants->proofs[i] = (struct proof){ .address = invariants->proofs[i].address,
							.service = invariants->proofs[i].service };
		for (int j = 0; j < ADDRESSES; j++) {
			invariants->accounts[i][j].shown = 0;
			invariants->accounts[i][j].withheld = false;
		}
	}
	memset(invariants->pool_buckets, 0, sizeof invariants->pool_buckets);
	memset(invariants->address_buckets, 0, sizeof invariants->address_buckets);
}

bool limits_is_home(const struct world *world, const struct datagram *datagram)
{
	return addr_equal(&datagram->to, &world->invariants.home[datagram->session.slot][family_of(&datagram->to)]);
}

bool limits_is_at_handshake(const struct world *world, int pool)
{
	return pool == POOL_HOME && world->traits.rejects;
}

double limits_most;

static void drip(struct world *world, struct bucket *bucket, double rate, uint64_t octets, const char *what)
{
	bucket->level -= rate * (double)(world->now_ms - bucket->at_ms) / 1000;
	if (bucket->level < 0)
		bucket->level = 0;
	bucket->at_ms = world->now_ms;
	bucket->level += (double)octets;
	invariants_expect(world, bucket->level <= rate, what);
}

/* It gets a datagram. */
static void charge(struct world *world, int pool, int address, struct ledger *ledger, size_t octets)
{
	struct invariants *invariants = &world->invariants;
	const uint64_t allowance = world->traits.unproven_rate ? ALLOWANCE : 0;
	uint64_t over, more;

	ledger->got += octets;
	over = ledger->got > TIMES * ledger->sent ? ledger->got - TIMES * ledger->sent : 0;
	invariants_expect(world, over <= allowance * ledger->datagrams,
			  "5a: more than three times what an address sent, and its allowance");
	if (over <= ledger->beyond)
		return;
	more = over - ledger->beyond;
	ledger->beyond = over;
	trace_event(world, "%llu octets of allowances for address %d", (unsigned long long)more, address);
	drip(world, &invariants->pool_buckets[pool], world->traits.unproven_rate, more,
	     "5a: more allowances than unproven_rate");
	drip(world, &invariants->address_buckets[pool][address], UNPROVEN_ADDRESS, more,
	     "5a: more allowances of one address than it may have");
	if (invariants->address_buckets[pool][address].level > limits_most)
		limits_most = invariants->address_buckets[pool][address].level;
}

/* The device is where its datagram came from. */
static void hear(struct world *world, int slot, const struct datagram *datagram)
{
	struct device *device = &world->devices[world->sessions[slot].device];

	if (device->address != datagram->address || device->service != datagram->service)
		return;
	device->spoke = true;
	device->heard_ms = world->now_ms;
}

bool limits_is_way(const struct world *world, int address, int service, const struct addr *endpoint)
{
	const struct invariants *invariants = &world->invariants;
	const enum io_family family = family_of(endpoint);

	return addr_equal(endpoint, &invariants->way[address][service][family]) ||
	       addr_equal(endpoint, &invariants->hello_way[address][service][family]);
}

static bool cookie_went(const struct greeting *greeting, uint64_t cookie)
{
	for (unsigned i = 0; i < greeting->cookie_count && i < GREETING_COOKIES; i++)
		if (greeting->cookies[i] == cookie)
			return true;
	return false;
}

static void greet(struct world *world, const struct datagram *datagram)
{
	struct greeting *greeting = &world->invariants.greetings[datagram->address][datagram->service];
	struct wire_record record;
	struct wire_hello hello;
	struct wire_part part;
	size_t at = 0, inside = 0;

	greeting->ledger.sent += datagram->wire.len;
	greeting->ledger.datagrams++;
	if (datagram->shape.hello_first && wire_read(&datagram->wire, &at, 0, &record) &&
	    wire_read_part(&record, &inside, &part) && wire_read_client_hello(&part, &hello) && hello.has_cookie)
		greeting->reachable |= cookie_went(greeting, hello.cookie);
}

/* Whether others than the sender hold all places. */
static bool places_full(const struct world *world, int slot, const struct datagram *datagram)
{
	int count = 0;

	for (int i = 0; i < ADDRESSES; i++) {
		const struct account *account = &world->invariants.accounts[slot][i];

		for (int service = 0; service < SERVICES; service++)
			count += account->shown & 1U << service &&
				 (i != datagram->address || service != datagram->service) &&
				 world->now_ms - account->ledgers[service].last_ms <= SILENT_MS;
	}
	return count >= PLACES;
}

static void own_endpoint(struct world *world, int slot, const struct datagram *datagram, const struct addr *endpoint)
{
	struct invariants *invariants = &world->invariants;
	struct account *account = &invariants->accounts[slot][datagram->address];
	const int pool = balancer_pool(datagram->service);

	account->own[datagram->service][family_of(endpoint)] = *endpoint;
	if (pool == POOL_HOME)
		invariants_expect(world, false, "5c: another endpoint, with contest = \"home\"");
	if (pool != POOL_FOLLOW)
		return;
	if (places_full(world, slot, datagram) || account->withheld)
		invariants->excused[slot] = true;
	if (!world->traits.forgers && !invariants->excused[slot])
		invariants_expect(world, false, "5c: another endpoint, although a place is free");
}

/* A record with the session's CID, that leaves through `endpoint`. */
static void session_uplink(struct world *world, int slot, const struct datagram *datagram, const struct addr *endpoint)
{
	struct invariants *invariants = &world->invariants;
	struct addr *home = &invariants->home[slot][family_of(endpoint)];
	struct proof *proof = &invariants->proofs[slot];
	const bool of_handshake = proof->address == datagram->address && proof->service == datagram->service;
	const bool at_handshake = limits_is_at_handshake(world, balancer_pool(datagram->service));

	/* Before its handshake is over a session is wherever its CID is shown. */
	if (at_handshake && of_handshake && proof->stage < PROOF_OVER)
		*home = *endpoint;
	if (at_handshake && (proof->stage < PROOF_OVER || datagram->shape.plain_before))
		return;
	if (!at_handshake && limits_is_way(world, datagram->address, datagram->service, endpoint)) {
		if (!datagram->shape.plain_before)
			invariants_expect(world, of_handshake,
					  "14: a CID leaves through an endpoint for handshakes that are not its own");
		return;
	}
	if (balancer_pool(datagram->service) != POOL_BACKEND && home->port == 0)
		*home = *endpoint;
	if (!addr_equal(endpoint, home)) {
		own_endpoint(world, slot, datagram, endpoint);
		return;
	}
	proof_touch(world, proof);
	if (of_handshake && proof->stage == PROOF_OVER && !proof->doubtful)
		proof->stage = PROOF_USED;
}

void limits_uplink(struct world *world, int slot, const struct datagram *datagram, const struct addr *endpoint)
{
	struct invariants *invariants = &world->invariants;
	const bool way = limits_is_way(world, datagram->address, datagram->service, endpoint);
	struct account *account;
	struct proof *proof;

	if (way)
		greet(world, datagram);
	if (slot == NOBODY)
		return;
	account = &invariants->accounts[slot][datagram->address];
	proof = &invariants->proofs[slot];
	session_uplink(world, slot, datagram, endpoint);
	account->shown |= (uint8_t)(1U << datagram->service);
	account->shown_ever |= account->shown;
	account->ledgers[datagram->service].last_ms = world->now_ms;
	hear(world, slot, datagram);
	if (!way) {
		account->ledgers[datagram->service].sent += datagram->wire.len;
		account->ledgers[datagram->service].datagrams++;
	}
	if (proof->address != datagram->address || proof->service != datagram->service)
		return;
	proof->shown |= proof->helloed;
	if (proof->stage == PROOF_HELLO)
		proof->stage = PROOF_SHOWN;
}

/* With rebind = "backend" a server that moves before it verifies sends what it would send without a balancer. */
static bool moved_early(const struct world *world, const struct session *session, int address)
{
	return session && session->member / POOL_MEMBERS == POOL_BACKEND &&
	       backend_kind(world, session) == SERVER_PREMATURE &&
	       world->invariants.proofs[session - world->sessions].address != address;
}

/* Another session of the address is still spoken to at the endpoint of its handshake, which is that of the next one,
 * too. What comes down there under application keys ends the next one for the balancer, which cannot tell whose keys
 * they are. So what shows only a CID leaves through the session's endpoint too early. */
static void note_beside(struct world *world, int slot, int pool, const struct said *said)
{
	struct proof *proof = &world->invariants.proofs[slot];
	struct device *device = &world->devices[world->sessions[slot].device];

	proof_beside(proof, said);
	if (proof->stage == PROOF_SHOWN && said->protected && device->state == DEVICE_FINISHING &&
	    device->client_random == world->sessions[slot].client_random && !limits_is_at_handshake(world, pool))
		device->interrupted |= shows_cid_alone(device);
}

/* What a downlink of handshakes shows, whether it then leaves or not. */
static void note_said(struct world *world, const struct datagram *datagram, int address, int service,
		      const struct said *said)
{
	struct greeting *greeting = &world->invariants.greetings[address][service];
	const bool of_session = backend_session(world, datagram->session) != NULL;

	if (said->cookie_shown && !cookie_went(greeting, said->cookie))
		greeting->cookies[greeting->cookie_count++ % GREETING_COOKIES] = said->cookie;
	for (int slot = 0; slot < SESSIONS; slot++) {
		struct proof *proof = &world->invariants.proofs[slot];

		if (proof->address != address || proof->service != service)
			continue;
		if (of_session && slot == datagram->session.slot)
			proof_downlink(world, slot, balancer_pool(service), said);
		else
			note_beside(world, slot, balancer_pool(service), said);
	}
	if (of_session && said->protected)
		givens_beside(world, world->sessions[datagram->session.slot].member, address, service,
			      datagram->session.slot);
}

static void greeting_downlink(struct world *world, const struct datagram *datagram, int address, int service)
{
	struct greeting *greeting = &world->invariants.greetings[address][service];
	const struct session *session = backend_session(world, datagram->session);
	const struct said said = said_by(world, datagram, session);

	note_said(world, datagram, address, service, &said);
	if (greeting->reachable || moved_early(world, session, address))
		return;
	charge(world, balancer_pool(service), address, &greeting->ledger, datagram->wire.len);
}

/* The balancer does not learn that its send was refused. */
void limits_refused(struct world *world, const struct datagram *datagram, int address, int service)
{
	const struct session *session = backend_session(world, datagram->session);
	const struct said said = said_by(world, datagram, session);

	if (!limits_is_way(world, address, service, &datagram->to))
		return;
	note_said(world, datagram, address, service, &said);
	if (session && world->invariants.proofs[datagram->session.slot].stage < PROOF_STRICT)
		limits_doubt(&world->invariants.proofs[datagram->session.slot]);
}

void limits_downlink(struct world *world, const struct datagram *datagram, int address, int service)
{
	const int pool = balancer_pool(service);
	struct invariants *invariants = &world->invariants;
	struct account *account;
	struct proof *proof;
	int slot = datagram->session.slot;

	if (pool == POOL_PLAIN)
		return;
	if (limits_is_way(world, address, service, &datagram->to)) {
		greeting_downlink(world, datagram, address, service);
		return;
	}
	if (pool == POOL_BACKEND || !backend_session(world, datagram->session))
		return;
	slot = limits_holder(world, slot, address, service, &datagram->to);
	account = &invariants->accounts[slot][address];
	proof = &invariants->proofs[slot];
	if (proof->address == address && proof->service == service && proof->maybe)
		return;
	charge(world, pool, address, &account->ledgers[service], datagram->wire.len);
}

/* 5c: whose next uplink may have another endpoint. */
static void note_withheld(struct world *world, const struct datagram *datagram)
{
	struct account *accounts = world->invariants.accounts[datagram->session.slot];

	for (int i = 0; i < ADDRESSES; i++)
		for (int service = 0; service < SERVICES; service++)
			if (accounts[i].shown & 1U << service && !invariants_was_sent(world, datagram, i, service))
				accounts[i].withheld = true;
}

void limits_batch_ends(struct world *world, const struct datagram *datagram)
{
	const struct session *session = backend_session(world, datagram->session);

	if (!session || balancer_member(&world->balancer, &datagram->from) != session->member)
		return;
	if (limits_is_home(world, datagram)) {
		proof_check(world, session, datagram);
		if (!world->traits.forgers)
			note_withheld(world, datagram);
	}
	tally_downlink(world, session, datagram);
}

void invariants_moved(struct world *world, const struct session *session)
{
	const int slot = (int)(session - world->sessions), pool = session->member / POOL_MEMBERS;

	if (backend_kind(world, session) == SERVER_PREMATURE)
		return;
	if ((pool == POOL_HOME || pool == POOL_FOLLOW) && !world->traits.forgers && !world->invariants.excused[slot])
		invariants_expect(world, session->changes <= 1, "5c: a backend sees a second change of address");
}

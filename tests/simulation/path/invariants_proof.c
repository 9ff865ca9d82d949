/* 5b of invariants_limits.c: how far the handshake of a session has come, and whether its address gets every downlink.
 */
#include "tests/simulation/path/invariants_priv.h"
#include "tests/simulation/path/world.h"

void limits_doubt(struct proof *proof)
{
	proof->doubtful = true;
	if (proof->stage > PROOF_OVER)
		proof->stage = PROOF_OVER;
}

bool limits_is_proven(const struct world *world, const struct device *device)
{
	const struct proof *proof = &world->invariants.proofs[device->session];

	return proof->stage == PROOF_STRICT && proof->address == device->address && proof->service == device->service;
}

static uint64_t evicted(const struct world *world, int pool)
{
	const struct flows_count count = flows_count(world->balancer.flows, world->balancer.pool_uids[pool]);
	uint64_t sum = 0;

	for (int i = 0; i < FLOW_CLASSES; i++)
		sum += count.evicted[i];
	return sum;
}

/* The flow may be gone once it was idle so long. Before it is answered it is idle as flows without a CID are. */
void proof_touch(struct world *world, struct proof *proof)
{
	const struct traits *traits = &world->traits;
	uint32_t idle_s = traits->cid_idle_s;

	if (proof->stage < PROOF_STRICT && traits->idle_s < idle_s)
		idle_s = traits->idle_s;
	if (proof->stage > PROOF_NONE && world->now_ms - proof->last_ms >= UINT64_C(1000) * idle_s)
		limits_doubt(proof);
	proof->last_ms = world->now_ms;
}

struct said said_by(const struct world *world, const struct datagram *datagram, const struct session *session)
{
	const uint8_t cid_len = session ? world->devices[session->device].own_cid.len : 0;
	struct said said = { 0 };
	struct wire_record record;
	struct wire_part part;
	size_t at = 0, inside;

	while (at < datagram->wire.len && wire_read(&datagram->wire, &at, cid_len, &record)) {
		inside = 0;
		said.protected |= record.v13 ? record.epoch != 2 : record.epoch > 0;
		while (wire_read_part(&record, &inside, &part)) {
			if (wire_read_verify_request(&part, &said.cookie)) {
				said.cookie_shown = true;
				said.retry |= part.type == WIRE_SERVER_HELLO;
			} else if (part.type == WIRE_SERVER_HELLO) {
				said.hello = true;
				said.hello_begins |= part.offset == 0;
				said.hello_ends |= part.offset + part.len == part.whole;
			}
		}
	}
	return said;
}

void proof_beside(struct proof *proof, const struct said *said)
{
	proof->maybe |= proof->shown && said->protected;
	/* A HelloRetryRequest is a ServerHello as far as a reader can tell that has read another one in part. */
	proof->doubtful |= (said->hello && proof->stage < PROOF_OVER) || (said->retry && proof->parts == 1);
}

void proof_downlink(struct world *world, int slot, int pool, const struct said *said)
{
	struct proof *proof = &world->invariants.proofs[slot];

	if (proof->stage < PROOF_OVER)
		proof_touch(world, proof);
	proof->helloed |= said->hello;
	proof->maybe |= proof->shown && said->protected;
	/* A ServerHello that is repeated waits for the CID anew. */
	if (said->hello && (proof->stage == PROOF_NONE || proof->stage == PROOF_SHOWN)) {
		proof->stage = PROOF_HELLO;
		proof->evicted = evicted(world, pool);
	}
	/* What comes first under keys may be a part of the repeated flight, or not if that is lost. */
	proof->doubtful |= said->hello && proof->early && proof->stage < PROOF_OVER;
	proof->early |= said->protected && proof->stage < PROOF_SHOWN;
	/* The reader need not take fragments that come in another order. */
	proof->doubtful |= said->hello_ends && !said->hello_begins && proof->parts == 0;
	if (said->hello_begins && proof->parts < 2)
		proof->parts = 1;
	if (said->hello_ends && proof->parts == 1)
		proof->parts = 2;
	if (proof->stage == PROOF_SHOWN && said->protected)
		proof->stage = PROOF_OVER;
	proof->doubtful |= proof->stage == PROOF_OVER && proof->parts < 2;
	if (proof->stage == PROOF_OVER && !proof->doubtful && proof->evicted == evicted(world, pool))
		world->invariants.learned[slot] = true;
}

/* 5b, after a downlink of a session's endpoint. */
void proof_check(struct world *world, const struct session *session, const struct datagram *datagram)
{
	const int pool = session->member / POOL_MEMBERS;
	struct proof *proof = &world->invariants.proofs[datagram->session.slot];
	bool got;

	if (proof->stage < PROOF_USED)
		return;
	proof_touch(world, proof);
	if (proof->stage < PROOF_STRICT && proof->evicted != evicted(world, pool))
		limits_doubt(proof);
	got = invariants_was_sent(world, datagram, proof->address, proof->service);
	if (proof->stage == PROOF_STRICT && world->invariants.class != WORLD_CRAMPED && pool != POOL_HASH)
		invariants_expect(world, got, "5b: the proven address misses a downlink");
	else if (proof->stage == PROOF_USED && got)
		proof->stage = PROOF_STRICT;
}

/* The balancer may not know that the handshake is over. */
static bool is_lost(const struct proof *proof)
{
	return proof->stage < PROOF_OVER || (proof->doubtful && proof->stage < PROOF_STRICT);
}

bool limits_loses(const struct world *world, const struct device *device)
{
	return limits_is_at_handshake(world, balancer_pool(device->service)) && device->state == DEVICE_READY &&
	       is_lost(&world->invariants.proofs[device->session == NOBODY ? 0 : device->session]);
}

/* The handshakes of both were at one endpoint, and the balancer may know of the other's that it is over. */
static bool has_followed(const struct world *world, int slot, int other, const struct addr *endpoint)
{
	const struct invariants *invariants = &world->invariants;
	const struct proof *proof = &invariants->proofs[slot], *next = &invariants->proofs[other];

	return other != slot && next->maybe && next->address == proof->address && next->service == proof->service &&
	       world->sessions[other].member == world->sessions[slot].member &&
	       addr_equal(&invariants->home[other][family_of(endpoint)], endpoint);
}

int limits_holder(const struct world *world, int slot, int address, int service, const struct addr *endpoint)
{
	const struct invariants *invariants = &world->invariants;
	int holder = slot;

	if (!limits_is_at_handshake(world, balancer_pool(service)) || !is_lost(&invariants->proofs[slot]))
		return slot;
	for (int other = 0; other < SESSIONS; other++)
		if (has_followed(world, slot, other, endpoint) &&
		    invariants->accounts[other][address].shown & 1U << service &&
		    (holder == slot || !is_lost(&invariants->proofs[other])))
			holder = other;
	return holder;
}

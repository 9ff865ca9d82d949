/* What is learned of CIDs, in a pool whose CIDs say nothing:
 *
 *  16  A datagram with a CID leaves only for a server that has given out this CID; and while its device has not shown
 *      to that server that it has the keys, only where it comes from the address of that handshake. (The balancer
 *      cannot tell sessions apart that one server has with one address: what it says under keys of one of them counts
 *      for all that are begun there.) So forged handshakes, and ServerHellos of others than backends, lead nowhere.
 *
 *  17  A session is learned, once its ServerHello has passed, then its CID from the same address, and then something
 *      under application keys. From then on its CID leaves once, and for its server, from whatever address, also after
 *      restarts; but not while that server is not in the configuration, or is in maint. (Not where flows have no room.)
 *
 *  18  No more CIDs are learned than there were devices with keys. None is forgotten as long as there is room, and
 * never are there more than have room. */
#include <string.h>

#include "tests/simulation/path/world.h"

static int *first_of(struct givens *givens, const struct wire_cid *cid)
{
	return &givens->first[(cid->octets[0] | cid->octets[1] << 8) % GIVEN_HASHES];
}

void givens_gave(struct world *world, int member, const struct datagram *hello, const struct wire_cid *cid)
{
	struct givens *givens = &world->invariants.givens;
	int *first = first_of(givens, cid);
	struct given *given = &givens->all[givens->count];

	if (member / POOL_MEMBERS != POOL_LEARNED)
		return;
	invariants_expect(world, givens->count < GIVENS, "16: more CIDs are given out than this simulation can judge");
	if (world->broken)
		return;
	*given = (struct given){ *cid, member, hello->address, hello->service, false, *first };
	*first = ++givens->count;
}

static void key(struct givens *givens, struct given *given)
{
	givens->keyed += !given->keyed;
	given->keyed = true;
}

static bool is_cid(const struct given *given, const struct wire_cid *cid)
{
	return given->cid.len == cid->len && memcmp(given->cid.octets, cid->octets, cid->len) == 0;
}

void givens_keyed(struct world *world, const struct session *session)
{
	struct givens *givens = &world->invariants.givens;

	if (session->member / POOL_MEMBERS != POOL_LEARNED)
		return;
	for (int i = *first_of(givens, &session->cid); i; i = givens->all[i - 1].next)
		if (givens->all[i - 1].member == session->member && is_cid(&givens->all[i - 1], &session->cid))
			key(givens, &givens->all[i - 1]);
}

void givens_beside(struct world *world, int member, int address, int service, int slot)
{
	struct givens *givens = &world->invariants.givens;

	if (member / POOL_MEMBERS != POOL_LEARNED)
		return;
	for (int i = 0; i < givens->count; i++) {
		struct given *given = &givens->all[i];

		if (given->member == member && given->address == address && given->service == service &&
		    !is_cid(given, &world->sessions[slot].cid))
			key(givens, given);
	}
}

void givens_uplink(struct world *world, const struct datagram *datagram, int member)
{
	struct givens *givens = &world->invariants.givens;
	const struct wire_cid *cid = &datagram->shape.cid;
	bool may = false;

	for (int i = *first_of(givens, cid); i; i = givens->all[i - 1].next) {
		const struct given *given = &givens->all[i - 1];

		may |= given->member == member && is_cid(given, cid) &&
		       (given->keyed || (given->address == datagram->address && given->service == datagram->service));
	}
	invariants_expect(world, may, "16: a CID reaches a server that has not given it out, or from a stranger");
}

void givens_batch_ends(struct world *world, int slot, unsigned sends)
{
	if (slot == NOBODY || !world->invariants.learned[slot] || world->invariants.class == WORLD_CRAMPED)
		return;
	if (balancer_serves(&world->balancer, world->sessions[slot].member))
		invariants_expect(world, sends == 1, "17: a CID that was learned leads nowhere");
	else
		invariants_expect(world, sends == 0, "17: a CID leads elsewhere than to its server, which is gone");
}

void givens_check(struct world *world)
{
	const struct learned *learned = &world->balancer.learned;
	const struct givens *givens = &world->invariants.givens;
	const uint32_t count = learned_count(learned);
	const uint64_t evicted = learned->counts.evicted;

	invariants_expect(world, count <= (uint32_t)givens->keyed, "18: more is learned than devices have shown keys");
	invariants_expect(world, count <= learned_max_cids(learned) * LEARNED_PER_16 / 16 + LEARNED_WAYS,
			  "18: more CIDs than have room");
	if (world->invariants.class == WORLD_CRAMPED)
		invariants_expect(world, learned->counts.added == count + evicted, "18: CIDs are lost");
	else
		invariants_expect(world, evicted == 0, "18: a CID is forgotten although there is room");
}

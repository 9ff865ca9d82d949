#include <stdlib.h>
#include <string.h>

#include "common/dtls.h"
#include "common/route.h"
#include "tests/simulation/pool/world.h"

enum { HELLOS = 12 };

void pool_check_probe(struct pool_world *world, const struct pool_member *member, enum backend_health before)
{
	const enum backend_health now = member->state.probes;

	if (member->decides)
		pool_expect(world, (now == BACKEND_UP) == (member->oks > 0), "the first probe decides at once");
	else if (now != before)
		pool_expect(world, now == BACKEND_UP ? member->oks >= world->rise : member->fails >= world->fall,
			    "the probes' finding changes after `rise` successes or `fall` failures in a row");
	pool_expect(world, now == BACKEND_UP ? member->fails < world->fall : member->oks < world->rise,
		    "`rise` successes or `fall` failures in a row are enough");
}

void pool_check_said(struct pool_world *world, const struct pool_member *member)
{
	const struct steering *got = &member->state.steering;

	pool_expect(world,
		    got->down == member->said.down && got->admin == member->said.admin &&
			    got->percent == member->said.percent && got->id_count == member->said.claim_count,
		    "an answer is read as it was meant");
	for (unsigned i = 0; i < got->id_count; i++)
		pool_expect(world, member->said.claims[got->ids[i].octets[0]], "an id is read as it was claimed");
}

/* The model of what is in force. */
static bool is_up(const struct pool_member *member)
{
	return member->probes == BACKEND_UP && !member->said.down;
}

static bool is_in(const struct pool_member *member, enum backend_admin admin)
{
	return (member->wish > member->said.admin ? member->wish : member->said.admin) == admin;
}

static bool has_room(const struct pool_member *member)
{
	return is_in(member, BACKEND_READY) && member->weight > 0 && member->said.percent > 0;
}

static bool may_claim(const struct pool_member *member, unsigned id)
{
	return member->id == id || member->may_claim_any || member->may_claim[id];
}

static bool claims_id(const struct pool_member *member, unsigned id)
{
	bool says_something = false;

	if (member->decides || !is_up(member) || is_in(member, BACKEND_MAINT))
		return false;
	for (unsigned i = 0; i < IDS; i++)
		says_something |= member->said.claims[i] && may_claim(member, i);
	return says_something ? member->said.claims[id] && may_claim(member, id) : member->id == id;
}

/* The configured owner is there and wants it. */
static bool is_home(const struct pool_world *world, uint16_t configured, unsigned id)
{
	const unsigned at = pool_member_of(world, configured);

	return at != NO_MEMBER && claims_id(&world->members[at], id);
}

/* Nothing was heard of it since the start or its change of address, so it keeps what it had. */
static bool is_unheard(const struct pool_world *world, uint16_t uid)
{
	const unsigned at = pool_member_of(world, uid);

	return at != NO_MEMBER && world->members[at].decides && !is_in(&world->members[at], BACKEND_MAINT);
}

static void hear(void *ctx, enum claims_event event, const struct server_id *id, uint16_t a, uint16_t b)
{
	struct pool_heard *heard = ctx;

	heard->count++;
	heard->sum += ((uint64_t)event + 1) * (id->octets[0] + 1u) * (((uint64_t)a << 16) + b + 1);
}

static void on_claim(void *ctx, enum claims_event event, const struct server_id *id, uint16_t a, uint16_t b)
{
	struct pool_world *world = ctx;
	struct pool_id *of = &world->id[id->octets[0]];

	pool_trace(world, "  id %u: event %d, %d, %d", id->octets[0], event, (int16_t)a, (int16_t)b);
	hear(&world->heard, event, id, a, b);
	of->moved += event == CLAIMS_MOVED;
	of->begun += event == CLAIMS_CONTESTED;
	of->settled += event == CLAIMS_SETTLED;
	if (event == CLAIMS_CONTESTED)
		of->named_first = a;
	if (event != CLAIMS_MOVED)
		return;
	of->moved_from = a;
	of->moved_to = b;
}

static size_t backends_fill(const struct pool_world *world, struct claims_backend *out, bool backwards)
{
	for (unsigned i = 0; i < world->count; i++) {
		const struct pool_member *member = &world->members[world->order[backwards ? world->count - 1 - i : i]];

		out[i] = (struct claims_backend){
			.uid = member->uid,
			.serves = backend_state_health(&member->state) == BACKEND_UP &&
				  backend_state_admin(&member->state) != BACKEND_MAINT,
			.unheard = !member->state.probed && backend_state_admin(&member->state) != BACKEND_MAINT,
			.has_id = member->id != NO_ID,
			.id = pool_id_of(member->id),
			.claims = member->state.steering.ids,
			.claim_count = member->state.steering.id_count,
			.may_claim_any = member->may_claim_any,
			.may_claim = member->allowed,
			.may_claim_count = member->allowed_count,
		};
	}
	return world->count;
}

static bool claims_are_same(const struct claims *a, const struct claims *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (memcmp(&a->entries[i].id, &b->entries[i].id, sizeof a->entries[i].id) != 0 ||
		    a->entries[i].owner != b->entries[i].owner || a->entries[i].contested != b->entries[i].contested)
			return false;
	}
	return true;
}

static struct claims claims_copy(const struct claims *claims)
{
	struct claims copy = *claims;

	copy.entries = malloc((claims->count + 1) * sizeof *copy.entries);
	if (!copy.entries)
		abort();
	if (claims->count)
		memcpy(copy.entries, claims->entries, claims->count * sizeof *copy.entries);
	return copy;
}

void pool_settle(struct pool_world *world)
{
	struct claims_backend backends[MEMBERS], reversed[MEMBERS];
	struct claims copy = claims_copy(&world->claims);
	struct pool_heard again = { 0 };
	bool failed, changed = false, expected;

	world->heard = (struct pool_heard){ 0 };
	memcpy(world->id_before, world->id, sizeof world->id);
	for (unsigned i = 0; i < IDS; i++)
		world->id[i].moved = world->id[i].begun = world->id[i].settled = 0;
	backends_fill(world, backends, false);
	backends_fill(world, reversed, true);
	expected = claims_settle(&world->claims, backends, world->count, on_claim, world, &failed);
	if (failed)
		abort();
	for (unsigned i = 0; i < IDS; i++) {
		const struct server_id id = pool_id_of(i);

		world->id[i].owner = claims_owner(&world->claims, &id);
		world->id[i].contested = false;
		changed |= world->id[i].owner != world->id_before[i].owner;
	}
	for (size_t i = 0; i < world->claims.count; i++)
		world->id[world->claims.entries[i].id.octets[0]].contested = world->claims.entries[i].contested;
	pool_expect(world, changed == expected, "settling says whether an owner changed");
	(void)claims_settle(&copy, reversed, world->count, hear, &again, NULL);
	pool_expect(world, claims_are_same(&copy, &world->claims) && again.sum == world->heard.sum,
		    "the order of backends does not matter");
	again = (struct pool_heard){ 0 };
	changed = claims_settle(&copy, backends, world->count, hear, &again, NULL);
	pool_expect(world, !changed && again.count == 0 && claims_are_same(&copy, &world->claims),
		    "settling again changes nothing");
	claims_free(&copy);
}

/* Who has to do with an id, by the model. */
struct parties {
	unsigned claimants;
	uint16_t claimant;   /* the last claimant */
	uint16_t configured; /* CLAIMS_NOBODY: no backend */
	bool named;          /* by a backend, whether it serves or not */
};

static struct parties parties_of(const struct pool_world *world, unsigned id)
{
	struct parties parties = { 0, CLAIMS_NOBODY, CLAIMS_NOBODY, false };

	for (unsigned i = 0; i < world->count; i++) {
		const struct pool_member *member = &world->members[world->order[i]];

		if (member->id == id)
			parties.configured = member->uid;
		parties.named |= member->id == id || (member->said.claims[id] && may_claim(member, id));
		if (!claims_id(member, id))
			continue;
		parties.claimants++;
		parties.claimant = member->uid;
	}
	return parties;
}

static void check_contest(struct pool_world *world, unsigned id, const struct parties *parties)
{
	const struct pool_id *now = &world->id[id], *before = &world->id_before[id];
	const unsigned owner = pool_member_of(world, now->owner);

	pool_expect(world, now->contested == (parties->claimants > 1), "contested is what several claim");
	pool_expect(world, now->begun == (now->contested && !before->contested),
		    "a contest is reported when it begins");
	pool_expect(world, now->settled == (!now->contested && before->contested),
		    "a contest is reported when it ends");
	if (now->begun && owner != NO_MEMBER && claims_id(&world->members[owner], id))
		pool_expect(world, now->named_first == now->owner, "of those who contest the owner is named first");
}

static void check_move(struct pool_world *world, unsigned id, const struct parties *parties)
{
	const struct pool_id *now = &world->id[id], *before = &world->id_before[id];
	const unsigned owner = pool_member_of(world, before->owner), to = pool_member_of(world, now->owner);

	if (now->owner == before->owner) {
		pool_expect(world, now->moved == 0, "what did not move is not reported");
		return;
	}
	pool_expect(world, now->owner == CLAIMS_NOBODY || to == NO_MEMBER || may_claim(&world->members[to], id),
		    "an id goes to nobody who may not claim it");
	if (owner != NO_MEMBER && now->owner != CLAIMS_NOBODY)
		pool_expect(world,
			    (parties->configured == now->owner && is_home(world, now->owner, id)) ||
				    (!claims_id(&world->members[owner], id) && parties->claimants == 1 &&
				     parties->claimant == now->owner),
			    "an id moves home, or from who serves or claims it no more to who alone claims it");
	else if (now->owner != CLAIMS_NOBODY)
		pool_expect(world,
			    now->owner == parties->configured ||
				    (parties->claimants == 1 && parties->claimant == now->owner),
			    "an id of nobody goes to its configured backend, or to who alone claims it");
	else
		pool_expect(world, !parties->named || (owner == NO_MEMBER && parties->configured == CLAIMS_NOBODY),
			    "an id is forgotten when its owner has left, or when nobody names it");
	if (now->owner == CLAIMS_NOBODY ||
	    (before->owner == CLAIMS_NOBODY && !before->contested && now->owner == parties->configured))
		pool_expect(world, now->moved == 0, "that an id is where it belongs is not reported");
	else
		pool_expect(world,
			    now->moved == 1 && now->moved_to == now->owner &&
				    now->moved_from == (before->owner == CLAIMS_NOBODY && !before->contested
								? parties->configured
								: before->owner),
			    "a move is reported once");
}

void pool_check_ids(struct pool_world *world)
{
	for (unsigned id = 0; id < IDS; id++) {
		const struct pool_id *now = &world->id[id], *before = &world->id_before[id];
		const struct parties parties = parties_of(world, id);

		check_move(world, id, &parties);
		check_contest(world, id, &parties);
		pool_expect(world, now->owner == CLAIMS_NOBODY || pool_member_of(world, now->owner) != NO_MEMBER,
			    "an owner is in the pool");
		pool_expect(world,
			    !is_unheard(world, before->owner) || now->owner == before->owner || world->ids == IDS ||
				    is_home(world, parties.configured, id),
			    "an id stays with an owner that nothing was heard of, unless it goes home");
		pool_expect(world, !is_home(world, parties.configured, id) || now->owner == parties.configured,
			    "a configured owner that is up and claims its id has it");
		pool_expect(world,
			    parties.claimants != 1 || now->owner == parties.claimant || is_unheard(world, now->owner),
			    "who alone claims an id has it");
		pool_expect(world, parties.configured == CLAIMS_NOBODY || now->owner != CLAIMS_NOBODY,
			    "a configured id has an owner");
		pool_expect(world,
			    before->owner == CLAIMS_NOBODY || pool_member_of(world, before->owner) == NO_MEMBER ||
				    world->ids == IDS || now->owner != CLAIMS_NOBODY,
			    "an id stays with the pool while its owner does");
	}
	for (size_t i = 1; i < world->claims.count; i++)
		pool_expect(world, world->claims.entries[i - 1].id.octets[0] < world->claims.entries[i].id.octets[0],
			    "no id has two owners");
	pool_expect(world, world->claims.count <= world->count * (1 + STEERING_IDS), "what is remembered is bounded");
}

void pool_check_restarted(struct pool_world *world, const struct pool_id before[static IDS])
{
	for (unsigned id = 0; id < IDS; id++)
		pool_expect(world, world->id[id].owner == before[id].owner || world->ids == IDS,
			    "a restart leaves every id where it was");
	pool_expect(world, world->heard.count == 0, "a restart is no news");
}

static unsigned member_routed(const struct pool_world *world, const struct route_out *out)
{
	return out->backend == SNAPSHOT_NO_BACKEND
		       ? NO_MEMBER
		       : pool_member_of(world, world->snapshot->pools[0].backends[out->backend].uid);
}

static void route_one(struct pool_world *world, struct route_out *out, const uint8_t *data, size_t len)
{
	struct route_in in = { .data = data, .len = len, .hint = ROUTE_NO_HINT };

	in.source.ip[10] = in.source.ip[11] = 0xff;
	for (unsigned i = 12; i < 16; i++)
		in.source.ip[i] = (uint8_t)dice_below(&world->dice, i == 12 ? 224 : 256); /* no multicast */
	in.source.port = (uint16_t)dice_between(&world->dice, 1, UINT16_MAX);
	dtls_walk(&in.view, data, len);
	route(out, &world->snapshot->pools[0], &in);
}

/* A session that a backend begins needs an id that leads back to it. */
static bool owns_an_id(const struct pool_world *world, unsigned member)
{
	for (unsigned id = 0; id < IDS; id++)
		if (pool_member_of(world, world->id[id].owner) == member)
			return true;
	return false;
}

static void check_hello(struct pool_world *world)
{
	/* type, version, epoch 0, number, length | client_hello, length, message_seq, fragment offset and length |
	 * version, random … */
	static const uint8_t hello[13 + 12 + 42] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0,  0,    54,  1,
						     0,  0,    42,   0, 0, 0, 0, 0, 0, 0, 42, 0xfe, 0xfd };
	unsigned accepting = 0, ready = 0, to;
	struct route_out out;

	for (unsigned i = 0; i < world->count; i++) {
		const struct pool_member *member = &world->members[world->order[i]];
		const bool takes = has_room(member) && owns_an_id(world, world->order[i]);

		ready += takes;
		accepting += takes && is_up(member);
	}
	route_one(world, &out, hello, sizeof hello);
	to = member_routed(world, &out);
	if (accepting == 0 && (world->all_down == ALL_DOWN_DROP || ready == 0)) {
		pool_expect(world, out.verdict == VERDICT_NO_BACKEND && to == NO_MEMBER,
			    "nobody is there for a new session");
		return;
	}
	pool_expect(world, out.verdict == VERDICT_HASH && to != NO_MEMBER,
		    "a new session has a backend while one is there");
	if (to != NO_MEMBER)
		pool_expect(world,
			    has_room(&world->members[to]) && owns_an_id(world, to) &&
				    (accepting == 0 || is_up(&world->members[to])),
			    "a new session goes to a backend that is up and ready and has weight and an id, while "
			    "there is one");
}

static void check_cid(struct pool_world *world, unsigned id)
{
	/* tls12_cid, version, epoch 1, number, CID, length, ciphertext */
	uint8_t record[11 + 6 + 2 + 16] = { 25, 0xfe, 0xfd, 0, 1, [11] = (uint8_t)id, [18] = 16 };
	const unsigned owner = pool_member_of(world, world->id[id].owner);
	enum verdict expected = VERDICT_CID;
	struct route_out out;

	for (unsigned i = 12; i < 17; i++)
		record[i] = (uint8_t)dice_below(&world->dice, 256);
	route_one(world, &out, record, sizeof record);
	if (owner == NO_MEMBER)
		expected = VERDICT_UNKNOWN_CID;
	else if (is_in(&world->members[owner], BACKEND_MAINT))
		expected = VERDICT_MAINT;
	else if (!is_up(&world->members[owner]))
		expected = VERDICT_CID_DOWN;
	else if (is_in(&world->members[owner], BACKEND_DRAIN))
		expected = VERDICT_CID_DRAINING;
	pool_expect(world, out.verdict == expected, "a CID gets the verdict of its owner's state");
	pool_expect(world, member_routed(world, &out) == (verdict_is_routed(expected) ? owner : NO_MEMBER),
		    "a CID of a known id reaches its owner");
}

void pool_check_routes(struct pool_world *world)
{
	for (unsigned i = 0; i < HELLOS; i++)
		check_hello(world);
	for (unsigned id = 0; id < IDS; id++)
		check_cid(world, id);
}

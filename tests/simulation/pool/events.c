/* What happens to a pool. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/pool/world.h"

enum { ANSWER_OCTETS = 2048 };

struct answer {
	char text[ANSWER_OCTETS];
	size_t len;
	bool prose;
	struct pool_said said;
};

static void said_nothing(struct pool_said *said)
{
	*said = (struct pool_said){ .admin = BACKEND_READY, .percent = 100 };
}

static unsigned id_unused(struct pool_world *world)
{
	bool used[IDS] = { false };
	unsigned id;

	for (unsigned i = 0; i < MEMBERS; i++) {
		if (world->members[i].configured && world->members[i].id != NO_ID)
			used[world->members[i].id] = true;
	}
	do
		id = dice_below(&world->dice, world->ids);
	while (used[id]);
	return id;
}

/* Some may claim any id, some nothing but their own, and most a few. */
static void rights_roll(struct pool_world *world, struct pool_member *member)
{
	const unsigned share = dice_below(&world->dice, 4) * 30;

	member->may_claim_any = dice_percent(&world->dice, 20);
	member->allowed_count = 0;
	for (unsigned id = 0; id < IDS; id++) {
		member->may_claim[id] = dice_percent(&world->dice, share);
		if (member->may_claim[id])
			member->allowed[member->allowed_count++] = pool_id_of(id);
	}
}

void pool_member_begin(struct pool_world *world, unsigned at)
{
	struct pool_member *member = &world->members[at];

	*member = (struct pool_member){
		.id = NO_ID, .weight = 100, .wish = BACKEND_READY, .well = true, .decides = true
	};
	if (dice_percent(&world->dice, 90))
		member->id = id_unused(world);
	member->configured = true;
	rights_roll(world, member);
	member->addr.port = (uint16_t)dice_between(&world->dice, 1, UINT16_MAX);
	said_nothing(&member->said);
	backend_state_init(&member->state, member->wish, (uint8_t)world->rise, (uint8_t)world->fall);
}

static void probe_end(struct pool_world *world, struct pool_member *member, bool ok)
{
	const enum backend_health before = member->state.probes;
	const bool changed = backend_state_probe(&member->state, ok);

	pool_expect(world, changed == (member->state.probes != before), "a probe says whether it changed anything");
	member->oks = ok ? member->oks + 1 : 0;
	member->fails = ok ? 0 : member->fails + 1;
	pool_check_probe(world, member, before);
	member->probes = member->state.probes;
	member->decides = false;
}

static void answer_put(struct pool_world *world, struct answer *answer, const char *word)
{
	static const char *const separators[] = { " ", "\t", ",", ", ", "  " };

	for (; *word; word++)
		answer->text[answer->len++] =
			dice_percent(&world->dice, 20) && *word >= 'a' && *word <= 'w' ? (char)(*word - 0x20) : *word;
	for (const char *c = separators[dice_below(&world->dice, 5)]; *c; c++)
		answer->text[answer->len++] = *c;
}

static void answer_put_id(struct pool_world *world, struct answer *answer)
{
	const unsigned id = dice_below(&world->dice, world->ids);
	char word[16];

	if (!answer->said.claims[id] && answer->said.claim_count == STEERING_IDS)
		return;
	snprintf(word, sizeof word, dice_percent(&world->dice, 50) ? "id:%u" : "id:0x%02x", id);
	answer_put(world, answer, word);
	answer->said.claim_count += !answer->said.claims[id];
	answer->said.claims[id] = true;
}

static void answer_put_word(struct pool_world *world, struct answer *answer)
{
	static const char *const skipped[] = { "id:", "id:256", "id:0x123", "101%", "maxconn:9" };
	static const char *const prose[] = { "hello", "-1%", "upp", "down;" };
	static const char *const down[] = { "down", "fail", "stopped" };
	static const char *const admin[] = { "ready", "drain", "maint" };
	const unsigned which = dice_below(&world->dice, 3);
	char word[8];

	switch (dice_below(&world->dice, 8)) {
	case 0:
		answer_put(world, answer, down[which]);
		answer->said.down = true;
		return;
	case 1:
		answer_put(world, answer, admin[which]);
		if (which > answer->said.admin)
			answer->said.admin = (enum backend_admin)which;
		return;
	case 2:
		if (!world->weighs)
			return;
		snprintf(word, sizeof word, "%u%%", which * 50);
		answer_put(world, answer, word);
		if (which * 50 < answer->said.percent)
			answer->said.percent = which * 50;
		return;
	case 3:
		answer_put(world, answer, skipped[dice_below(&world->dice, 5)]);
		return;
	case 4:
		if (!dice_percent(&world->dice, 20))
			return;
		answer_put(world, answer, prose[dice_below(&world->dice, 4)]);
		answer->prose = true;
		return;
	default:
		answer_put(world, answer, "up");
	}
}

/* More often the own id than not, because a backend that claims others must say so. */
static void answer_compose(struct pool_world *world, const struct pool_member *member, struct answer *answer)
{
	const unsigned ids = dice_percent(&world->dice, 60) ? dice_below(&world->dice, world->ids == IDS ? 60 : 4) : 0;

	answer->len = 0;
	answer->prose = false;
	said_nothing(&answer->said);
	for (unsigned i = dice_below(&world->dice, 5); i > 0; i--)
		answer_put_word(world, answer);
	if (ids && member->id != NO_ID && dice_percent(&world->dice, 70)) {
		char word[16];

		snprintf(word, sizeof word, "id:%u", member->id);
		answer_put(world, answer, word);
		answer->said.claims[member->id] = true;
		answer->said.claim_count = 1;
	}
	for (unsigned i = 0; i < ids; i++)
		answer_put_id(world, answer);
	if (answer->prose)
		said_nothing(&answer->said);
	if (dice_percent(&world->dice, 30))
		answer->len += (size_t)snprintf(answer->text + answer->len, 32, "\r\ndown maint 0%% id:1");
}

static void answer_come(struct pool_world *world, unsigned at)
{
	struct pool_member *member = &world->members[at];
	char unknown[STEERING_WORD_OCTETS];
	struct answer answer;

	answer_compose(world, member, &answer);
	pool_trace(world, "%s answers: %.*s", pool_member_names[at], (int)strcspn(answer.text, "\r"), answer.text);
	probe_end(world, member, true);
	(void)steering_read(&member->state.steering, &pool_layout, (const uint8_t *)answer.text, answer.len, unknown);
	member->said = answer.said;
	pool_check_said(world, member);
}

static void command_come(struct pool_world *world, unsigned at)
{
	struct pool_member *member = &world->members[at];

	if (world->weighs && dice_percent(&world->dice, 15)) {
		member->weight = (uint16_t)(dice_below(&world->dice, 3) * 100);
		pool_trace(world, "%s: weight %u", pool_member_names[at], member->weight);
		return;
	}
	member->wish = dice_percent(&world->dice, 50) ? BACKEND_READY : (enum backend_admin)dice_below(&world->dice, 3);
	member->state.wish = member->wish;
	pool_trace(world, "%s: %s", pool_member_names[at], backend_admin_name(member->wish));
}

static void address_change(struct pool_world *world, unsigned at)
{
	struct pool_member *member = &world->members[at];

	pool_trace(world, "%s is at another address", pool_member_names[at]);
	member->addr.port++;
	member->decides = true;
	member->oks = member->fails = 0;
	said_nothing(&member->said);
	backend_state_renew(&member->state);
}

static void id_change(struct pool_world *world, unsigned at)
{
	world->members[at].id = id_unused(world);
	pool_trace(world, "reload: %s has id %u", pool_member_names[at], world->members[at].id);
}

static void rights_change(struct pool_world *world, unsigned at)
{
	rights_roll(world, &world->members[at]);
	pool_trace(world, "reload: %s may claim %zu ids%s", pool_member_names[at], world->members[at].allowed_count,
		   world->members[at].may_claim_any ? ", or any" : "");
}

static void order_change(struct pool_world *world, unsigned i, unsigned j)
{
	const unsigned at = world->order[i];

	world->order[i] = world->order[j];
	world->order[j] = at;
}

static void members_change(struct pool_world *world)
{
	const unsigned at = dice_below(&world->dice, MEMBERS);
	const bool there = world->members[at].configured;

	pool_trace(world, "reload: %s is %s", pool_member_names[at], there ? "gone" : "new");
	if (!there) {
		pool_member_begin(world, at);
		world->order[world->count++] = at;
	} else if (world->count > 1) {
		for (unsigned i = 0; i + 1 < world->count; i++) {
			if (world->order[i] == at)
				order_change(world, i, world->count - 1);
		}
		world->members[at].configured = false;
		world->count--;
	}
	order_change(world, 0, dice_below(&world->dice, world->count));
}

/* The balancer ends and begins again. All that it keeps is who owns the ids that are not where they are configured. */
void pool_restart(struct pool_world *world)
{
	struct claims kept = { 0 };

	pool_trace(world, "restart");
	for (size_t i = 0; i < world->claims.count; i++) {
		const struct claims_entry *entry = &world->claims.entries[i];
		const unsigned owner = pool_member_of(world, entry->owner);

		if (owner != NO_MEMBER && world->members[owner].id != entry->id.octets[0] &&
		    claims_seed(&kept, &entry->id, entry->owner))
			abort();
	}
	claims_free(&world->claims);
	world->claims = kept;
	for (unsigned i = 0; i < IDS; i++) {
		const struct server_id id = pool_id_of(i);

		world->id[i] = (struct pool_id){ .owner = claims_owner(&kept, &id) };
	}
	for (unsigned i = 0; i < world->count; i++) {
		struct pool_member *member = &world->members[world->order[i]];

		member->decides = true;
		member->oks = member->fails = 0;
		member->probes = BACKEND_UP;
		said_nothing(&member->said);
		backend_state_init(&member->state, member->wish, (uint8_t)world->rise, (uint8_t)world->fall);
	}
}

void pool_happen(struct pool_world *world)
{
	const unsigned at = world->order[dice_below(&world->dice, world->count)], what = dice_below(&world->dice, 100);
	struct pool_member *member = &world->members[at];

	if (what < 50) {
		const bool ok = dice_percent(&world->dice, member->well ? 85 : 15);

		pool_trace(world, "%s: a probe %s", pool_member_names[at], ok ? "ends well" : "fails");
		probe_end(world, member, ok);
	} else if (what < 75) {
		answer_come(world, at);
	} else if (what < 85) {
		member->well = !member->well;
	} else if (what < 93) {
		command_come(world, at);
	} else if (what < 96) {
		address_change(world, at);
	} else if (what < 97) {
		id_change(world, at);
	} else if (what < 98) {
		rights_change(world, at);
	} else if (dice_percent(&world->dice, 50)) {
		members_change(world);
	}
}

#include "ownership.h"

enum { TICK_MS = 256, HOLD_TICKS = OWNERSHIP_HOLD_MS / TICK_MS + 1, KNOWN_TICKS = OWNERSHIP_KNOWN_MS / TICK_MS + 1 };
enum { OPEN_TICKS = OWNERSHIP_OPEN_MS / TICK_MS };

#define ALLOWANCE_MASK 0xfffU
_Static_assert(OWNERSHIP_ALLOWANCE <= ALLOWANCE_MASK, "it fits its field");

static uint16_t tick(uint32_t now_ms)
{
	return (uint16_t)(now_ms / TICK_MS);
}

static uint16_t ticks_since(uint16_t then, uint32_t now_ms)
{
	const uint16_t since = (uint16_t)(tick(now_ms) - then);

	/* A worker's clock may be a moment behind another's. */
	return since > UINT16_MAX - HOLD_TICKS ? 0 : since;
}

/* True: `until` is to come. It is at most OWNERSHIP_OPEN_MS ahead, so what looks further ahead has passed hours ago. */
static bool is_ahead(uint16_t until, uint32_t now_ms)
{
	const uint16_t left = (uint16_t)(until - tick(now_ms));

	return left > 0 && left <= OPEN_TICKS + HOLD_TICKS;
}

void ownership_account_earn(struct ownership_account *account, uint32_t octets)
{
	const uint64_t credit = account->credit + (uint64_t)octets * OWNERSHIP_AMPLIFICATION;

	account->credit = credit < OWNERSHIP_CREDIT_MAX ? (uint16_t)credit : OWNERSHIP_CREDIT_MAX;
	account->allowance = OWNERSHIP_ALLOWANCE;
}

bool ownership_account_pay(struct ownership_account *account, const struct ownership_pair *to, uint32_t octets,
			   const struct ownership_purse *purse)
{
	const uint32_t beyond = octets > account->credit ? octets - account->credit : 0;

	if (beyond > account->allowance || (beyond && !purse->pay(purse->ctx, to, beyond)))
		return false;
	account->credit = (uint16_t)(account->credit - (octets - beyond));
	account->allowance = (uint16_t)(account->allowance - beyond);
	return true;
}

static struct ownership_account account_of(const struct ownership_place *place)
{
	return (struct ownership_account){ place->credit, place->allowance };
}

static void account_set(struct ownership_place *place, const struct ownership_account *account)
{
	place->credit = account->credit;
	place->allowance = account->allowance & ALLOWANCE_MASK;
}

static struct ownership_place *place_at(struct ownership *session, unsigned at)
{
	return session->has_many ? &session->many[at] : &session->places[at];
}

static struct ownership_place *place_of(struct ownership *session, const struct ownership_pair *pair)
{
	for (unsigned i = 0; i < ownership_place_count(session); i++) {
		struct ownership_place *place = place_at(session, i);

		if (place->taken && ownership_pair_equal(&place->pair, pair))
			return place;
	}
	return NULL;
}

void ownership_prove(struct ownership *session, const struct ownership_pair *pair)
{
	struct ownership_place *many = session->has_many ? session->many : NULL;

	*session = (struct ownership){ .proven = *pair, .has_proven = true, .last_from = OWNERSHIP_FROM_PROVEN };
	if (many) {
		memset(many, 0, OWNERSHIP_PLACES_HOME * sizeof *many);
		session->has_many = true;
		session->many = many;
	}
}

static uint8_t from_place(const struct ownership *session, const struct ownership_place *place)
{
	return (uint8_t)(OWNERSHIP_FROM_PLACE + (place - ownership_places(session)));
}

/* `from` speaks. A place's number stays the same while it is taken; who takes it is new. */
static void note_from(struct ownership *session, uint8_t from)
{
	if (session->last_from == from)
		return;
	session->moves = session->last_from != OWNERSHIP_FROM_NOBODY;
	session->last_from = from;
}

static void note_taken(struct ownership *session, const struct ownership_place *place)
{
	if (session->last_from == from_place(session, place))
		session->moves = true;
	note_from(session, from_place(session, place));
}

/* What a place is worth to its session: the least is given away first. */
static uint32_t worth(const struct ownership_place *place, uint32_t now_ms)
{
	const uint32_t recent = (uint32_t)UINT16_MAX - ticks_since(place->last, now_ms);

	return place->taken ? 1 + recent + ((uint32_t)place->answered << 17) + ((uint32_t)place->known << 18) : 0;
}

static bool is_silent(const struct ownership_place *place, uint32_t now_ms)
{
	return !place->taken || ticks_since(place->last, now_ms) >= (place->known ? KNOWN_TICKS : HOLD_TICKS);
}

/* The place of least worth. `any`: also of those whose holders are not silent. NULL: none. */
static struct ownership_place *place_worst(struct ownership *session, uint32_t now_ms, bool any)
{
	struct ownership_place *worst = NULL;

	for (unsigned i = 0; i < ownership_place_count(session); i++) {
		struct ownership_place *place = place_at(session, i);

		if ((any || is_silent(place, now_ms)) && (!worst || worth(place, now_ms) < worth(worst, now_ms)))
			worst = place;
	}
	return worst;
}

static void place_earn(struct ownership_place *place, const struct ownership_datagram *up)
{
	struct ownership_account account = account_of(place);

	ownership_account_earn(&account, up->octets);
	account_set(place, &account);
	place->last = tick(up->now_ms);
}

static void place_take(struct ownership_place *place, const struct ownership_datagram *up)
{
	*place = (struct ownership_place){ .pair = up->from, .taken = true };
	place_earn(place, up);
}

static bool own_is_open(const struct ownership_own *own, uint32_t now_ms)
{
	return own && own->open && is_ahead(own->until, now_ms);
}

bool ownership_asks_own(struct ownership *session, const struct ownership_datagram *up)
{
	if (session->opened && !is_ahead(session->opened_until, up->now_ms))
		session->opened = false;
	return session->opened && !ownership_is_proven(session, &up->from);
}

enum ownership_way ownership_uplink(struct ownership *session, const struct ownership_own *own,
				    const struct ownership_datagram *up)
{
	struct ownership_place *place;

	if (ownership_is_proven(session, &up->from)) {
		note_from(session, OWNERSHIP_FROM_PROVEN);
		return OWNERSHIP_HOME;
	}
	place = place_of(session, &up->from);
	if (place) {
		place_earn(place, up);
		note_from(session, from_place(session, place));
	}
	if (own_is_open(own, up->now_ms))
		return own->for_withheld ? OWNERSHIP_OWN_WITHHELD : OWNERSHIP_OWN;
	if (place && place->withheld) {
		place->withheld = false;
		return OWNERSHIP_OWN_WITHHELD;
	}
	if (place)
		return OWNERSHIP_HOME;
	place = place_worst(session, up->now_ms, false);
	if (!place)
		return OWNERSHIP_OWN;
	place_take(place, up);
	note_taken(session, place);
	return OWNERSHIP_HOME;
}

void ownership_uplink_home(struct ownership *session, const struct ownership_datagram *up)
{
	struct ownership_place *place;

	if (ownership_is_proven(session, &up->from)) {
		note_from(session, OWNERSHIP_FROM_PROVEN);
		return;
	}
	place = place_of(session, &up->from);
	if (place) {
		place_earn(place, up);
		note_from(session, from_place(session, place));
		return;
	}
	place = place_worst(session, up->now_ms, true);
	place_take(place, up);
	note_taken(session, place);
}

bool ownership_has_place(const struct ownership *session, const struct ownership_pair *from)
{
	const struct ownership_place *places = ownership_places(session);

	for (unsigned i = 0; i < ownership_place_count(session); i++)
		if (places[i].taken && ownership_pair_equal(&places[i].pair, from))
			return true;
	return false;
}

bool ownership_wants_many(const struct ownership *session, const struct ownership_pair *from)
{
	if (session->has_many || ownership_is_proven(session, from))
		return false;
	for (unsigned i = 0; i < OWNERSHIP_PLACES; i++)
		if (!session->places[i].taken || ownership_pair_equal(&session->places[i].pair, from))
			return false;
	return true;
}

void ownership_expand(struct ownership *session, struct ownership_place *many)
{
	memset(many, 0, OWNERSHIP_PLACES_HOME * sizeof *many);
	memcpy(many, session->places, sizeof session->places);
	session->has_many = true;
	session->many = many;
}

void ownership_own_uplink(struct ownership *session, struct ownership_own *own, enum ownership_way way,
			  const struct ownership_datagram *up)
{
	const bool is_open = own_is_open(own, up->now_ms);

	if (!place_of(session, &up->from)) {
		ownership_account_earn(&own->account, up->octets);
		note_from(session, OWNERSHIP_FROM_OWN);
	}
	if (!is_open) {
		own->open = true;
		own->answered = false;
		own->for_withheld = way == OWNERSHIP_OWN_WITHHELD;
	}
	if (!is_open || (own->for_withheld && own->answered))
		own->until = (uint16_t)(tick(up->now_ms) + OPEN_TICKS);
	if (!session->opened || !is_ahead(session->opened_until, up->now_ms) ||
	    (int16_t)(own->until - session->opened_until) > 0)
		session->opened_until = own->until;
	session->opened = true;
}

unsigned ownership_downlink(struct ownership *session, const struct ownership_datagram *down,
			    const struct ownership_purse *purse, struct ownership_pair to[static OWNERSHIP_WAYS_BACK],
			    unsigned *withheld)
{
	unsigned count = 0;

	*withheld = 0;
	if (session->has_proven)
		to[count++] = session->proven;
	for (unsigned i = 0; i < ownership_place_count(session); i++) {
		struct ownership_place *place = place_at(session, i);
		struct ownership_account account;

		if (!place->taken)
			continue;
		account = account_of(place);
		place->withheld = !ownership_account_pay(&account, &place->pair, down->octets, purse);
		if (place->withheld) {
			*withheld += ticks_since(place->last, down->now_ms) < OPEN_TICKS;
			continue;
		}
		account_set(place, &account);
		place->answered = true;
		to[count++] = place->pair;
	}
	return count;
}

/* The backend has answered a source where nobody else is. What the source may still get goes along to its place. */
static struct ownership_place *make_known(struct ownership *session, struct ownership_own *own,
					  const struct ownership_datagram *down)
{
	struct ownership_place *place = place_of(session, &down->from);

	if (!place) {
		place = place_worst(session, down->now_ms, true);
		*place = (struct ownership_place){ .pair = down->from, .taken = true, .last = tick(down->now_ms) };
		account_set(place, &own->account);
		own->account = (struct ownership_account){ 0, 0 };
		if (session->last_from == OWNERSHIP_FROM_OWN)
			session->last_from = from_place(session, place);
	}
	place->known = place->answered = true;
	return place;
}

bool ownership_own_downlink(struct ownership *session, struct ownership_own *own, const struct ownership_purse *purse,
			    const struct ownership_datagram *down)
{
	struct ownership_account account;
	struct ownership_place *place;
	bool paid;

	own->answered = true;
	if (!own->for_withheld)
		own->open = false;
	if (!session)
		return ownership_account_pay(&own->account, &down->from, down->octets, purse);
	if (ownership_is_proven(session, &down->from))
		return true;
	place = make_known(session, own, down);
	account = account_of(place);
	paid = ownership_account_pay(&account, &down->from, down->octets, purse);
	account_set(place, &account);
	place->withheld = !paid;
	return paid;
}

/* True: the downlink has gone to where the session spoke last. */
static bool has_reached_last(const struct ownership *session, const struct ownership_pair *own)
{
	const struct ownership_place *place;

	if (session->last_from < OWNERSHIP_FROM_PLACE)
		return session->last_from == OWNERSHIP_FROM_PROVEN && (!own || ownership_is_proven(session, own));
	place = &ownership_places(session)[session->last_from - OWNERSHIP_FROM_PLACE];
	return place->taken && !place->withheld && (!own || ownership_pair_equal(&place->pair, own));
}

enum ownership_move ownership_settle_move(struct ownership *session, const struct ownership_pair *own)
{
	const bool first = !session->moved;

	if (!session->moves || !has_reached_last(session, own))
		return OWNERSHIP_STAYS;
	session->moves = false;
	session->moved = true;
	return first ? OWNERSHIP_MOVED_FIRST : OWNERSHIP_MOVED;
}

#include "ownership.h"

#define BUDGET_MAX ((UINT32_C(1) << 27) - 1)

static bool same_device(const struct ownership_peer *a, const struct ownership_peer *b)
{
	return addr_equal(&a->device, &b->device);
}

static bool reached(uint32_t now_ms, uint32_t then_ms)
{
	return (int32_t)(now_ms - then_ms) >= 0;
}

static void guest_sends(struct ownership_guest *guest, uint32_t octets)
{
	uint64_t budget = guest->budget + (uint64_t)octets * OWNERSHIP_AMPLIFICATION;

	guest->budget = (budget < BUDGET_MAX ? budget : BUDGET_MAX) & BUDGET_MAX;
	if (guest->answered && guest->rounds < OWNERSHIP_ROUNDS)
		guest->rounds++;
	guest->answered = guest->stale = false;
}

/* Whether a downlink may go there. One that may not still counts as an answer. */
static bool guest_gets(struct ownership_guest *guest, uint32_t octets)
{
	guest->answered = true;
	if (octets > guest->budget)
		return false;
	guest->budget = (guest->budget - octets) & BUDGET_MAX;
	return true;
}

void ownership_init(struct ownership *flow, const struct ownership_peer *owner, bool proven)
{
	*flow = (struct ownership){ .owner.peer = *owner, .owner_proven = proven };
}

static bool is_proven(const struct ownership *flow, const struct ownership_peer *from)
{
	if (flow->owner_proven)
		return same_device(from, &flow->owner.peer);
	return flow->proven_replaced && same_device(from, &flow->proven);
}

static void begin_contest(struct ownership *flow, const struct ownership_times *times, uint32_t now_ms,
			  bool *contest_began)
{
	flow->contest = true;
	if (flow->contests < UINT8_MAX)
		flow->contests++;
	flow->contest_until_ms = now_ms + times->contest_ms;
	*contest_began = true;
}

/* Keeps the owner as a replaced one, before another takes its place. */
static void replace_owner(struct ownership *flow, bool recent)
{
	if (flow->owner_proven) {
		flow->proven = flow->owner.peer;
		flow->proven_replaced = true;
		flow->proven_left = OWNERSHIP_COPIES;
	} else {
		flow->former = flow->owner;
		flow->former_left = recent ? OWNERSHIP_COPIES : 0;
	}
}

/* The owner spoke although there is a claimant. The claimant is believed only once it is answered anew. If it was
 * answered before, its device may have been here and gone back, and it does not stand in the way of a further
 * address. */
static void refute_claim(struct ownership *flow, const struct ownership_times *times, uint32_t now_ms)
{
	if (flow->claimant.answered)
		flow->claim_last_ms = now_ms - times->settle_ms;
	flow->claimant.stale = true;
	flow->claimant.refuted = true;
}

static bool is_believed(const struct ownership_guest *claimant)
{
	return claimant->answered && !claimant->stale;
}

static enum ownership_way proven_speaks(struct ownership *flow, const struct ownership_peer *from)
{
	if (!flow->owner_proven) {
		replace_owner(flow, true);
		flow->owner_proven = true;
		flow->proven_replaced = false;
	}
	flow->owner = (struct ownership_guest){ .peer = *from };
	return OWNERSHIP_HOME;
}

static enum ownership_way owner_speaks(struct ownership *flow, const struct ownership_peer *from, uint32_t octets,
				       uint32_t now_ms)
{
	flow->owner.peer = *from;
	guest_sends(&flow->owner, octets);
	flow->owner_last_ms = now_ms;
	return OWNERSHIP_HOME;
}

/* An address that comes back keeps its account. */
static struct ownership_guest guest_arrives(struct ownership *flow, const struct ownership_peer *from)
{
	struct ownership_guest guest = { .peer = *from };

	if (flow->former_left && same_device(from, &flow->former.peer)) {
		guest = flow->former;
		guest.peer = *from;
		flow->former_left = 0;
	}
	return guest;
}

static enum ownership_way claim(struct ownership *flow, const struct ownership_guest *guest, uint32_t octets,
				uint32_t now_ms)
{
	flow->claimant = *guest;
	guest_sends(&flow->claimant, octets);
	flow->claimed = true;
	flow->claim_last_ms = now_ms;
	return OWNERSHIP_HOME;
}

/* The claimant becomes the owner. */
static void promote(struct ownership *flow, const struct ownership_times *times, uint32_t now_ms)
{
	replace_owner(flow, !reached(now_ms, flow->owner_last_ms + times->contest_ms));
	flow->owner = flow->claimant;
	flow->owner.refuted = false;
	flow->owner_proven = false;
	flow->owner_last_ms = flow->claim_last_ms;
	flow->claimed = false;
}

static enum ownership_way claimant_speaks(struct ownership *flow, const struct ownership_times *times,
					  const struct ownership_peer *from, uint32_t octets, uint32_t now_ms)
{
	if (is_believed(&flow->claimant)) {
		promote(flow, times, now_ms);
		return owner_speaks(flow, from, octets, now_ms);
	}
	flow->claimant.peer = *from;
	guest_sends(&flow->claimant, octets);
	flow->claim_last_ms = now_ms;
	return OWNERSHIP_HOME;
}

static enum ownership_way further_speaks(struct ownership *flow, const struct ownership_times *times,
					 const struct ownership_peer *from, uint32_t octets, uint32_t now_ms,
					 bool *contest_began)
{
	struct ownership_guest guest;

	if (flow->claimed && !is_believed(&flow->claimant) &&
	    !reached(now_ms, flow->claim_last_ms + times->settle_ms)) {
		begin_contest(flow, times, now_ms, contest_began);
		return OWNERSHIP_OWN;
	}
	guest = guest_arrives(flow, from);
	if (flow->claimed && is_believed(&flow->claimant)) {
		promote(flow, times, now_ms);
	} else if (flow->claimed && flow->claimant.refuted) {
		flow->former = flow->claimant;
		flow->former_left = OWNERSHIP_COPIES;
	}
	return claim(flow, &guest, octets, now_ms);
}

enum ownership_way ownership_uplink(struct ownership *flow, const struct ownership_times *times,
				    const struct ownership_peer *from, uint32_t octets, uint32_t now_ms,
				    bool *contest_began)
{
	*contest_began = false;
	if (flow->contest && reached(now_ms, flow->contest_until_ms))
		flow->contest = flow->claimed = false;
	if (is_proven(flow, from)) {
		if (flow->claimed)
			refute_claim(flow, times, now_ms);
		return proven_speaks(flow, from);
	}
	if (flow->contest)
		return OWNERSHIP_OWN;
	if (same_device(from, &flow->owner.peer)) {
		if (flow->claimed && flow->claimant.refuted && !flow->claimant.stale) {
			begin_contest(flow, times, now_ms, contest_began);
			return OWNERSHIP_OWN;
		}
		if (flow->claimed)
			refute_claim(flow, times, now_ms);
		return owner_speaks(flow, from, octets, now_ms);
	}
	if (flow->claimed && same_device(from, &flow->claimant.peer))
		return claimant_speaks(flow, times, from, octets, now_ms);
	return further_speaks(flow, times, from, octets, now_ms, contest_began);
}

unsigned ownership_downlink(struct ownership *flow, uint32_t octets,
			    struct ownership_peer to[static OWNERSHIP_WAYS_BACK])
{
	unsigned count = 0;

	if (flow->owner_proven || guest_gets(&flow->owner, octets) || flow->owner.rounds == OWNERSHIP_ROUNDS)
		to[count++] = flow->owner.peer;
	if (flow->proven_replaced && flow->proven_left) {
		flow->proven_left--;
		to[count++] = flow->proven;
	}
	if (flow->claimed && guest_gets(&flow->claimant, octets))
		to[count++] = flow->claimant.peer;
	if (flow->former_left && guest_gets(&flow->former, octets)) {
		flow->former_left--;
		to[count++] = flow->former.peer;
	}
	return count;
}

void ownership_prove(struct ownership *flow, const struct ownership_peer *source)
{
	flow->owner = (struct ownership_guest){ .peer = *source };
	flow->owner_proven = true;
	flow->proven_replaced = false;
	flow->former_left = 0;
	flow->claimed = false;
}

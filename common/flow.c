#include "flow.h"

enum { OWNER_ROUNDS_PROVEN = 2 };

static bool same_device(const struct flow_peer *a, const struct flow_peer *b)
{
	return addr_equal(&a->device, &b->device);
}

static uint32_t add_saturating(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static bool within_limit(uint32_t up, uint32_t down, uint32_t octets)
{
	return (uint64_t)down + octets <= (uint64_t)up * FLOW_AMPLIFICATION;
}

static bool reached(uint32_t now_ms, uint32_t then_ms)
{
	return (int32_t)(now_ms - then_ms) >= 0;
}

void flow_init(struct flow_state *flow, const struct flow_peer *owner, bool proven)
{
	*flow = (struct flow_state){ .owner = *owner, .owner_proven = proven };
}

static enum flow_way owner_speaks(struct flow_state *flow, const struct flow_peer *from, uint32_t octets)
{
	flow->owner = *from;
	if (!flow->owner_proven) {
		if (flow->owner_answered && ++flow->owner_rounds >= OWNER_ROUNDS_PROVEN)
			flow->owner_proven = true;
		flow->owner_up = add_saturating(flow->owner_up, octets);
	}
	flow->owner_answered = false;
	flow->owner_last = octets > UINT16_MAX ? UINT16_MAX : (uint16_t)octets;
	return FLOW_HOME;
}

static enum flow_way claim(struct flow_state *flow, const struct flow_peer *from, uint32_t octets, uint32_t now_ms)
{
	flow->claimant = *from;
	flow->claimed = true;
	flow->claim_former = false;
	flow->claim_answered = false;
	flow->claim_up = octets;
	flow->claim_down = 0;
	flow->claim_last_ms = now_ms;
	return FLOW_HOME;
}

/* The claimant becomes the owner; the owner takes its place. */
static void promote(struct flow_state *flow)
{
	struct flow_peer former = flow->owner;
	bool proven = flow->owner_proven;
	uint32_t up = proven ? flow->owner_last : flow->owner_up;
	uint32_t down = proven ? 0 : flow->owner_down;

	flow->owner = flow->claimant;
	flow->owner_proven = false;
	flow->owner_rounds = 0;
	flow->owner_answered = true;
	flow->owner_up = flow->claim_up;
	flow->owner_down = flow->claim_down;
	flow->owner_last = 0;

	flow->claimant = former;
	flow->claim_former = true;
	flow->claim_answered = false;
	flow->claim_up = up;
	flow->claim_down = down;
}

static void begin_contest(struct flow_state *flow, const struct flow_times *times, uint32_t now_ms, bool *contest_began)
{
	flow->claimed = false;
	flow->contest = true;
	flow->contest_until_ms = now_ms + times->contest_ms;
	*contest_began = true;
}

enum flow_way flow_uplink(struct flow_state *flow, const struct flow_times *times, const struct flow_peer *from, uint32_t octets,
			  uint32_t now_ms, bool *contest_began)
{
	bool live_claim = flow->claimed && !flow->claim_former;

	*contest_began = false;
	if (flow->contest && reached(now_ms, flow->contest_until_ms))
		flow->contest = false;

	if (same_device(from, &flow->owner)) {
		if (live_claim)
			begin_contest(flow, times, now_ms, contest_began);
		return owner_speaks(flow, from, octets);
	}
	if (flow->contest)
		return FLOW_OWN;
	if (!live_claim)
		return claim(flow, from, octets, now_ms);
	if (same_device(from, &flow->claimant)) {
		if (flow->claim_answered) {
			promote(flow);
			return owner_speaks(flow, from, octets);
		}
		flow->claimant = *from;
		flow->claim_up = add_saturating(flow->claim_up, octets);
		flow->claim_last_ms = now_ms;
		return FLOW_HOME;
	}
	if (flow->claim_answered) {
		promote(flow);
		return claim(flow, from, octets, now_ms);
	}
	if (reached(now_ms, flow->claim_last_ms + times->settle_ms))
		return claim(flow, from, octets, now_ms);
	begin_contest(flow, times, now_ms, contest_began);
	return FLOW_OWN;
}

unsigned flow_downlink(struct flow_state *flow, uint32_t octets, struct flow_peer to[static 2])
{
	unsigned count = 0;

	flow->owner_answered = true;
	if (flow->owner_proven) {
		to[count++] = flow->owner;
	} else if (within_limit(flow->owner_up, flow->owner_down, octets)) {
		flow->owner_down += octets;
		to[count++] = flow->owner;
	}
	if (!flow->claimed)
		return count;
	flow->claim_answered = !flow->claim_former;
	if (within_limit(flow->claim_up, flow->claim_down, octets)) {
		flow->claim_down += octets;
		to[count++] = flow->claimant;
	}
	return count;
}

void flow_prove(struct flow_state *flow, const struct flow_peer *source)
{
	if (!same_device(source, &flow->owner)) {
		flow->owner = *source;
		flow->owner_last = 0;
	}
	flow->owner_proven = true;
	flow->claimed = false;
}

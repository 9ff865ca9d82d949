#include "flows/flows_view.h"

struct visit {
	const struct flows_filter *filter;
	uint32_t now_ms;
	struct flow_description *out;
	size_t limit, matched;
};

static bool is_from(const struct ownership_peer *peer, const struct addr *from)
{
	return memcmp(peer->device.ip, from->ip, sizeof from->ip) == 0 &&
	       (from->port == 0 || peer->device.port == from->port);
}

static bool is_claimed(const struct flow *flow)
{
	return flow->kind == FLOW_CID && flow->ownership.claimed;
}

static bool filter_passes(const struct flows_filter *filter, const struct flow *flow)
{
	if (filter->cid && (flow->cid_len != filter->cid_len || memcmp(flow->cid, filter->cid, filter->cid_len) != 0))
		return false;
	return !filter->from || is_from(&flow->ownership.owner.peer, filter->from) ||
	       (is_claimed(flow) && is_from(&flow->ownership.claimant.peer, filter->from));
}

static void describe(const struct flow *flow, uint32_t now_ms, struct flow_description *out)
{
	const struct ownership *ownership = &flow->ownership;

	*out = (struct flow_description){
		.kind = (enum flow_kind)flow->kind,
		.pool = flow->pool,
		.backend = flow->backend,
		.trial = flow->trial,
		.cid_len = flow->cid_len,
		.endpoint = flow->endpoint,
		.backend_addr = flow->backend_addr,
		.owner = ownership->owner.peer,
		.claimant = ownership->claimant.peer,
		.owner_proven = ownership->owner_proven,
		.claimed = is_claimed(flow),
		/* The flag of a contest that is over stays until the next uplink. */
		.contest = flow->kind == FLOW_CID && ownership->contest &&
			   (int32_t)(ownership->contest_until_ms - now_ms) > 0,
		.created_ms = flow->created_ms,
		.copies = flow->copies,
		.contests = ownership->contests,
		.up_ms = flow->last_down ? flow->turned_ms : flow->last_ms,
		.down_ms = flow->last_down ? flow->last_ms : flow->turned_ms,
		.replied = flow->replied,
	};
	if (flow->kind == FLOW_CID) {
		out->has_proven = ownership->proven_replaced && ownership->proven_left > 0;
		out->has_former = ownership->former_left > 0;
		out->proven = ownership->proven;
		out->former = ownership->former.peer;
	}
	memcpy(out->cid, flow->cid, flow->cid_len);
}

static void on_flow(void *ctx, const struct flow *flow)
{
	struct visit *visit = ctx;

	if (!filter_passes(visit->filter, flow))
		return;
	if (visit->matched < visit->limit)
		describe(flow, visit->now_ms, &visit->out[visit->matched]);
	visit->matched++;
}

size_t flows_describe(struct flows *flows, const struct flows_filter *filter, uint32_t now_ms,
		      struct flow_description *out, size_t limit)
{
	struct visit visit = { filter, now_ms, out, limit, 0 };

	flows_visit(flows, on_flow, &visit);
	return visit.matched;
}

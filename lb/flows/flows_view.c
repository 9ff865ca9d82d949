#include "flows/flows_view.h"

struct visit {
	const struct flows_filter *filter;
	struct flow_description *out;
	size_t limit, matched;
};

static bool is_from(const struct ownership_pair *pair, const struct addr *from)
{
	return memcmp(pair->device.ip, from->ip, sizeof from->ip) == 0 &&
	       (from->port == 0 || pair->device.port == from->port);
}

/* The place with this number. NULL: it is free, or there is none. */
static const struct ownership_place *place_at(const struct flow *flow, unsigned at)
{
	const struct ownership_place *place;

	if (flow->kind != FLOW_CID || at >= ownership_place_count(&flow->session))
		return NULL;
	place = &ownership_places(&flow->session)[at];
	return place->taken ? place : NULL;
}

/* NULL: none is known. */
static const struct ownership_pair *device_of(const struct flow *flow)
{
	if (flow->kind != FLOW_CID)
		return &flow->source;
	return flow->session.has_proven ? &flow->session.proven : NULL;
}

unsigned flow_pairs(const struct flow *flow, struct ownership_pair pairs[static OWNERSHIP_WAYS_BACK])
{
	const struct ownership_pair *device = device_of(flow);
	unsigned count = 0;

	if (device)
		pairs[count++] = *device;
	for (unsigned i = 0; i < OWNERSHIP_PLACES_HOME; i++) {
		const struct ownership_place *place = place_at(flow, i);

		if (place)
			pairs[count++] = place->pair;
	}
	return count;
}

static bool knows(const struct flow *flow, const struct addr *from)
{
	struct ownership_pair pairs[OWNERSHIP_WAYS_BACK];
	const unsigned count = flow_pairs(flow, pairs);

	for (unsigned i = 0; i < count; i++)
		if (is_from(&pairs[i], from))
			return true;
	return false;
}

static uint32_t silent_ms(const struct flow *flow, uint32_t now_ms)
{
	const uint32_t ms = now_ms - flow_up_ms(flow);

	/* A worker's clock may be ahead. */
	return ms > INT32_MAX ? 0 : ms;
}

static bool filter_passes(const struct flows_filter *filter, const struct flow *flow)
{
	if (filter->cid && (flow->cid_len != filter->cid_len || memcmp(flow->cid, filter->cid, filter->cid_len) != 0))
		return false;
	if (filter->older_ms && silent_ms(flow, filter->now_ms) <= filter->older_ms)
		return false;
	return !filter->from || knows(flow, filter->from);
}

static uint32_t rank(const struct flow *flow, const struct flows_filter *filter)
{
	switch (filter->order) {
	case FLOWS_MOST_MOVES:
		return flow->moves;
	case FLOWS_MOST_OCTETS:
		return flow->octets;
	case FLOWS_LONGEST_SILENT:
		return silent_ms(flow, filter->now_ms);
	case FLOWS_ANY_ORDER:
		break;
	}
	return 0;
}

static void describe(const struct flow *flow, struct flow_description *out)
{
	const struct ownership_pair *device = device_of(flow);
	const uint32_t last_ms = atomic_load_explicit(&flow->last_ms, memory_order_relaxed);

	*out = (struct flow_description){
		.kind = (enum flow_kind)flow->kind,
		.class = (enum flow_class)flow->class,
		.pool = flow->pool,
		.backend = flow->backend,
		.cid_len = flow->cid_len,
		.endpoint = flow->endpoint,
		.backend_addr = flow->backend_addr,
		.has_device = device != NULL,
		.created_ms = flow->created_ms,
		.copies = flow->copies,
		.withheld = flow->withheld,
		.moves = flow->moves,
		.octets = flow->octets,
		.up_ms = flow_up_ms(flow),
		.down_ms = flow->last_down ? last_ms : flow->turned_ms,
		.replied = flow->replied,
	};
	if (device)
		out->device = *device;
	for (unsigned i = 0; i < OWNERSHIP_PLACES_HOME; i++) {
		const struct ownership_place *place = place_at(flow, i);

		if (place)
			out->places[out->place_count++] =
				(struct flow_place){ place->pair, place->answered, place->known, place->withheld };
	}
	memcpy(out->cid, flow->cid, flow->cid_len);
}

static void swap(struct flow_description *a, struct flow_description *b)
{
	const struct flow_description was = *a;

	*a = *b;
	*b = was;
}

/* The first `count` of visit->out are a heap: none ranks below its parent, so the first ranks lowest. Puts right the
 * one at `at`, whose rank has grown. */
static void sink(struct flow_description *heap, size_t count, size_t at)
{
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && heap[child + 1].rank < heap[child].rank)
			child++;
		if (heap[at].rank <= heap[child].rank)
			return;
		swap(&heap[at], &heap[child]);
	}
}

static void rise(struct flow_description *heap, size_t at)
{
	for (; at > 0 && heap[at].rank < heap[(at - 1) / 2].rank; at = (at - 1) / 2)
		swap(&heap[at], &heap[(at - 1) / 2]);
}

static void on_flow(void *ctx, const struct flow *flow)
{
	struct visit *visit = ctx;
	uint32_t ranks;

	if (!filter_passes(visit->filter, flow))
		return;
	ranks = rank(flow, visit->filter);
	if (visit->matched < visit->limit) {
		describe(flow, &visit->out[visit->matched]);
		visit->out[visit->matched].rank = ranks;
		rise(visit->out, visit->matched);
	} else if (visit->limit > 0 && ranks > visit->out[0].rank) {
		describe(flow, &visit->out[0]);
		visit->out[0].rank = ranks;
		sink(visit->out, visit->limit, 0);
	}
	visit->matched++;
}

size_t flows_describe(struct flows *flows, const struct flows_filter *filter, struct flow_description *out,
		      size_t limit)
{
	struct visit visit = { filter, out, limit, 0 };

	flows_visit(flows, on_flow, &visit);
	/* The lowest of the heap goes to its end, again and again. */
	for (size_t left = visit.matched < limit ? visit.matched : limit; filter->order && left > 1;) {
		swap(&out[0], &out[--left]);
		sink(out, left, 0);
	}
	return visit.matched;
}

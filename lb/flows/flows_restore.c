#include "flows/flows_restore.h"

#include <stdlib.h>
#include <string.h>

#include "common/limit.h"
#include "flows/flows_priv.h"

/* FNV-1a. */
static uint64_t mix(uint64_t hash, size_t value)
{
	return (hash ^ value) * UINT64_C(0x100000001b3);
}

uint64_t flows_layout(void)
{
	static const size_t facts[] = {
		sizeof(struct flow),
		offsetof(struct flow, last_ms),
		offsetof(struct flow, turned_ms),
		offsetof(struct flow, created_ms),
		offsetof(struct flow, octets),
		offsetof(struct flow, cid_len),
		offsetof(struct flow, kind),
		offsetof(struct flow, backend),
		offsetof(struct flow, class),
		offsetof(struct flow, rounds),
		offsetof(struct flow, copies),
		offsetof(struct flow, moves),
		offsetof(struct flow, pause),
		offsetof(struct flow, cid),
		offsetof(struct flow, endpoint),
		offsetof(struct flow, session),
		offsetof(struct flow, handshake),
		offsetof(struct flow, own),
		sizeof(struct ownership),
		offsetof(struct ownership, places),
		sizeof(struct ownership_place),
		sizeof(struct ownership_own),
		sizeof(struct handshake),
		offsetof(struct handshake, resume),
		offsetof(struct handshake, cid),
		offsetof(struct handshake, account),
		sizeof(struct hello),
		FLOW_SOURCE,
		FLOW_CLASSES,
		LBCID_MAX_OCTETS,
		OWNERSHIP_PLACES_HOME,
	};
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		hash = mix(hash, facts[i]);
	return hash;
}

static bool has_handshake(const struct flow *flow)
{
	return flow->kind == FLOW_ADDRESS || flow->kind == FLOW_HELLO;
}

bool flows_is_sound(const struct flow *image)
{
	if (image->kind > FLOW_SOURCE || image->class >= FLOW_CLASSES || image->cid_len > LBCID_MAX_OCTETS ||
	    image->rounds > FLOW_ROUNDS || image->dead)
		return false;
	if ((image->kind == FLOW_CID || image->kind == FLOW_SOURCE) && image->cid_len == 0)
		return false;
	if (image->kind == FLOW_CID && image->session.has_many && image->session.many)
		return false;
	return !has_handshake(image) || image->handshake.cid.len <= HELLO_CID_MAX;
}

void flows_visit_pairs(struct flow *image, struct ownership_place *many,
		       void (*visit)(void *ctx, struct ownership_pair *pair), void *ctx)
{
	struct ownership_place *places = many ? many : image->session.places;

	if (image->kind != FLOW_CID) {
		visit(ctx, &image->source);
		return;
	}
	if (image->session.has_proven)
		visit(ctx, &image->session.proven);
	for (unsigned i = 0; i < ownership_place_count(&image->session); i++)
		if (places[i].taken)
			visit(ctx, &places[i].pair);
}

/* Whose prefix has a share of class handshake. */
static struct addr first_source(const struct flow *flow)
{
	const struct ownership_place *places;

	if (flow->kind != FLOW_CID)
		return flow->source.device;
	if (flow->session.has_proven)
		return flow->session.proven.device;
	places = ownership_places(&flow->session);
	for (unsigned i = 0; i < ownership_place_count(&flow->session); i++)
		if (places[i].taken)
			return places[i].pair.device;
	return flow->endpoint;
}

static bool is_finished(const struct flow *flow)
{
	return flow->kind == FLOW_CID ? flow->session.has_proven : has_handshake(flow) && flow->handshake.over;
}

static void enlist(struct flows *flows, struct flow *flow, enum flow_class class, uint32_t now_ms)
{
	const struct addr source = first_source(flow);
	struct flow_classes *classes = &flows->pools[flow->pool].classes;
	struct flow *leaving, *last = NULL;

	pthread_mutex_lock(&flows->arena.lock);
	leaving = flow_classes_add(classes, flow, limit_prefix_hash(&flows->hash_key, &source), now_ms);
	if (is_finished(flow))
		flow_classes_finish(classes, flow);
	if (class != FLOW_CLASS_HANDSHAKE)
		last = flow_classes_move(classes, flow, class, now_ms);
	pthread_mutex_unlock(&flows->arena.lock);
	if (class != FLOW_CLASS_HANDSHAKE)
		atomic_fetch_add_explicit(&flows->backends[flow->backend], 1, memory_order_relaxed);
	flows_evict(flows, leaving);
	flows_evict(flows, last);
}

/* False: out of memory. */
static bool fill(struct flow *flow, const struct flow *image, const struct ownership_place *many)
{
	const uint32_t number = flow->number;

	memcpy(flow, image, sizeof *flow);
	flow->number = number;
	flow->dead = true;
	flow->class = FLOW_CLASS_HANDSHAKE;
	flow->member_at = FLOW_CLASS_NONE;
	atomic_store_explicit(&flow->locked, false, memory_order_relaxed);
	if (has_handshake(flow)) {
		flow->handshake.hello = (struct hello){ .known = 0 };
		flow->handshake.reading = (struct hello_cid){ .len = 0 };
	}
	if (!many)
		return true;
	flow->session.many = flows_many_places();
	if (!flow->session.many)
		return false;
	memcpy(flow->session.many, many, OWNERSHIP_PLACES_HOME * sizeof *many);
	return true;
}

static bool index_both(struct flows *flows, struct flow *flow)
{
	const struct flow_key key = flows_key_of(flow);

	if (!flow->handed && !flows_index_end(flows, flow))
		return false;
	if (flows_index_key(flows, flow, &key) == flow)
		return true;
	if (!flow->handed)
		flows_unindex_end(flows, flow);
	return false;
}

bool flows_restore(struct flows *flows, const struct flow *image, const struct ownership_place *many, uint32_t now_ms)
{
	struct flow *flow = flow_arena_take(&flows->arena);

	if (!flow)
		return false;
	if (!fill(flow, image, many) || !index_both(flows, flow)) {
		if (many)
			free(flow->session.many);
		flow_arena_return(&flows->arena, flow);
		return false;
	}
	flow->dead = false;
	enlist(flows, flow, (enum flow_class)image->class, now_ms);
	return true;
}

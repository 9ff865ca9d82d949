#include "flows/flow_classes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "flows/flow_arena.h"

#define NONE UINT32_MAX

/* One flow of class handshake, and while it is unfinished its neighbours of the same prefix. */
struct flow_handshake {
	uint32_t flow; /* number */
	uint32_t prefix;
	uint32_t older, newer;
	bool finished;
};

struct flow_prefix {
	uint64_t hash;
	uint32_t count, unfinished;
	uint32_t oldest, newest; /* of those unfinished */
	uint32_t next;           /* in its bucket, or in the list of free ones */
};

const char *flow_class_name(enum flow_class class)
{
	static const char *const names[FLOW_CLASSES] = {
		[FLOW_CLASS_HANDSHAKE] = "handshake", [FLOW_CLASS_ADDRESS] = "address", [FLOW_CLASS_CID] = "cid"
	};

	return names[class];
}

void flow_classes_init(struct flow_classes *classes, const struct flow_arena *arena)
{
	*classes = (struct flow_classes){ .arena = arena, .seed = 1 };
}

void flow_classes_destroy(struct flow_classes *classes)
{
	free(classes->members);
	free(classes->handshakes);
	free(classes->prefixes);
	free(classes->buckets);
}

static uint32_t *bucket_of(const struct flow_classes *classes, uint64_t hash)
{
	return &classes->buckets[hash & classes->bucket_mask];
}

static uint32_t prefix_find(const struct flow_classes *classes, uint64_t hash)
{
	uint32_t at = *bucket_of(classes, hash);

	while (at != NONE && classes->prefixes[at].hash != hash)
		at = classes->prefixes[at].next;
	return at;
}

static uint32_t prefix_take(struct flow_classes *classes, uint64_t hash)
{
	uint32_t at = prefix_find(classes, hash), *bucket = bucket_of(classes, hash);

	if (at != NONE)
		return at;
	at = classes->prefix_free;
	if (at != NONE)
		classes->prefix_free = classes->prefixes[at].next;
	else
		at = classes->prefix_used++;
	classes->prefixes[at] = (struct flow_prefix){ hash, 0, 0, NONE, NONE, *bucket };
	*bucket = at;
	return at;
}

static void prefix_give_back(struct flow_classes *classes, uint32_t at)
{
	struct flow_prefix *prefix = &classes->prefixes[at];
	uint32_t *link = bucket_of(classes, prefix->hash);

	while (*link != at)
		link = &classes->prefixes[*link].next;
	*link = prefix->next;
	prefix->next = classes->prefix_free;
	classes->prefix_free = at;
}

static void handshake_put(struct flow_classes *classes, struct flow *flow, uint64_t hash)
{
	const uint32_t at = classes->counts[FLOW_CLASS_HANDSHAKE]++, of = prefix_take(classes, hash);
	struct flow_prefix *prefix = &classes->prefixes[of];

	classes->handshakes[at] = (struct flow_handshake){ flow->number, of, prefix->newest, NONE, false };
	if (prefix->newest != NONE)
		classes->handshakes[prefix->newest].newer = at;
	else
		prefix->oldest = at;
	prefix->newest = at;
	prefix->count++;
	prefix->unfinished++;
	flow->member_at = at;
}

/* What leads to an unfinished handshake from its older neighbour, and from its newer one. */
static uint32_t *link_newer(struct flow_classes *classes, const struct flow_handshake *handshake)
{
	return handshake->older == NONE ? &classes->prefixes[handshake->prefix].oldest
					: &classes->handshakes[handshake->older].newer;
}

static uint32_t *link_older(struct flow_classes *classes, const struct flow_handshake *handshake)
{
	return handshake->newer == NONE ? &classes->prefixes[handshake->prefix].newest
					: &classes->handshakes[handshake->newer].older;
}

/* A finished handshake is not in the list of its prefix. */
static void handshake_finish(struct flow_classes *classes, uint32_t at)
{
	struct flow_handshake *handshake = &classes->handshakes[at];

	if (handshake->finished)
		return;
	*link_newer(classes, handshake) = handshake->newer;
	*link_older(classes, handshake) = handshake->older;
	classes->prefixes[handshake->prefix].unfinished--;
	handshake->finished = true;
}

static void handshake_drop(struct flow_classes *classes, uint32_t at)
{
	struct flow_handshake *handshake = &classes->handshakes[at];
	const uint32_t last = --classes->counts[FLOW_CLASS_HANDSHAKE];

	handshake_finish(classes, at);
	if (--classes->prefixes[handshake->prefix].count == 0)
		prefix_give_back(classes, handshake->prefix);
	if (at == last)
		return;
	*handshake = classes->handshakes[last];
	flow_arena_at(classes->arena, handshake->flow)->member_at = at;
	if (!handshake->finished)
		*link_newer(classes, handshake) = *link_older(classes, handshake) = at;
}

void flow_classes_finish(struct flow_classes *classes, struct flow *flow)
{
	if (flow->member_at != FLOW_CLASS_NONE && flow->class == FLOW_CLASS_HANDSHAKE)
		handshake_finish(classes, flow->member_at);
}

/* Where a member of class cid or address is. The first is in front, the other behind. */
static uint32_t *member_at(const struct flow_classes *classes, enum flow_class class, uint32_t at)
{
	return &classes->members[class == FLOW_CLASS_CID ? at : classes->members_size - 1 - at];
}

static void member_put(struct flow_classes *classes, struct flow *flow, enum flow_class class)
{
	const uint32_t at = classes->counts[class]++;

	*member_at(classes, class, at) = flow->number;
	flow->member_at = at;
}

static void member_drop(struct flow_classes *classes, enum flow_class class, uint32_t at)
{
	const uint32_t last = *member_at(classes, class, --classes->counts[class]);

	*member_at(classes, class, at) = last;
	flow_arena_at(classes->arena, last)->member_at = at;
}

void flow_classes_remove(struct flow_classes *classes, struct flow *flow)
{
	if (flow->member_at == FLOW_CLASS_NONE)
		return;
	if (flow->class == FLOW_CLASS_HANDSHAKE)
		handshake_drop(classes, flow->member_at);
	else
		member_drop(classes, (enum flow_class)flow->class, flow->member_at);
	flow->member_at = FLOW_CLASS_NONE;
}

static struct flow *flow_at(const struct flow_classes *classes, enum flow_class class, uint32_t at)
{
	return flow_arena_at(classes->arena, class == FLOW_CLASS_HANDSHAKE ? classes->handshakes[at].flow
									   : *member_at(classes, class, at));
}

/* xorshift64* (Vigna, 2016). */
static uint32_t any_below(struct flow_classes *classes, uint32_t limit)
{
	classes->seed ^= classes->seed >> 12;
	classes->seed ^= classes->seed << 25;
	classes->seed ^= classes->seed >> 27;
	return (uint32_t)((classes->seed * UINT64_C(0x2545f4914f6cdd1d) >> 32) * limit >> 32);
}

static uint32_t silent_ms(const struct flow *flow, uint32_t now_ms)
{
	const uint32_t last_ms = atomic_load_explicit(&flow->last_ms, memory_order_relaxed);

	return (int32_t)(now_ms - last_ms) > 0 ? now_ms - last_ms : 0;
}

/* Who goes first: an unfinished handshake, and then whoever was silent longest. */
static uint64_t rank_at(const struct flow_classes *classes, enum flow_class class, uint32_t at, uint32_t now_ms)
{
	const bool unfinished = class == FLOW_CLASS_HANDSHAKE && !classes->handshakes[at].finished;

	return (uint64_t)unfinished << 32 | silent_ms(flow_at(classes, class, at), now_ms);
}

/* The member that goes first, out of all or of a sample. It is in no class any more. */
static struct flow *take_silent(struct flow_classes *classes, enum flow_class class, uint32_t now_ms)
{
	const uint32_t count = classes->counts[class];
	const uint32_t looks = count < FLOW_CLASS_SAMPLE ? count : FLOW_CLASS_SAMPLE;
	uint32_t sample[FLOW_CLASS_SAMPLE], first = NONE;
	struct flow *leaving;

	for (uint32_t i = 0; i < looks; i++) {
		sample[i] = looks == count ? i : any_below(classes, count);
		__builtin_prefetch(&flow_at(classes, class, sample[i])->last_ms);
	}
	for (uint32_t i = 0; i < looks; i++)
		if (first == NONE ||
		    rank_at(classes, class, sample[i], now_ms) > rank_at(classes, class, first, now_ms))
			first = sample[i];
	if (first == NONE)
		return NULL;
	leaving = flow_at(classes, class, first);
	flow_classes_remove(classes, leaving);
	return leaving;
}

/* So many unfinished handshakes one prefix may have, if there is room for `left` more. */
static uint32_t share_of_prefix(uint32_t most, uint32_t left)
{
	const uint32_t least = FLOW_PREFIX_LEAST + most / FLOW_PREFIX_PART;

	return left / 2 > least ? left / 2 : least;
}

static struct flow *handshake_make_room(struct flow_classes *classes, uint64_t prefix, uint32_t now_ms)
{
	const uint32_t most = flow_handshakes_most(classes->most), count = classes->counts[FLOW_CLASS_HANDSHAKE];
	const uint32_t at = prefix_find(classes, prefix), left = count < most ? most - count : 0;
	const struct flow_prefix *of = at == NONE ? NULL : &classes->prefixes[at];
	struct flow *oldest;

	if (of && of->unfinished && count > most / 2 && of->unfinished + 1 > share_of_prefix(most, left)) {
		oldest = flow_at(classes, FLOW_CLASS_HANDSHAKE, of->oldest);
		flow_classes_remove(classes, oldest);
		return oldest;
	}
	return left ? NULL : take_silent(classes, FLOW_CLASS_HANDSHAKE, now_ms);
}

struct flow *flow_classes_give_way(struct flow_classes *classes, uint32_t now_ms)
{
	return take_silent(classes, FLOW_CLASS_HANDSHAKE, now_ms);
}

struct flow *flow_classes_add(struct flow_classes *classes, struct flow *flow, uint64_t prefix, uint32_t now_ms)
{
	struct flow *leaving = handshake_make_room(classes, prefix, now_ms);

	handshake_put(classes, flow, prefix);
	return leaving;
}

/* Which class gives way to a further flow of class `to`. Sessions with a CID never do for others, as long as there are
 * any. */
static enum flow_class giving_way(const struct flow_classes *classes, enum flow_class to)
{
	const uint32_t addresses = classes->counts[FLOW_CLASS_ADDRESS], cids = classes->counts[FLOW_CLASS_CID];

	if (to == FLOW_CLASS_ADDRESS)
		return addresses ? FLOW_CLASS_ADDRESS : FLOW_CLASS_CID;
	return cids && addresses <= classes->most / 2 ? FLOW_CLASS_CID : FLOW_CLASS_ADDRESS;
}

struct flow *flow_classes_move(struct flow_classes *classes, struct flow *flow, enum flow_class to, uint32_t now_ms)
{
	struct flow *leaving = NULL;

	if (flow->member_at == FLOW_CLASS_NONE || flow->class == to)
		return NULL;
	flow_classes_remove(classes, flow);
	if (classes->counts[FLOW_CLASS_ADDRESS] + classes->counts[FLOW_CLASS_CID] >= classes->most)
		leaving = take_silent(classes, giving_way(classes, to), now_ms);
	member_put(classes, flow, to);
	flow->class = (uint8_t)to;
	return leaving;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Puts everything that is in `from` into `to`, which has room. The handshakes of a prefix stay in order. */
static void take_over(struct flow_classes *to, struct flow_classes *from)
{
	for (uint32_t i = 0; i < from->counts[FLOW_CLASS_HANDSHAKE]; i++) {
		const struct flow_handshake *handshake = &from->handshakes[i];
		const struct flow_prefix *prefix = &from->prefixes[handshake->prefix];

		if (handshake->finished) {
			handshake_put(to, flow_at(from, FLOW_CLASS_HANDSHAKE, i), prefix->hash);
			handshake_finish(to, to->counts[FLOW_CLASS_HANDSHAKE] - 1);
		}
		for (uint32_t at = i; !handshake->finished && prefix->oldest == i && at != NONE;
		     at = from->handshakes[at].newer)
			handshake_put(to, flow_at(from, FLOW_CLASS_HANDSHAKE, at), prefix->hash);
	}
	for (enum flow_class class = FLOW_CLASS_ADDRESS; class < FLOW_CLASSES; class ++)
		for (uint32_t i = 0; i < from->counts[class]; i++)
			member_put(to, flow_at(from, class, i), class);
}

static int allocate(struct flow_classes *classes, uint32_t members, uint32_t handshakes)
{
	uint32_t buckets = 1;

	while (buckets < handshakes)
		buckets *= 2;
	classes->members_size = members;
	classes->bucket_mask = buckets - 1;
	classes->members = calloc(members, sizeof *classes->members);
	classes->handshakes = calloc(handshakes, sizeof *classes->handshakes);
	classes->prefixes = calloc(handshakes, sizeof *classes->prefixes);
	classes->buckets = malloc(buckets * sizeof *classes->buckets);
	if (!classes->members || !classes->handshakes || !classes->prefixes || !classes->buckets)
		return -ENOMEM;
	memset(classes->buckets, 0xff, buckets * sizeof *classes->buckets);
	classes->prefix_free = NONE;
	return 0;
}

int flow_classes_limit(struct flow_classes *classes, uint32_t max_flows)
{
	const uint32_t members = classes->counts[FLOW_CLASS_ADDRESS] + classes->counts[FLOW_CLASS_CID];
	struct flow_classes now = { .arena = classes->arena, .seed = classes->seed, .most = max_flows };

	if (max_flows == classes->most)
		return 0;
	if (allocate(&now, larger(max_flows, members) + 1,
		     larger(flow_handshakes_most(max_flows), classes->counts[FLOW_CLASS_HANDSHAKE]) + 1)) {
		flow_classes_destroy(&now);
		return -ENOMEM;
	}
	take_over(&now, classes);
	flow_classes_destroy(classes);
	*classes = now;
	return 0;
}

#include "rendezvous.h"

#include <stdbool.h>
#include <string.h>

/* T of rendezvous_score(): floor(2^32 * log2(1 + j / 256)). A table and not log2(), because libraries differ in the
 * last bit. */
static const uint64_t log2_table[257] = {
	0x00000000, 0x01709c46, 0x02dfca16, 0x044d8c45, 0x05b9e5a1,  0x0724d8ee, 0x088e68ea, 0x09f6984a, 0x0b5d69ba,
	0x0cc2dfe1, 0x0e26fd5c, 0x0f89c4c1, 0x10eb389f, 0x124b5b7e,  0x13aa2fdd, 0x1507b836, 0x1663f6fa, 0x17beee96,
	0x1918a16e, 0x1a7111df, 0x1bc84240, 0x1d1e34e3, 0x1e72ec11,  0x1fc66a0f, 0x2118b119, 0x2269c369, 0x23b9a32e,
	0x25085296, 0x2655d3c4, 0x27a228db, 0x28ed53f3, 0x2a375720,  0x2b803473, 0x2cc7edf5, 0x2e0e85a9, 0x2f53fd8f,
	0x309857a0, 0x31db95d0, 0x331dba0e, 0x345ec646, 0x359ebc5b,  0x36dd9e2e, 0x381b6d9b, 0x39582c78, 0x3a93dc98,
	0x3bce7fc7, 0x3d0817ce, 0x3e40a672, 0x3f782d72, 0x40aeae89,  0x41e42b6e, 0x4318a5d5, 0x444c1f6b, 0x457e99da,
	0x46b016ca, 0x47e097db, 0x49101eac, 0x4a3eacd6, 0x4b6c43f1,  0x4c98e58d, 0x4dc4933a, 0x4eef4e82, 0x501918ec,
	0x5141f3fb, 0x5269e12f, 0x5390e203, 0x54b6f7f1, 0x55dc246c,  0x570068e7, 0x5823c6d0, 0x59463f91, 0x5a67d492,
	0x5b888736, 0x5ca858df, 0x5dc74ae9, 0x5ee55eb1, 0x6002958c,  0x611ef0cf, 0x623a71cb, 0x635519ce, 0x646eea24,
	0x6587e414, 0x66a008e4, 0x67b759d6, 0x68cdd829, 0x69e3851b,  0x6af861e5, 0x6c0c6fbf, 0x6d1fafdc, 0x6e32236f,
	0x6f43cba7, 0x7054a9b0, 0x7164beb4, 0x72740bdb, 0x73829248,  0x74905320, 0x759d4f80, 0x76a98888, 0x77b4ff51,
	0x78bfb4f4, 0x79c9aa87, 0x7ad2e11f, 0x7bdb59cc, 0x7ce3159e,  0x7dea15a3, 0x7ef05ae4, 0x7ff5e66a, 0x80fab93b,
	0x81fed45c, 0x830238cf, 0x8404e793, 0x8506e1a7, 0x86082806,  0x8708bbaa, 0x88089d8a, 0x8907ce9c, 0x8a064fd5,
	0x8b042224, 0x8c01467b, 0x8cfdbdc7, 0x8df988f4, 0x8ef4a8ec,  0x8fef1e98, 0x90e8eadd, 0x91e20ea1, 0x92da8ac5,
	0x93d2602c, 0x94c98fb3, 0x95c01a39, 0x96b6009a, 0x97ab43af,  0x989fe450, 0x9993e355, 0x9a874192, 0x9b79ffdb,
	0x9c6c1f01, 0x9d5d9fd5, 0x9e4e8324, 0x9f3ec9bc, 0xa02e7469,  0xa11d83f4, 0xa20bf926, 0xa2f9d4c5, 0xa3e71796,
	0xa4d3c25e, 0xa5bfd5df, 0xa6ab52d9, 0xa7963a0d, 0xa8808c38,  0xa96a4a17, 0xaa537465, 0xab3c0bdc, 0xac241134,
	0xad0b8525, 0xadf26865, 0xaed8bba8, 0xafbe7fa0, 0xb0a3b501,  0xb1885c7a, 0xb26c76bb, 0xb3500472, 0xb433064b,
	0xb5157cf2, 0xb5f76912, 0xb6d8cb53, 0xb7b9a45e, 0xb899f4d8,  0xb979bd68, 0xba58feb2, 0xbb37b959, 0xbc15edfe,
	0xbcf39d44, 0xbdd0c7c9, 0xbead6e2d, 0xbf89910c, 0xc0653103,  0xc1404ead, 0xc21aeaa6, 0xc2f50585, 0xc3ce9fe3,
	0xc4a7ba58, 0xc5805578, 0xc65871da, 0xc7301011, 0xc80730b0,  0xc8ddd448, 0xc9b3fb6d, 0xca89a6ac, 0xcb5ed695,
	0xcc338bb6, 0xcd07c69d, 0xcddb87d5, 0xceaecfea, 0xcf819f66,  0xd053f6d2, 0xd125d6b7, 0xd1f73f9c, 0xd2c83208,
	0xd398ae81, 0xd468b58b, 0xd53847ac, 0xd6076564, 0xd6d60f38,  0xd7a445a8, 0xd8720935, 0xd93f5a5f, 0xda0c39a5,
	0xdad8a784, 0xdba4a47a, 0xdc703104, 0xdd3b4d9c, 0xde05fabf,  0xded038e6, 0xdf9a088a, 0xe0636a23, 0xe12c5e2b,
	0xe1f4e517, 0xe2bcff5d, 0xe384ad74, 0xe44befd0, 0xe512c6e5,  0xe5d93326, 0xe69f3506, 0xe764ccf6, 0xe829fb69,
	0xe8eec0cd, 0xe9b31d93, 0xea77122b, 0xeb3a9f01, 0xebfdc484,  0xecc08321, 0xed82db45, 0xee44cd59, 0xef0659cb,
	0xefc78104, 0xf088436d, 0xf148a170, 0xf2089b75, 0xf2c831e4,  0xf3876523, 0xf446359b, 0xf504a3af, 0xf5c2afc6,
	0xf6805a44, 0xf73da38d, 0xf7fa8c05, 0xf8b7140e, 0xf9733c0b,  0xfa2f045e, 0xfaea6d67, 0xfba57787, 0xfc60231e,
	0xfd1a708b, 0xfdd4602e, 0xfe8df263, 0xff47278a, 0x100000000,
};

/* A member that may hold slots, with what each of its scores needs. */
struct contender {
	uint64_t hash;
	uint64_t cost; /* of one unit of L: the inverse of the weight */
	uint16_t index;
};

struct rank {
	uint64_t score;
	uint16_t index;
};

static inline uint64_t mix(uint64_t hash, uint32_t slot)
{
	uint64_t z = hash + slot * UINT64_C(0x9e3779b97f4a7c15);

	/* The hash enters twice. If it entered once, two members would draw the same sequence, shifted, when their
	 * hashes are a multiple of the step apart. */
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9) + hash;
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint64_t minus_log2(uint64_t u)
{
	unsigned zeros = (unsigned)__builtin_clzll(u);
	uint64_t m = u << zeros;
	const uint64_t *t = &log2_table[m >> 55 & 0xff];

	return ((uint64_t)(zeros + 1) << 32) - t[0] - ((t[1] - t[0]) * (m >> 23 & UINT32_MAX) >> 32);
}

static inline uint64_t cost_of_weight(uint16_t weight)
{
	return ((1u << 26) - 1) / weight;
}

static inline uint64_t score(uint64_t hash, uint32_t slot, uint64_t cost)
{
	return UINT64_MAX - minus_log2(mix(hash, slot) | 1) * cost;
}

uint64_t rendezvous_member_hash(const struct siphash_key *key, const char *name)
{
	return siphash24(key, name, strlen(name));
}

uint64_t rendezvous_weigh(uint64_t member_hash, uint32_t slot, uint16_t weight)
{
	return weight ? score(member_hash, slot, cost_of_weight(weight)) : 0;
}

uint64_t rendezvous_score(const struct siphash_key *key, uint32_t slot, const struct rendezvous_member *member)
{
	return rendezvous_weigh(rendezvous_member_hash(key, member->name), slot, member->weight);
}

static void contender_init(struct contender *out, const struct siphash_key *key, const struct rendezvous_member *member,
			   size_t index)
{
	out->hash = rendezvous_member_hash(key, member->name);
	out->cost = member->weight ? cost_of_weight(member->weight) : 0;
	out->index = (uint16_t)index;
}

/* Inserts a contender into `top`, best first, if it belongs there. */
static inline void top_insert(struct rank top[RENDEZVOUS_DEPTH], uint64_t points, uint16_t index,
			      const struct rendezvous_member *members)
{
	size_t at = RENDEZVOUS_DEPTH;

	while (at > 0) {
		const struct rank *above = &top[at - 1];
		if (points < above->score ||
		    (points == above->score && strcmp(members[index].name, members[above->index].name) > 0))
			break;
		if (at < RENDEZVOUS_DEPTH)
			top[at] = *above;
		at--;
	}
	if (at < RENDEZVOUS_DEPTH)
		top[at] = (struct rank){ points, index };
}

static void top_clear(struct rank top[RENDEZVOUS_DEPTH])
{
	for (size_t i = 0; i < RENDEZVOUS_DEPTH; i++)
		top[i] = (struct rank){ 0, RENDEZVOUS_NONE };
}

static void top_store(struct rendezvous *out, uint32_t slot, const struct rank top[RENDEZVOUS_DEPTH])
{
	out->first[slot] = top[0].index;
	for (size_t i = 1; i < RENDEZVOUS_DEPTH; i++)
		out->further[slot][i - 1] = top[i].index;
}

static void top_of_all(struct rank top[RENDEZVOUS_DEPTH], uint32_t slot, const struct contender *contenders,
		       size_t count, const struct rendezvous_member *members)
{
	top_clear(top);
	for (size_t i = 0; i < count; i++) {
		uint64_t points = score(contenders[i].hash, slot, contenders[i].cost);
		if (points >= top[RENDEZVOUS_DEPTH - 1].score)
			top_insert(top, points, contenders[i].index, members);
	}
}

/* Writes the members with weight to `out`. */
static size_t contenders_of(struct contender out[RENDEZVOUS_MAX_MEMBERS], const struct siphash_key *key,
			    const struct rendezvous_member *members, size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (members[i].weight)
			contender_init(&out[found++], key, &members[i], i);
	}
	return found;
}

void rendezvous_build_slots(struct rendezvous *out, const struct siphash_key *key,
			    const struct rendezvous_member *members, size_t count, uint32_t first, uint32_t end)
{
	struct contender contenders[RENDEZVOUS_MAX_MEMBERS];
	struct rank top[RENDEZVOUS_DEPTH];
	size_t contending = contenders_of(contenders, key, members, count);

	for (uint32_t slot = first; slot < end; slot++) {
		top_of_all(top, slot, contenders, contending, members);
		top_store(out, slot, top);
	}
}

void rendezvous_build(struct rendezvous *out, const struct siphash_key *key, const struct rendezvous_member *members,
		      size_t count)
{
	rendezvous_build_slots(out, key, members, count, 0, RENDEZVOUS_SLOTS);
}

/* What differs between two sets of members. */
struct change {
	const struct rendezvous_member *members, *old_members;
	struct contender all[RENDEZVOUS_MAX_MEMBERS];  /* of the new set */
	struct contender olds[RENDEZVOUS_MAX_MEMBERS]; /* of the old set, by old index */
	/* By old index: the new index of a member that kept its name and weight, else RENDEZVOUS_NONE. */
	uint16_t stayed[RENDEZVOUS_MAX_MEMBERS];
	size_t count, fresh; /* in `all`; the first `fresh` of them are new or have another weight */
};

static void change_find(struct change *c, const struct siphash_key *key, size_t count, size_t old_count)
{
	for (size_t i = 0; i < old_count; i++) {
		contender_init(&c->olds[i], key, &c->old_members[i], i);
		c->stayed[i] = RENDEZVOUS_NONE;
	}
	c->count = contenders_of(c->all, key, c->members, count);
	c->fresh = 0;
	for (size_t i = 0; i < c->count; i++) {
		struct contender now = c->all[i];
		const struct rendezvous_member *member = &c->members[now.index];
		size_t was = 0;
		while (was < old_count &&
		       (c->olds[was].hash != now.hash || c->old_members[was].weight != member->weight ||
			strcmp(c->old_members[was].name, member->name) != 0))
			was++;
		if (was < old_count) {
			c->stayed[was] = now.index;
			continue;
		}
		c->all[i] = c->all[c->fresh];
		c->all[c->fresh++] = now;
	}
}

/* True if no member outside the old ranks can belong into `top`. Those outside stayed behind the last old rank. So
 * `top` is right if all of it is ahead of what stood there, or is that. */
static bool top_is_sure(const struct rank top[RENDEZVOUS_DEPTH], uint32_t slot, const struct change *c, uint16_t last)
{
	const struct rank *tail = &top[RENDEZVOUS_DEPTH - 1];

	if (last == RENDEZVOUS_NONE)
		return true; /* nobody was outside */
	uint64_t bound = score(c->olds[last].hash, slot, c->olds[last].cost);
	if (tail->score != bound)
		return tail->score > bound;
	return strcmp(c->members[tail->index].name, c->old_members[last].name) <= 0;
}

void rendezvous_update(struct rendezvous *out, const struct siphash_key *key, const struct rendezvous_member *members,
		       size_t count, const struct rendezvous_built *old)
{
	struct change c = { .members = members, .old_members = old->members };
	struct rank top[RENDEZVOUS_DEPTH];

	change_find(&c, key, count, old->count);
	if (c.fresh > c.count / 2) {
		rendezvous_build(out, key, members, count); /* cheaper */
		return;
	}
	for (uint32_t slot = 0; slot < RENDEZVOUS_SLOTS; slot++) {
		uint16_t was = old->table->first[slot];
		top_clear(top);
		for (size_t i = 0; i < RENDEZVOUS_DEPTH && was != RENDEZVOUS_NONE; i++) {
			if (i)
				was = old->table->further[slot][i - 1];
			if (was != RENDEZVOUS_NONE && c.stayed[was] != RENDEZVOUS_NONE)
				top_insert(top, score(c.olds[was].hash, slot, c.olds[was].cost), c.stayed[was],
					   members);
		}
		for (size_t i = 0; i < c.fresh; i++)
			top_insert(top, score(c.all[i].hash, slot, c.all[i].cost), c.all[i].index, members);
		if (!top_is_sure(top, slot, &c, was))
			top_of_all(top, slot, c.all, c.count, members);
		top_store(out, slot, top);
	}
}

#include "bench/programs/churn/maglev.h"

#include <string.h>

#include "common/siphash.h"

static const struct siphash_key offset_key = { 1, 0 }, skip_key = { 2, 0 };

/* A server that wants slots. */
struct turn {
	uint32_t next, skip; /* the slot it prefers now, and how far the one after it is */
	uint32_t credit;     /* a turn costs the greatest weight of all, and each round brings one's own */
	uint16_t weight, index;
};

static size_t turns_init(struct turn turns[MEMBERS_MAX], const struct member *members, size_t count, uint32_t *price)
{
	size_t found = 0;

	*price = 0;
	for (size_t i = 0; i < count; i++) {
		const char *name = members[i].name;
		if (!member_is_there(&members[i]))
			continue;
		turns[found++] = (struct turn){
			.next = (uint32_t)(siphash24(&offset_key, name, strlen(name)) % MAGLEV_SLOTS),
			.skip = (uint32_t)(siphash24(&skip_key, name, strlen(name)) % (MAGLEV_SLOTS - 1) + 1),
			.weight = members[i].weight,
			.index = (uint16_t)i,
		};
		if (*price < members[i].weight)
			*price = members[i].weight;
	}
	return found;
}

static inline void turn_step(struct turn *turn)
{
	turn->next += turn->skip;
	if (turn->next >= MAGLEV_SLOTS)
		turn->next -= MAGLEV_SLOTS;
}

static void fill(const struct table *table, uint16_t *owner, const struct member *members, size_t count)
{
	struct turn turns[MEMBERS_MAX];
	uint32_t price, taken = 0;
	const size_t contending = turns_init(turns, members, count, &price);

	(void)table;
	for (size_t i = 0; i < MAGLEV_SLOTS; i++)
		owner[i] = MEMBER_NONE;
	for (size_t at = 0; taken < MAGLEV_SLOTS; at = at + 1 < contending ? at + 1 : 0) {
		struct turn *turn = &turns[at];
		turn->credit += turn->weight;
		if (turn->credit < price)
			continue;
		turn->credit -= price;
		while (owner[turn->next] != MEMBER_NONE)
			turn_step(turn);
		owner[turn->next] = turn->index;
		taken++;
	}
}

static uint32_t slot(const struct table *table, uint64_t hash)
{
	(void)table;
	return (uint32_t)(hash % MAGLEV_SLOTS);
}

const struct table maglev_table = { .slots = MAGLEV_SLOTS, .slot = slot, .fill = fill };

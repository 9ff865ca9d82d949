#include "bench/programs/churn/modulo.h"

static uint16_t common_divisor(uint16_t a, uint16_t b)
{
	while (b) {
		const uint16_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

static void fill(const struct table *table, uint16_t *owner, const struct member *members, size_t count)
{
	uint16_t divisor = 0;
	size_t at = 0, all = 0;

	(void)table;
	for (size_t i = 0; i < count; i++) {
		if (member_is_there(&members[i]))
			divisor = common_divisor(members[i].weight, divisor);
	}
	/* Once around by hand, and then the same again. */
	for (size_t i = 0; i < count && at < MODULO_SLOTS; i++) {
		const unsigned times = member_is_there(&members[i]) ? (unsigned)members[i].weight / divisor : 0;
		for (unsigned n = 0; n < times && at < MODULO_SLOTS; n++)
			owner[at++] = (uint16_t)i;
	}
	for (all = at; at < MODULO_SLOTS; at++)
		owner[at] = owner[at - all];
}

static uint32_t slot(const struct table *table, uint64_t hash)
{
	(void)table;
	return (uint32_t)(hash >> (64 - MODULO_BITS));
}

const struct table modulo_table = { .slots = MODULO_SLOTS, .slot = slot, .fill = fill };

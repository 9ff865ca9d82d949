/* The servers of the simulation, and what a contender that knows addresses alone makes of them. Pure. */
#ifndef CIDLB_BENCH_CHURN_MEMBER_H
#define CIDLB_BENCH_CHURN_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEMBERS_MAX = 1024, MEMBER_NAME_OCTETS = 24 };
#define MEMBER_NONE UINT16_MAX

enum member_state {
	MEMBER_ABSENT,   /* not configured */
	MEMBER_UP,       /* there */
	MEMBER_DRAINING, /* there; gets no new sessions from a balancer that can tell new ones */
	MEMBER_DOWN,     /* configured, found dead */
};

struct member {
	char name[MEMBER_NAME_OCTETS]; /* distinct: "10.0.1.44:5684" */
	uint16_t weight;               /* 1..256 */
	enum member_state state;
};

static inline bool member_is_there(const struct member *member)
{
	return member->state == MEMBER_UP || member->state == MEMBER_DRAINING;
}

/* Fills names, all up with weight 100. */
void members_init(struct member *members, size_t count);

/* A contender's decision by the source. The hash of a source falls into a slot, and never into another one. Which
 * server has the slot depends on the servers that are there. So two states of a pool are compared slot by slot, and
 * that is exact. A table is constant once made. `own` is the contender's. */
struct table {
	uint32_t slots;
	uint32_t (*slot)(const struct table *table, uint64_t hash);
	/* owner[slot]: index in `members`. These are the members that the table was made for, in other states. At least
	 * one of them is there. */
	void (*fill)(const struct table *table, uint16_t *owner, const struct member *members, size_t count);
	const void *own;
};

#endif

/* A rate that is kept absolutely. What is due is counted from the start, so that a late batch is made up for, and no
 * errors add up. Pure. */
#ifndef CIDLB_BENCH_LOAD_PACE_H
#define CIDLB_BENCH_LOAD_PACE_H

#include <stdint.h>

enum { PACE_MAX_RATE = 10000000, PACE_SECOND_NS = 1000000000 };

struct pace {
	uint64_t start_ns;
	uint64_t rate; /* per second, 1..PACE_MAX_RATE */
};

/* Returns how many are due in all at `now_ns`, which is not before the start. */
static inline uint64_t pace_due(const struct pace *pace, uint64_t now_ns)
{
	uint64_t passed_ns = now_ns - pace->start_ns;

	return passed_ns / PACE_SECOND_NS * pace->rate + passed_ns % PACE_SECOND_NS * pace->rate / PACE_SECOND_NS;
}

/* Returns when `count` in all are due. */
static inline uint64_t pace_at_ns(const struct pace *pace, uint64_t count)
{
	uint64_t part = count % pace->rate * PACE_SECOND_NS;

	return pace->start_ns + count / pace->rate * PACE_SECOND_NS + (part + pace->rate - 1) / pace->rate;
}

#endif

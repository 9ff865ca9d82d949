/* A seeded generator (splitmix64): the same seed makes the same decisions in the same order. Not for secrets. */
#ifndef CIDLB_BENCH_LIB_DICE_H
#define CIDLB_BENCH_LIB_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t dice_roll(struct dice *dice)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* At least 0 and below 1. */
static inline double dice_fraction(struct dice *dice)
{
	return (double)(dice_roll(dice) >> 11) * 0x1p-53;
}

static inline bool dice_chance(struct dice *dice, double percent)
{
	return dice_fraction(dice) * 100 < percent;
}

#endif

/* The world's only source of chance: SplitMix64 (Steele, Lea, Flood, 2014). So one seed is one history. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_DICE_H
#define CIDLB_TESTS_SIMULATION_PATH_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t dice_roll(struct dice *dice)
{
	uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 .. sides-1 */
static inline unsigned dice_below(struct dice *dice, unsigned sides)
{
	return (unsigned)((dice_roll(dice) >> 32) * sides >> 32);
}

/* least .. most */
static inline unsigned dice_between(struct dice *dice, unsigned least, unsigned most)
{
	return least + dice_below(dice, most - least + 1);
}

static inline bool dice_percent(struct dice *dice, unsigned percent)
{
	return dice_below(dice, 100) < percent;
}

#endif

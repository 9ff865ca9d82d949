/* How often each duration occurred, log-linear in the manner of HdrHistogram. Up to 127 ns each duration has a cell of
 * its own. Beyond, each power of two is cut into 64, so that a cell is no wider than 1/64 of what it holds. What is
 * beyond 2^34 ns (17 s) is in the last cell. Two readings of a growing histogram differ by what came between. Pure.
 */
#ifndef CIDLB_BENCH_LOAD_HISTOGRAM_H
#define CIDLB_BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_CUT_BITS = 6,
	HISTOGRAM_MAX_BITS = 34,
	HISTOGRAM_CELLS = (HISTOGRAM_MAX_BITS - HISTOGRAM_CUT_BITS + 1) << HISTOGRAM_CUT_BITS,
};

struct histogram {
	uint64_t cells[HISTOGRAM_CELLS];
};

static inline uint32_t histogram_cell(uint64_t ns)
{
	uint32_t shift;

	if (ns >> HISTOGRAM_MAX_BITS)
		return HISTOGRAM_CELLS - 1;
	if (ns < 2u << HISTOGRAM_CUT_BITS)
		return (uint32_t)ns;
	shift = 63 - (uint32_t)__builtin_clzll(ns) - HISTOGRAM_CUT_BITS;
	return (shift << HISTOGRAM_CUT_BITS) + (uint32_t)(ns >> shift);
}

/* The least duration that belongs into a cell. */
static inline uint64_t histogram_least_ns(uint32_t cell)
{
	uint32_t shift = cell >> HISTOGRAM_CUT_BITS;

	return shift < 2 ? cell : (uint64_t)(cell - ((shift - 1) << HISTOGRAM_CUT_BITS)) << (shift - 1);
}

#endif

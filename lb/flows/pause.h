/* How long a device was silent between two datagrams, in the one octet that a flow has room for: seconds, rounded up by
 * an eighth at most. 0: it is not known to have been silent. */
#ifndef CIDLB_FLOWS_PAUSE_H
#define CIDLB_FLOWS_PAUSE_H

#include <stdint.h>

/* Up to 15 as they are. Then 8 codes for each power of 2. */
enum { PAUSE_EXACT = 16, PAUSE_STEPS = 8, PAUSES = PAUSE_EXACT + 29 * PAUSE_STEPS };

/* The least pause that has at least `s` seconds. */
static inline uint8_t pause_of(uint32_t s)
{
	unsigned shift = 0;

	while (shift < 29 && ((uint64_t)PAUSE_EXACT << shift) <= s)
		shift++;
	if (shift == 0)
		return (uint8_t)s;
	/* In 8..16 units, of which there are 1 << shift seconds. 16 of them are 8 of the next. */
	const uint64_t units = (s + ((uint64_t)1 << shift) - 1) >> shift;

	return (uint8_t)(PAUSE_EXACT + (shift - 1) * PAUSE_STEPS + (unsigned)(units - PAUSE_STEPS));
}

static inline uint64_t pause_s(uint8_t pause)
{
	if (pause < PAUSE_EXACT)
		return pause;
	return (uint64_t)(PAUSE_STEPS + (pause - PAUSE_EXACT) % PAUSE_STEPS)
	       << ((pause - PAUSE_EXACT) / PAUSE_STEPS + 1);
}

#endif

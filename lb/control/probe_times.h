/* How long the probes of a pool took that were answered. Control thread. */
#ifndef CIDLB_CONTROL_PROBE_TIMES_H
#define CIDLB_CONTROL_PROBE_TIMES_H

#include <stdint.h>

enum { PROBE_TIMES = 11 };

/* The upper bounds, in microseconds. */
extern const uint32_t probe_times_bounds_us[PROBE_TIMES];

/* All zero: none yet. */
struct probe_times {
	uint64_t counts[PROBE_TIMES + 1]; /* of those up to each bound and above the one before; at last the rest */
	uint64_t sum_us;
};

void probe_times_add(struct probe_times *times, uint32_t took_us);

#endif

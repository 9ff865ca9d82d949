#include "control/probe_times.h"

const uint32_t probe_times_bounds_us[PROBE_TIMES] = { 1000,   2500,   5000,   10000,   25000,  50000,
						      100000, 250000, 500000, 1000000, 2500000 };

void probe_times_add(struct probe_times *times, uint32_t took_us)
{
	unsigned at = 0;

	while (at < PROBE_TIMES && took_us > probe_times_bounds_us[at])
		at++;
	times->counts[at]++;
	times->sum_us += took_us;
}

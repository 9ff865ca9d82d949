/* What a fleet says: one line of JSON at the end, and the lines of its story. */
#ifndef CIDLB_BENCH_FLEET_REPORT_H
#define CIDLB_BENCH_FLEET_REPORT_H

#include <stdio.h>

#include "bench/programs/fleet/fleet.h"

void report_result(FILE *out, const struct fleet_result *result);

/* Once a second: {"t":…,"devices":…,"alive":…,…}; `alive` counts devices whose first session is in use. */
void report_second(FILE *out, double t_s, unsigned devices, const struct device_tally *tally);

/* Of the device whose moves the story tells: {"t":…,"device":17,"event":"moved","from":PORT,"to":PORT,"session":1}
 * Of every device: {"t":…,"device":17,"event":"joined","port":PORT,"session":1,"cid":"HEX"} */
void report_news(FILE *out, double t_s, const struct device *device, enum device_news news, uint16_t old_port);

#endif

/* Which backends to probe, and what follows from a probe that has ended. Control thread. */
#ifndef CIDLB_CONTROL_PROBE_RESULTS_H
#define CIDLB_CONTROL_PROBE_RESULTS_H

#include <stdint.h>

#include "health/health.h"

struct control;

/* Probes the backends of the running configuration that have an address, and no others. 0, or -errno: those of before
 * go on being probed. */
int probe_results_follow(struct control *control);

/* Takes a result. A health_report; ctx: the control. */
void probe_results_take(void *ctx, uint16_t uid, const struct health_result *result);

#endif

/* Whom to probe, and what comes of a probe that has ended. Control thread. */
#ifndef CIDLB_CONTROL_PROBE_RESULTS_H
#define CIDLB_CONTROL_PROBE_RESULTS_H

#include <stdint.h>

#include "health/health.h"

struct control;

/* Probes the backends of the running configuration that have an address, and no others. -errno: whom it probed before
 * it goes on to probe. */
int probe_results_follow(struct control *control);

void probe_results_take(void *ctx, uint16_t uid,
			const struct health_result *result); /* health_report; ctx: the control */

#endif

/* Probes of the health channel, on the control thread's event loop: non-blocking, jittered. It reports what it saw; the state
 * machine is common/pool.h. */
#ifndef CIDLB_HEALTH_H
#define CIDLB_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "addr.h"
#include "conf.h"

struct health;

struct health_target {
	uint16_t uid; /* of the backend */
	struct addr addr;
	struct conf_health how;
};

/* One finished probe: `reason` says in plain words what was seen ("no answer for 1000 ms", "connection refused"). */
typedef void (*health_report)(void *ctx, uint16_t uid, bool ok, const char *reason);

struct health *health_new(struct event_base *base, health_report report, void *ctx);

/* The backends to probe from now on. One that was probed before with the same address and settings goes on undisturbed; one that
 * is new is probed at once. Probe "none" reports success once. Returns 0 or -errno. */
int health_set_targets(struct health *health, const struct health_target *targets, size_t count);

/* The packet path met an ICMP error of this backend: probes it at once, at most every 100 ms. */
void health_suspect(struct health *health, uint16_t uid);

void health_free(struct health *health);

#endif

/* Probes of the health channel, on the control thread's event loop: non-blocking and jittered. They report what they
 * saw; the state machine is common/pool.h. */
#ifndef CIDLB_HEALTH_H
#define CIDLB_HEALTH_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "health/target.h"

struct health;

typedef void (*health_report)(void *ctx, uint16_t uid, const struct health_result *result);

struct health *health_new(struct event_base *base, health_report report, void *ctx);

/* Sets the backends to probe from now on. A target with the same address and settings as before goes on undisturbed,
 * and a new one is probed at once. Probe "none" reports success once. Returns 0 or -errno. */
int health_set_targets(struct health *health, const struct health_target *targets, size_t count);

/* The packet path met an ICMP error of this backend. It is probed at once, but at most every 100 ms. */
void health_suspect(struct health *health, uint16_t uid);

/* Lends it what receives the answers of servers of mode dsr in IPv4 (answers.h), for as long as it is there. Without it
 * these servers are asked at their own addresses only. Once. 0 or -errno. */
int health_lend_answers(struct health *health, int fd);

void health_free(struct health *health);

#endif

/* The state of one backend: its health as probes find it, its administrative state as people set it, and what it says
 * of itself. Pure: events in, state out.
 *
 * Owner: the control thread, the only writer of pool state.
 */
#ifndef CIDLB_POOL_H
#define CIDLB_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "steering.h"

enum backend_health { BACKEND_UP, BACKEND_DOWN };

struct backend_state {
	enum backend_health probes; /* what the probes found */
	enum backend_admin wish;    /* from the configuration, or from a command */
	struct steering steering;   /* from the last answer that could steer */
	uint8_t rise, fall;         /* successes to come up, failures to go down; >= 1 */
	uint8_t successes, fails;   /* in a row, towards the next change */
	bool probed;                /* at least one probe has ended */
};

/* A backend begins as up. Nothing is probed yet, and it has said nothing. */
void backend_state_init(struct backend_state *state, enum backend_admin wish, uint8_t rise, uint8_t fall);

/* Takes one finished probe. The first one decides at once. Returns true if what the probes found changed. */
bool backend_state_probe(struct backend_state *state, bool ok);

/* The backend is at another address now. What the probes found holds until the next probe, which decides at once. What
 * the backend said is forgotten. */
void backend_state_renew(struct backend_state *state);

/* What is in force. The backend is down if the probes or the backend itself say so. Of the wish and the backend's own
 * state the stricter counts. */
enum backend_health backend_state_health(const struct backend_state *state);
enum backend_admin backend_state_admin(const struct backend_state *state);

/* The weight in force, 0..256: `weight` as configured or commanded, times the backend's own percentage. It is not 0
 * unless one of them is 0. */
uint16_t backend_state_weight(const struct backend_state *state, uint16_t weight);

/* True if it may get new sessions: up, ready, weight not 0. */
bool backend_accepts_new(enum backend_health health, enum backend_admin admin, uint16_t weight);

const char *backend_health_name(enum backend_health health);
const char *backend_admin_name(enum backend_admin admin);

#endif

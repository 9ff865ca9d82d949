/* The state of one backend: health found by probes, administration by people, and what the backend says of itself.
 * Pure: events in, state out.
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
	enum backend_health probes; /* what they found */
	enum backend_admin wish;    /* of the configuration, or of a command */
	struct steering steering;   /* of the last answer that could steer */
	uint8_t rise, fall;         /* successes to come up, failures to go down; >= 1 */
	uint8_t successes, fails;   /* in a row, toward the next change */
	bool probed;                /* a probe has ended once */
};

/* Backends start up; nothing probed yet, nothing said. */
void backend_state_init(struct backend_state *state, enum backend_admin wish, uint8_t rise, uint8_t fall);

/* One finished probe. The first one decides at once. Returns true if what the probes found changed. */
bool backend_state_probe(struct backend_state *state, bool ok);

/* The backend is somewhere else now: what was found holds until the next probe, which decides at once; what it said is
 * forgotten. */
void backend_state_renew(struct backend_state *state);

/* What is in force: down if the probes or the backend itself say so; of the wish and the backend's own the stricter. */
enum backend_health backend_state_health(const struct backend_state *state);
enum backend_admin backend_state_admin(const struct backend_state *state);

/* The weight in force, 0..256: `weight` as configured or commanded, times the backend's own per cent; not 0 unless one
 * of them is. */
uint16_t backend_state_weight(const struct backend_state *state, uint16_t weight);

/* May get new sessions: up, ready, weight not 0. */
bool backend_accepts_new(enum backend_health health, enum backend_admin admin, uint16_t weight);

const char *backend_health_name(enum backend_health health);
const char *backend_admin_name(enum backend_admin admin);

#endif

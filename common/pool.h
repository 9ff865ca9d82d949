/* The state of one backend: health found by probes, administration by people. Pure: events in, state out.
 *
 * Owner: the control thread, the only writer of pool state.
 */
#ifndef CIDLB_POOL_H
#define CIDLB_POOL_H

#include <stdbool.h>
#include <stdint.h>

enum backend_health { BACKEND_UP, BACKEND_DOWN };
enum backend_admin { BACKEND_READY, BACKEND_DRAIN, BACKEND_MAINT };

struct backend_state {
	enum backend_health health;
	enum backend_admin admin;
	uint8_t rise, fall;       /* successes to come up, failures to go down; >= 1 */
	uint8_t successes, fails; /* in a row, toward the next change */
	bool probed;              /* a probe has ended once */
};

/* Backends start up; nothing probed yet. */
void backend_state_init(struct backend_state *state, enum backend_admin admin, uint8_t rise, uint8_t fall);

/* One finished probe. A first failed probe counts as `fall`. Returns true if health changed. */
bool backend_state_probe(struct backend_state *state, bool ok);

/* May get new sessions: up, ready, weight not 0. */
bool backend_accepts_new(enum backend_health health, enum backend_admin admin, uint16_t weight);

const char *backend_health_name(enum backend_health health);
const char *backend_admin_name(enum backend_admin admin);

/* "ready", "drain", "maint". -EINVAL: anything else. */
int backend_admin_parse(enum backend_admin *out, const char *word);

#endif

#include "pool.h"

void backend_state_init(struct backend_state *state, enum backend_admin wish, uint8_t rise, uint8_t fall)
{
	*state = (struct backend_state){
		.probes = BACKEND_UP, .wish = wish, .steering = steering_none, .rise = rise, .fall = fall
	};
}

bool backend_state_probe(struct backend_state *state, bool ok)
{
	uint8_t *in_a_row = ok ? &state->successes : &state->fails;
	uint8_t needed = ok ? state->rise : state->fall;

	/* The state before the first probe is only assumed, so that probe decides. */
	if (!state->probed)
		needed = 1;
	state->probed = true;
	if (ok == (state->probes == BACKEND_UP)) {
		state->successes = state->fails = 0;
		return false;
	}
	if (++*in_a_row < needed)
		return false;
	state->successes = state->fails = 0;
	state->probes = ok ? BACKEND_UP : BACKEND_DOWN;
	return true;
}

void backend_state_renew(struct backend_state *state)
{
	state->probed = false;
	state->successes = state->fails = 0;
	state->steering = steering_none;
}

enum backend_health backend_state_health(const struct backend_state *state)
{
	return state->steering.down ? BACKEND_DOWN : state->probes;
}

enum backend_admin backend_state_admin(const struct backend_state *state)
{
	return state->steering.admin > state->wish ? state->steering.admin : state->wish;
}

uint16_t backend_state_weight(const struct backend_state *state, uint16_t weight)
{
	const unsigned scaled = weight * (unsigned)state->steering.percent;

	return (uint16_t)((scaled + 99) / 100);
}

bool backend_accepts_new(enum backend_health health, enum backend_admin admin, uint16_t weight)
{
	return health == BACKEND_UP && admin == BACKEND_READY && weight > 0;
}

const char *backend_health_name(enum backend_health health)
{
	return health == BACKEND_UP ? "up" : "down";
}

const char *backend_admin_name(enum backend_admin admin)
{
	static const char *const names[] = {
		[BACKEND_READY] = "ready", [BACKEND_DRAIN] = "drain", [BACKEND_MAINT] = "maint"
	};

	return names[admin];
}

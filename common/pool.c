#include "pool.h"

void backend_state_init(struct backend_state *state, enum backend_admin admin, uint8_t rise, uint8_t fall)
{
	*state = (struct backend_state){ .health = BACKEND_UP, .admin = admin, .rise = rise, .fall = fall };
}

bool backend_state_probe(struct backend_state *state, bool ok)
{
	uint8_t *in_a_row = ok ? &state->successes : &state->fails;
	uint8_t needed = ok ? state->rise : state->fall;

	/* A backend is only assumed to be up until its first probe has ended: one failure refutes that. */
	if (!state->probed)
		needed = 1;
	state->probed = true;
	if (ok == (state->health == BACKEND_UP)) {
		state->successes = state->fails = 0;
		return false;
	}
	if (++*in_a_row < needed)
		return false;
	state->successes = state->fails = 0;
	state->health = ok ? BACKEND_UP : BACKEND_DOWN;
	return true;
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
	static const char *const names[] = { [BACKEND_READY] = "ready", [BACKEND_DRAIN] = "drain", [BACKEND_MAINT] = "maint" };

	return names[admin];
}

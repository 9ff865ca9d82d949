#include "control/apply_states.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "control/drain.h"
#include "control/running.h"
#include "control/state.h"

/* The backend as it runs now. NULL: it does not. */
static const struct snapshot_backend *running_spec(const struct control *control, uint16_t uid)
{
	for (size_t i = 0; i < control->spec.backend_count; i++)
		if (control->spec.backends[i].uid == uid)
			return &control->spec.backends[i];
	return NULL;
}

void apply_in_force(struct snapshot_backend *backend, const struct backend_state *state, uint16_t weight)
{
	backend->health = backend_state_health(state);
	backend->admin = backend_state_admin(state);
	backend->weight = backend_state_weight(state, weight);
}

/* True if another probe runs so far. It finds other things, and its answers may not steer. */
static bool is_probed_otherwise(struct control *control, uint16_t uid, const struct conf_pool *pool)
{
	struct running_backend running;

	return running_backend_find(control, uid, &running) && running.pool->health.probe != pool->health.probe;
}

/* Makes the state that a backend begins or goes on with. A backend that already runs at this address keeps its health.
 * A backend without an address is down. What was set by command outlives reloads and restarts, unless the backend's
 * entry has changed. */
static void state_make(struct control *control, struct apply_step *step, size_t at, const struct conf_pool *pool,
		       const struct conf_backend *conf)
{
	struct snapshot_backend *backend = &step->spec.backends[at];
	const struct snapshot_backend *before = running_spec(control, backend->uid);
	struct backend_state *state = &step->states[at];
	enum backend_admin wish = conf->admin;

	step->weights[at] = conf->weight;
	(void)saved_get(control->saved, pool->name, conf, &wish, &step->weights[at]);
	if (before && addr_equal(&before->addr, &backend->addr))
		*state = control->states[backend->uid];
	else
		backend_state_init(state, wish, pool->health.rise, pool->health.fall);
	if (addr_is_wildcard(&backend->addr))
		state->probes = BACKEND_DOWN;
	else if (is_probed_otherwise(control, backend->uid, pool))
		backend_state_renew(state);
	if (state->steering.id_count && state->steering.ids[0].len != cid_id_octets(&pool->layout))
		state->steering.id_count = 0;
	state->wish = wish;
	state->rise = pool->health.rise;
	state->fall = pool->health.fall;
	apply_in_force(backend, state, step->weights[at]);
}

int apply_states_make(struct control *control, struct apply_step *step)
{
	size_t at = 0;

	step->states = calloc(step->spec.backend_count + 1, sizeof *step->states);
	step->weights = calloc(step->spec.backend_count + 1, sizeof *step->weights);
	if (!step->states || !step->weights)
		return -ENOMEM;
	for (size_t i = 0; i < step->conf->pool_count; i++)
		for (size_t j = 0; j < step->conf->pools[i].backend_count; j++, at++)
			state_make(control, step, at, &step->conf->pools[i], &step->conf->pools[i].backends[j]);
	return 0;
}

/* The backend at index `at` of the configuration that is being applied. */
static const struct conf_backend *conf_at(const struct conf *conf, size_t at, const struct conf_pool **pool)
{
	for (*pool = conf->pools; at >= (*pool)->backend_count; (*pool)++)
		at -= (*pool)->backend_count;
	return &(*pool)->backends[at];
}

/* True if other CIDs lead to the backend than before. */
static bool has_other_ids(struct control *control, const struct apply_step *step, size_t at)
{
	static const struct siphash_key any = { 0 };
	const struct conf_pool *pool;
	const struct conf_backend *now = conf_at(step->conf, at, &pool);
	struct running_backend before;

	if (!running_backend_find(control, step->spec.backends[at].uid, &before))
		return true;
	return now->has_id != before.conf->has_id ||
	       (now->has_id && claims_id_compare(&now->id, &before.conf->id) != 0) ||
	       cid_layout_hash(&pool->layout, &any) != cid_layout_hash(&before.pool->layout, &any);
}

static void found_forget(struct control_backend *backend)
{
	backend->reason[0] = backend->words[0] = '\0';
	backend->has_findings = false;
	backend->findings = (struct health_findings){ 0 };
}

/* What was counted before under its number stays counted, and has been told of. */
static void begin_anew(struct control_backend *backend)
{
	*backend = (struct control_backend){ .since_s = clock_s(),
					     .silent = backend->silent,
					     .silent_before = backend->silent_before,
					     .answered = backend->answered,
					     .foreign = backend->foreign };
}

void apply_states_take(struct control *control, const struct apply_step *step)
{
	for (size_t at = 0; at < step->spec.backend_count; at++) {
		const struct snapshot_backend *backend = &step->spec.backends[at];
		const struct snapshot_backend *before = running_spec(control, backend->uid);

		if (before && has_other_ids(control, step, at))
			drain_forget(control, backend->uid);
		if (!before || !addr_equal(&before->addr, &backend->addr))
			begin_anew(&control->backends[backend->uid]);
		else if (!step->states[at].probed)
			found_forget(&control->backends[backend->uid]);
		control->states[backend->uid] = step->states[at];
		control->weights[backend->uid] = step->weights[at];
	}
}

void apply_states_free(struct apply_step *step)
{
	free(step->states);
	free(step->weights);
	step->states = NULL;
	step->weights = NULL;
}

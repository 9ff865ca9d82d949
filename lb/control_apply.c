#include "control_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

/* A configuration on its way to being the running one. */
struct step {
	struct conf *conf;
	struct plan plan;
	uint16_t listener_uids[CONF_MAX_LISTENERS];
	struct sockets_change *change;
	struct table *table;
	struct admin *admin; /* NULL: stays where it is, or is off */
};

static int refuse(const char *why)
{
	log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL, "%s", why);
	return -1;
}

/* What runs under the number `uid`, or NULL. */
static const struct conf_backend *running(const struct control *control, uint16_t uid)
{
	size_t at = 0;

	for (size_t i = 0; at < control->plan.backend_count; i++)
		for (size_t j = 0; j < control->conf->pools[i].backend_count; j++, at++)
			if (control->plan.backends[at].uid == uid)
				return &control->conf->pools[i].backends[j];
	return NULL;
}

static bool entry_is_same(const struct conf_backend *a, const struct conf_backend *b)
{
	return a->has_id == b->has_id && a->id.len == b->id.len && memcmp(a->id.octets, b->id.octets, a->id.len) == 0 &&
	       addr_equal(&a->addr, &b->addr) && a->weight == b->weight && a->admin == b->admin;
}

/* A backend that runs already, at this address, keeps its health. What was set by command outlives a reload, unless that backend's entry
 * changed. */
static void states_plan(const struct control *control, struct step *step)
{
	size_t at = 0;

	for (size_t i = 0; i < step->conf->pool_count; i++) {
		for (size_t j = 0; j < step->conf->pools[i].backend_count; j++, at++) {
			struct snapshot_backend *backend = &step->plan.backends[at];
			const struct conf_backend *before = running(control, backend->uid);

			if (before && addr_equal(&before->addr, &backend->addr))
				backend->health = backend_state_health(&control->states[backend->uid]);
			if (!before || !entry_is_same(before, &step->conf->pools[i].backends[j]))
				continue;
			backend->admin = control->states[backend->uid].wish;
			backend->weight = control->weights[backend->uid];
		}
	}
}

/* While control->plan is still the old one. */
static void states_take(struct control *control, const struct step *step)
{
	size_t at = 0;

	for (size_t i = 0; i < step->conf->pool_count; i++) {
		const struct conf_pool *pool = &step->conf->pools[i];

		for (size_t j = 0; j < pool->backend_count; j++, at++) {
			const struct snapshot_backend *backend = &step->plan.backends[at];
			const struct conf_backend *before = running(control, backend->uid);
			struct backend_state *state = &control->states[backend->uid];

			if (!before || !addr_equal(&before->addr, &backend->addr))
				backend_state_init(state, backend->admin, pool->health.rise, pool->health.fall);
			state->wish = backend->admin;
			state->rise = pool->health.rise;
			state->fall = pool->health.fall;
			control->weights[backend->uid] = backend->weight;
		}
	}
}

/* By address, which is what a device knows: under a new name a listener keeps its sockets, and goes on answering. */
static int listeners_number(struct control *control, struct step *step)
{
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < step->conf->listener_count; i++) {
		const struct addr *addr = &step->conf->listeners[i].addr;

		step->listener_uids[i] = registry_uid(control->listener_addrs, 0, addr_format(addr, text));
		if (step->listener_uids[i] == REGISTRY_FULL)
			return -1;
	}
	return 0;
}

static int cannot_bind(const struct addr *addr, int err)
{
	char text[ADDR_TEXT_OCTETS];

	log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL, "cannot bind %s: %s", addr_format(addr, text), strerror(-err));
	return -1;
}

static int admin_prepare(struct control *control, struct step *step)
{
	struct admin_source source = { control_ready, control_metrics, control };
	int err;

	if (!step->conf->has_http || addr_equal(&step->conf->http, &control->http))
		return 0;
	err = admin_new(&step->admin, control->base, &step->conf->http, &source);
	return err ? cannot_bind(&step->conf->http, err) : 0;
}

static int limits_set(struct control *control, const struct conf *conf, const struct plan *plan)
{
	for (size_t i = 0; conf && i < conf->pool_count; i++) {
		const struct conf_nat *nat = &conf->pools[i].nat;
		struct flows_limits limits = { nat->max_flows, nat->idle_s * 1000, nat->cid_idle_s * 1000 };
		int err = flows_set_limits(control->flows, plan->pools[i].uid, &limits);

		if (err)
			return err;
	}
	return 0;
}

/* Flows of pools that are gone end at the next sweep. */
static void limits_drop(struct control *control, const struct plan *old, const struct plan *now)
{
	static const struct flows_limits none = { 0 };

	for (size_t i = 0; i < old->pool_count; i++) {
		bool kept = false;

		for (size_t j = 0; j < now->pool_count; j++)
			kept = kept || old->pools[i].uid == now->pools[j].uid;
		if (!kept)
			(void)flows_set_limits(control->flows, old->pools[i].uid, &none);
	}
}

static void step_free(struct control *control, struct step *step)
{
	sockets_abandon(control->sockets, step->change);
	admin_free(step->admin);
	table_free(step->table);
	plan_free(&step->plan);
}

void control_probe(struct control *control)
{
	struct health_target *targets = calloc(control->plan.backend_count, sizeof *targets);
	size_t at = 0;
	int err;

	for (size_t i = 0; targets && i < control->conf->pool_count; i++)
		for (size_t j = 0; j < control->conf->pools[i].backend_count; j++, at++)
			targets[at] = (struct health_target){
				.uid = control->plan.backends[at].uid,
				.addr = control->plan.backends[at].addr,
				.how = control->conf->pools[i].health,
			};
	err = targets ? health_set_targets(control->health, targets, at) : -ENOMEM;
	if (err && !control->watch.targets_due)
		log_event(LOG_LEVEL_ERROR, "health", NULL, NULL, "not every backend is probed: %s", strerror(-err));
	else if (!err && control->watch.targets_due)
		log_event(LOG_LEVEL_INFO, "health", NULL, NULL, "every backend is probed again");
	control->watch.targets_due = err != 0;
	free(targets);
}

/* Everything that can fail, and nothing that shows. */
static int step_prepare(struct control *control, struct step *step)
{
	struct addr failed = { 0 };
	int err;

	if (plan_make(&step->plan, step->conf, control->pool_names, control->backend_names) || listeners_number(control, step))
		return refuse("too many addresses of listeners or names of pools or backends since the start: restart cidlb");
	err = sockets_prepare(&step->change, control->sockets, step->conf, step->listener_uids, &failed);
	if (err)
		return cannot_bind(&failed, err);
	if (admin_prepare(control, step))
		return -1;
	states_plan(control, step);
	step->table = table_build(step->conf, &step->plan, step->listener_uids, publisher_read(&control->publisher));
	if (!step->table)
		return refuse("out of memory");
	if (limits_set(control, step->conf, &step->plan) == 0)
		return 0;
	(void)limits_set(control, control->conf, &control->plan);
	limits_drop(control, &step->plan, &control->plan);
	return refuse("out of memory: nat.max_flows is too high for this host");
}

static void admin_move(struct control *control, struct step *step)
{
	if (addr_equal(&step->conf->http, &control->http))
		return;
	admin_free(control->admin);
	control->admin = step->admin;
	control->http = step->conf->http;
}

static void step_commit(struct control *control, struct step *step)
{
	struct plan old_plan = control->plan;

	states_take(control, step);
	if (sockets_add(control->sockets, step->change, control->workers))
		log_event(LOG_LEVEL_ERROR, "sockets", NULL, NULL, "a worker could not take a socket");
	publisher_publish(&control->publisher, step->table);
	sockets_remove(control->sockets, step->change, control->workers);
	limits_drop(control, &old_plan, &step->plan);
	admin_move(control, step);
	plan_free(&old_plan);
	conf_free(control->conf);
	control->conf = step->conf;
	control->plan = step->plan;
	memcpy(control->listener_uids, step->listener_uids, sizeof control->listener_uids);
}

int control_apply(struct control *control, struct conf *conf)
{
	struct step step = { .conf = conf };

	if (step_prepare(control, &step)) {
		step_free(control, &step);
		return -1;
	}
	step_commit(control, &step);
	control_probe(control);
	return 0;
}

int control_publish(struct control *control)
{
	struct table *table;

	for (size_t i = 0; i < control->plan.backend_count; i++) {
		struct snapshot_backend *backend = &control->plan.backends[i];

		const struct backend_state *state = &control->states[backend->uid];

		backend->health = backend_state_health(state);
		backend->admin = backend_state_admin(state);
		backend->weight = backend_state_weight(state, control->weights[backend->uid]);
	}
	table = table_build(control->conf, &control->plan, control->listener_uids, publisher_read(&control->publisher));
	if (!table) {
		if (!control->watch.publish_due)
			log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL, "out of memory: the routing table stays as it was for now");
		control->watch.publish_due = true;
		return -ENOMEM;
	}
	control->watch.publish_due = false;
	publisher_publish(&control->publisher, table);
	return 0;
}

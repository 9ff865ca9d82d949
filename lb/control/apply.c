#include "control/control_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/flow_home.h"
#include "control/table_build.h"

/* A configuration on its way to being the running one. */
struct step {
	struct conf *conf;
	struct table_spec plan;
	struct backend_state *states; /* by place in the plan */
	uint16_t *weights;            /* configured or commanded, by place in the plan */
	uint16_t listener_uids[CONF_MAX_LISTENERS];
	struct sockets_change *change;
	struct table *table;
	struct admin_http *admin; /* NULL: stays where it is, or is off */
};

static int refuse(const char *why)
{
	log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL, "%s", why);
	return -1;
}

/* The same backend as it runs now, or NULL. */
static const struct snapshot_backend *running(const struct control *control, uint16_t uid)
{
	for (size_t i = 0; i < control->plan.backend_count; i++)
		if (control->plan.backends[i].uid == uid)
			return &control->plan.backends[i];
	return NULL;
}

/* What new sessions and the table see of a backend. */
static void put_in_force(struct snapshot_backend *backend, const struct backend_state *state, uint16_t weight)
{
	backend->health = backend_state_health(state);
	backend->admin = backend_state_admin(state);
	backend->weight = backend_state_weight(state, weight);
}

/* Another probe finds other things, and its answers may not steer. */
static bool is_probed_otherwise(struct control *control, uint16_t uid, const struct conf_pool *pool)
{
	struct control_place place;

	return control_locate(control, uid, &place) && place.pool->health.probe != pool->health.probe;
}

/* The state that a backend begins or goes on with. One that runs already, at this address, keeps its health; where
 * there is no address yet nobody is up. What was set by command outlives reloads and restarts, unless the backend's
 * entry changed. */
static void state_plan(struct control *control, struct step *step, size_t at, const struct conf_pool *pool,
		       const struct conf_backend *conf)
{
	struct snapshot_backend *backend = &step->plan.backends[at];
	const struct snapshot_backend *before = running(control, backend->uid);
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
	put_in_force(backend, state, step->weights[at]);
}

static int states_plan(struct control *control, struct step *step)
{
	size_t at = 0;

	step->states = calloc(step->plan.backend_count + 1, sizeof *step->states);
	step->weights = calloc(step->plan.backend_count + 1, sizeof *step->weights);
	if (!step->states || !step->weights)
		return -ENOMEM;
	for (size_t i = 0; i < step->conf->pool_count; i++)
		for (size_t j = 0; j < step->conf->pools[i].backend_count; j++, at++)
			state_plan(control, step, at, &step->conf->pools[i], &step->conf->pools[i].backends[j]);
	return 0;
}

static void found_forget(struct control_backend *backend)
{
	backend->reason[0] = backend->words[0] = '\0';
	backend->has_findings = false;
	backend->findings = (struct health_findings){ 0 };
}

/* While control->plan is still the old one. */
static void states_take(struct control *control, const struct step *step)
{
	for (size_t at = 0; at < step->plan.backend_count; at++) {
		const struct snapshot_backend *backend = &step->plan.backends[at];
		const struct snapshot_backend *before = running(control, backend->uid);

		if (!before || !addr_equal(&before->addr, &backend->addr))
			control->backends[backend->uid] = (struct control_backend){ .since_s = control_clock_s() };
		else if (!step->states[at].probed)
			found_forget(&control->backends[backend->uid]);
		control->states[backend->uid] = step->states[at];
		control->weights[backend->uid] = step->weights[at];
	}
}

/* Ids of another length are of nobody. */
static void claims_drop(struct control *control, const struct conf *conf, const struct table_spec *plan)
{
	for (size_t i = 0; i < conf->pool_count; i++) {
		struct claims *claims = &control->pools[plan->pools[i].uid].claims;

		if (claims->count && claims->entries[0].id.len != cid_id_octets(&conf->pools[i].layout))
			claims_free(claims);
	}
}

/* By address, which is what a device knows: under a new name a listener keeps its sockets, and goes on answering. */
static int listeners_number(struct control *control, struct step *step)
{
	char text[ADDR_TEXT_OCTETS];

	for (size_t i = 0; i < step->conf->listener_count; i++) {
		const struct addr *addr = &step->conf->listeners[i].addr;

		step->listener_uids[i] = uids_give(control->listener_addrs, 0, addr_format(addr, text));
		if (step->listener_uids[i] == UIDS_FULL)
			return -1;
	}
	return 0;
}

static int numbers_give(struct control *control, struct step *step)
{
	if (table_spec_make(&step->plan, step->conf, control->pool_names, control->backend_names))
		return -1;
	if (listeners_number(control, step) == 0)
		return 0;
	table_spec_free(&step->plan);
	return -1;
}

static int cannot_bind(const struct addr *addr, int err)
{
	char text[ADDR_TEXT_OCTETS];

	if (err == -ENOMEM)
		return refuse("out of memory");
	log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL, "cannot bind %s: %s", addr_format(addr, text),
		  strerror(-err));
	return -1;
}

static int cannot_watch(const struct addr *addr, int err)
{
	char text[ADDR_TEXT_OCTETS];

	log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL, "epoll cannot watch %s: %s%s", addr_format(addr, text),
		  strerror(-err), err == -ENOSPC ? " (fs.epoll.max_user_watches)" : "");
	return -1;
}

static int admin_prepare(struct control *control, struct step *step)
{
	struct admin_http_source source = { control_ready, control_metrics, control };
	int err;

	if (!step->conf->has_http || addr_equal(&step->conf->http, &control->http))
		return 0;
	err = admin_http_new(&step->admin, control->base, &step->conf->http, &source);
	return err ? cannot_bind(&step->conf->http, err) : 0;
}

/* Where there is no table any more, flows of the time before may end in peace. */
static int limits_set(struct control *control, const struct conf *conf, const struct table_spec *plan)
{
	for (size_t i = 0; conf && i < conf->pool_count; i++) {
		const struct conf_nat *nat = &conf->pools[i].nat;
		const uint32_t max_flows = stateless_listener(conf, i) ? 1 : nat->max_flows;
		struct flows_limits limits = { max_flows, nat->idle_s * 1000, nat->cid_idle_s * 1000 };
		int err = flows_set_limits(control->flows, plan->pools[i].uid, &limits);

		if (err)
			return err;
	}
	return 0;
}

/* Flows of pools that are gone end at the next sweep. */
static void limits_drop(struct control *control, const struct table_spec *old, const struct table_spec *now)
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
	admin_http_free(step->admin);
	table_free(step->table);
	table_spec_free(&step->plan);
	free(step->states);
	free(step->weights);
}

/* Everything that can fail, and nothing that shows. */
static int step_prepare(struct control *control, struct step *step)
{
	struct sockets_failure failure = { 0 };
	int err;

	if (numbers_give(control, step) && (control_recycle(control), numbers_give(control, step)))
		return refuse("out of memory, or too many listeners, pools and backends at once with those that "
			      "sessions are left of");
	err = sockets_prepare(&step->change, control->sockets, step->conf, &step->plan, step->listener_uids, &failure);
	if (err)
		return failure.unwatched ? cannot_watch(&failure.addr, err) : cannot_bind(&failure.addr, err);
	if (admin_prepare(control, step))
		return -1;
	if (!control->conf && control_ids_recall(control, step->conf, &step->plan))
		return refuse("out of memory");
	control_addresses_plan(control, step->conf, &step->plan);
	if (states_plan(control, step) || control_ids_plan(control, step->conf, &step->plan))
		return refuse("out of memory");
	step->table = table_build(step->conf, &step->plan, step->listener_uids, publisher_read(&control->publisher));
	if (!step->table)
		return refuse("out of memory");
	if (limits_set(control, step->conf, &step->plan) == 0)
		return 0;
	(void)limits_set(control, control->conf, &control->plan);
	limits_drop(control, &step->plan, &control->plan);
	return refuse("out of memory: nat.max_flows is too high for this host");
}

/* Sessions whose server is somewhere else now: what it says first must find them. */
static void flows_follow(struct control *control)
{
	rcu_thread_online();
	(void)flow_home_follow(control->flows, publisher_read(&control->publisher));
	rcu_thread_offline();
}

static void admin_move(struct control *control, struct step *step)
{
	if (addr_equal(&step->conf->http, &control->http))
		return;
	admin_http_free(control->admin);
	control->admin = step->admin;
	control->http = step->conf->http;
}

static void step_commit(struct control *control, struct step *step)
{
	struct table_spec old_plan = control->plan;

	states_take(control, step);
	sockets_add(control->sockets, step->change);
	publisher_publish(&control->publisher, step->table);
	flows_follow(control);
	sockets_remove(control->sockets, step->change);
	limits_drop(control, &old_plan, &step->plan);
	admin_move(control, step);
	table_spec_free(&old_plan);
	conf_free(control->conf);
	control->conf = step->conf;
	control->plan = step->plan;
	memcpy(control->listener_uids, step->listener_uids, sizeof control->listener_uids);
	claims_drop(control, control->conf, &control->plan);
	free(step->states);
	free(step->weights);
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
	control_names(control);
	saved_prune(control->saved, control->conf);
	control_ids_follow(control);
	return 0;
}

/* What is published, but for the claims. */
static int publish(struct control *control)
{
	struct table *table = NULL;

	for (size_t i = 0; i < control->plan.backend_count; i++) {
		struct snapshot_backend *backend = &control->plan.backends[i];

		put_in_force(backend, &control->states[backend->uid], control->weights[backend->uid]);
	}
	if (control_ids_plan(control, control->conf, &control->plan) == 0)
		table = table_build(control->conf, &control->plan, control->listener_uids,
				    publisher_read(&control->publisher));
	if (!table)
		return -ENOMEM;
	publisher_publish(&control->publisher, table);
	flows_follow(control);
	return 0;
}

int control_publish(struct control *control)
{
	bool ids_moved;
	int err = control_ids_settle(control, &ids_moved);

	if (!err)
		err = publish(control);
	if (err && !control->watch.publish_due)
		log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL,
			  "out of memory: the routing table stays as it was for now");
	control->watch.publish_due = err != 0;
	return err;
}

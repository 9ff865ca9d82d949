#include "control/probe_results.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/running.h"
#include "control/state.h"

/* The address that probes say they are for. It is that of a listener, if one has the servers' IP version. Otherwise it
 * is ours, with the port of a listener. */
static struct addr service_of(const struct conf *conf, const struct conf_pool *pool)
{
	struct addr service = { 0 };

	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct addr *addr = &conf->listeners[i].addr;

		if (&conf->pools[conf->listeners[i].pool] != pool)
			continue;
		if (addr_is_v4(addr) == addr_is_v4(&pool->tunnel.local) && !addr_is_wildcard(addr))
			return *addr;
		service = pool->tunnel.local;
		service.port = addr->port;
	}
	return service;
}

/* Probes leave from the port after those of the workers. */
static struct health_tunnel tunnel_of(const struct control *control, const struct conf_pool *pool)
{
	struct health_tunnel tunnel = { .keys = pool->tunnel.keys, .local = pool->tunnel.local };

	if (pool->forward != FORWARD_TUNNEL)
		return tunnel;
	tunnel.local.port = (uint16_t)(tunnel.local.port + control->worker_count);
	tunnel.service = service_of(control->conf, pool);
	return tunnel;
}

int probe_results_follow(struct control *control)
{
	struct health_target *targets = calloc(control->spec.backend_count + 1, sizeof *targets);
	size_t count = 0;
	int err;

	if (!targets)
		return -ENOMEM;
	for (size_t at = 0; at < control->spec.backend_count; at++) {
		const struct running_backend running = running_backend_at(control, at);

		if (addr_is_wildcard(&running.spec->addr))
			continue;
		targets[count++] = (struct health_target){
			.uid = running.spec->uid,
			.addr = running.spec->addr,
			.how = running.pool->health,
			.tunnel = tunnel_of(control, running.pool),
			.layout = running.pool->layout,
			.has_id = running.conf->has_id,
			.id = running.conf->id,
		};
	}
	err = health_set_targets(control->health, targets, count);
	for (size_t at = 0; !err && at < control->spec.backend_count; at++)
		control->backends[control->spec.backends[at].uid].has_moved = false;
	free(targets);
	return err;
}

/* What new sessions depend on. */
struct in_force {
	enum backend_health health;
	enum backend_admin admin;
	uint16_t weight;
};

static struct in_force in_force(const struct control *control, uint16_t uid)
{
	const struct backend_state *state = &control->states[uid];

	return (struct in_force){
		.health = backend_state_health(state),
		.admin = backend_state_admin(state),
		.weight = backend_state_weight(state, control->weights[uid]),
	};
}

static bool same_steering(const struct steering *a, const struct steering *b)
{
	if (a->down != b->down || a->admin != b->admin || a->percent != b->percent || a->id_count != b->id_count)
		return false;
	for (size_t i = 0; i < a->id_count; i++)
		if (a->ids[i].len != b->ids[i].len || memcmp(a->ids[i].octets, b->ids[i].octets, a->ids[i].len) != 0)
			return false;
	return true;
}

/* Returns true if the backend says something new. */
static bool steer(struct control *control, const struct running_backend *running, const struct health_result *result)
{
	struct backend_state *state = &control->states[running->spec->uid];
	struct control_backend *backend = &control->backends[running->spec->uid];
	char unknown[STEERING_WORD_OCTETS];
	struct steering now;
	size_t len = 0;

	steering_read(&now, &running->pool->layout, result->words, result->words_len, unknown);
	while (len < result->words_len && len < sizeof backend->words - 1 && isprint(result->words[len]))
		len++;
	memcpy(backend->words, result->words, len);
	backend->words[len] = '\0';
	if (unknown[0] && strcmp(unknown, backend->unknown_word) != 0)
		log_event(LOG_LEVEL_WARNING, "steering", running->pool->name, running->conf->name,
			  "its answer has the word %s, which means nothing here", unknown);
	memcpy(backend->unknown_word, unknown, sizeof unknown);
	if (same_steering(&now, &state->steering))
		return false;
	state->steering = now;
	return true;
}

struct finding {
	enum health_finding is;
	const char *reason;
};

static void finding_log(const struct running_backend *running, const char *event, struct finding before,
			struct finding now)
{
	if (now.is == FINDING_BAD && (before.is != FINDING_BAD || strcmp(before.reason, now.reason) != 0))
		log_event(LOG_LEVEL_WARNING, event, running->pool->name, running->conf->name, "%s", now.reason);
	else if (now.is == FINDING_GOOD && before.is == FINDING_BAD)
		log_event(LOG_LEVEL_INFO, event, running->pool->name, running->conf->name, "good again");
}

static void findings_take(struct control_backend *backend, const struct running_backend *running,
			  const struct health_findings *now)
{
	const struct health_findings *before = &backend->findings;

	finding_log(running, "backend_rebinding", (struct finding){ before->rebinding, before->rebinding_reason },
		    (struct finding){ now->rebinding, now->rebinding_reason });
	finding_log(running, "backend_cid", (struct finding){ before->cid, before->cid_reason },
		    (struct finding){ now->cid, now->cid_reason });
	backend->findings = *now;
	backend->has_findings = true;
}

static void changes_log(struct control *control, const struct running_backend *running, const struct in_force *before,
			const char *reason)
{
	const struct in_force now = in_force(control, running->spec->uid);
	const char *pool = running->pool->name, *name = running->conf->name;
	struct control_backend *backend = &control->backends[running->spec->uid];

	if (now.health != before->health) {
		backend->since_s = clock_s();
		if (now.health == BACKEND_UP)
			log_event(LOG_LEVEL_INFO, "backend_up", pool, name, "%s", reason);
		else
			log_event(LOG_LEVEL_WARNING, "backend_down", pool, name, "%s",
				  control->states[running->spec->uid].steering.down ? "the backend says so itself"
										    : reason);
	}
	if (now.admin != before->admin)
		log_event(LOG_LEVEL_INFO, "backend_state", pool, name, "%s, as the backend says itself",
			  backend_admin_name(now.admin));
	if (now.weight != before->weight)
		log_event(LOG_LEVEL_INFO, "backend_weight", pool, name, "%u, as the backend says itself", now.weight);
}

void probe_results_take(void *ctx, uint16_t uid, const struct health_result *result)
{
	struct control *control = ctx;
	struct control_backend *backend = &control->backends[uid];
	const struct in_force before = in_force(control, uid);
	struct running_backend running;
	bool changed, first;

	/* What the address before has to say decides nothing about the new one. */
	if (!running_backend_find(control, uid, &running) || backend->has_moved)
		return;
	if (result->unasked && strcmp(backend->reason, result->reason) != 0)
		log_event(LOG_LEVEL_WARNING, "health", running.pool->name, running.conf->name, "not probed: %s",
			  result->reason);
	snprintf(backend->reason, sizeof backend->reason, "%s", result->reason);
	if (result->unasked)
		return;
	backend->took_us = result->took_us;
	backend->probes[result->ok]++;
	if (result->findings)
		findings_take(backend, &running, result->findings);
	first = !control->states[uid].probed;
	changed = backend_state_probe(&control->states[uid], result->ok);
	if (result->words)
		changed |= steer(control, &running, result);
	changes_log(control, &running, &before, result->reason);
	if (changed)
		settle_mark(control, SETTLE_TABLE);
	else if (first) /* now it is known what it claims */
		settle_mark(control, SETTLE_IDS);
	if (!result->ok && running.conf->host)
		resolve_now(control->resolve,
			    &(struct resolve_name){ running.conf->host, conf_pool_asks_v6(running.pool) });
}

#include "control/probe_results.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/ids.h"
#include "control/running.h"
#include "control/state.h"
#include "control/stateless.h"
#include "control/table_build.h"

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

/* What probes of a pool of mode nat may ask from. Not without a table: there nodes can share the sources, and an answer
 * would come to any of them. Its ports reach over those of all pools whose sources are single addresses: there the
 * workers open a port when a session needs it, and it must not be a probe's. Those of prefixes are always open. */
static struct endpoint_space sources_of(const struct conf *conf, const struct conf_pool *pool)
{
	struct endpoint_space sources = { .prefix_count = 0 };

	if (pool->forward != FORWARD_NAT || stateless_listener(conf, (size_t)(pool - conf->pools)))
		return sources;
	table_build_space(&sources, &pool->nat);
	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_nat *nat = &conf->pools[i].nat;

		if (!nat->single)
			continue;
		sources.port_first = nat->port_first < sources.port_first ? nat->port_first : sources.port_first;
		sources.port_last = nat->port_last > sources.port_last ? nat->port_last : sources.port_last;
	}
	return sources;
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
			.sources = sources_of(control->conf, running.pool),
			.tunnel = tunnel_of(control, running.pool),
			.encap = dsr_encap(control, running.pool, running.spec),
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

static bool same_state(const struct steering *a, const struct steering *b)
{
	return a->down == b->down && a->admin == b->admin && a->percent == b->percent;
}

static struct control_pool *pool_of(struct control *control, const struct running_backend *running)
{
	return &control->pools[control->spec.pools[running->pool - control->conf->pools].uid];
}

/* The index of the next claim from `at` on that counts, or id_count. */
static size_t next_claim(const struct conf_backend *conf, const struct steering *said, size_t at)
{
	while (at < said->id_count && !ids_may_claim(conf, &said->ids[at]))
		at++;
	return at;
}

/* Of the claims that count. Others cost nothing, however often they change. */
static bool same_claims(const struct conf_backend *conf, const struct steering *a, const struct steering *b)
{
	size_t i = next_claim(conf, a, 0), j = next_claim(conf, b, 0);

	while (i < a->id_count && j < b->id_count && claims_id_compare(&a->ids[i], &b->ids[j]) == 0) {
		i = next_claim(conf, a, i + 1);
		j = next_claim(conf, b, j + 1);
	}
	return i == a->id_count && j == b->id_count;
}

/* Counts and logs an answer with claims that do not count. */
static void claims_check(struct control *control, const struct running_backend *running, const struct steering *now)
{
	struct control_pool *pool = pool_of(control, running);
	struct control_backend *backend = &control->backends[running->spec->uid];
	struct server_id refused = { 0 };
	char hex[2 * LBCID_MAX_ID_OCTETS + 1];

	for (size_t i = 0; i < now->id_count && refused.len == 0; i++)
		if (!ids_may_claim(running->conf, &now->ids[i]))
			refused = now->ids[i];
	pool->claims_refused += refused.len > 0;
	if (refused.len > 0 && claims_id_compare(&refused, &backend->refused_id) != 0 &&
	    log_quota_take(&pool->id_lines, clock_s()))
		log_fields(
			&(struct log_what){ LOG_LEVEL_WARNING, "id_refused", running->pool->name, running->conf->name,
					    LOG_FIELDS(LOG_TEXT("id", ids_format(&refused, hex)),
						       LOG_TEXT("reason", "may_claim of its entry does not name it")) },
			"its answer claims server id %s, which its entry does not let it claim (may_claim)",
			ids_format(&refused, hex));
	backend->refused_id = refused;
}

/* Such words may be others in each answer. So a line tells of the first one only, until an answer is different. */
static void said_tell(const struct running_backend *running, struct control_backend *backend, enum control_said said,
		      const char *unknown)
{
	if (said != SAID_ALL && said != backend->said)
		log_fields(
			&(struct log_what){
				LOG_LEVEL_WARNING, "steering", running->pool->name, running->conf->name,
				LOG_FIELDS(LOG_TEXT("word", unknown),
					   LOG_TEXT("reason", said == SAID_PARTLY
								      ? "the word means nothing here"
								      : "the word is none of the agent check's, so the "
									"answer says nothing")) },
			said == SAID_PARTLY
				? "its answer has the word %s, which means nothing here"
				: "its answer has the word %s, which is none of the agent check's, so it says nothing",
			unknown);
	backend->said = said;
}

/* Returns what is out of date now, of enum settle_due. */
static unsigned steer(struct control *control, const struct running_backend *running,
		      const struct health_result *result)
{
	struct backend_state *state = &control->states[running->spec->uid];
	struct control_backend *backend = &control->backends[running->spec->uid];
	char unknown[STEERING_WORD_OCTETS];
	struct steering now;
	const bool counts = steering_read(&now, &running->pool->layout, result->words, result->words_len, unknown);
	unsigned due = 0;
	size_t len = 0;

	while (len < result->words_len && len < sizeof backend->words - 1 && isprint(result->words[len]))
		len++;
	memcpy(backend->words, result->words, len);
	backend->words[len] = '\0';
	said_tell(running, backend, !counts ? SAID_NOTHING : unknown[0] ? SAID_PARTLY : SAID_ALL, unknown);
	claims_check(control, running, &now);
	if (!same_state(&now, &state->steering))
		due = SETTLE_TABLE;
	else if (!same_claims(running->conf, &now, &state->steering))
		due = SETTLE_IDS;
	state->steering = now;
	return due;
}

struct finding {
	enum health_finding is;
	const char *reason;
};

static void finding_log(const struct running_backend *running, const char *event, struct finding before,
			struct finding now)
{
	if (now.is == FINDING_BAD && (before.is != FINDING_BAD || strcmp(before.reason, now.reason) != 0))
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, event, running->pool->name, running->conf->name,
					       LOG_FIELDS(LOG_TEXT("finding", "bad"), LOG_TEXT("reason", now.reason)) },
			   "%s", now.reason);
	else if (now.is == FINDING_GOOD && before.is == FINDING_BAD)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, event, running->pool->name, running->conf->name,
					       LOG_FIELDS(LOG_TEXT("finding", "good")) },
			   "good again");
}

/* Another probe of the same backend counts from 0. */
static uint64_t more_lost(const struct health_findings *before, const struct health_findings *now)
{
	return now->sessions_lost - (now->sessions_lost < before->sessions_lost ? 0 : before->sessions_lost);
}

static void findings_take(struct control *control, const struct running_backend *running,
			  const struct health_findings *now)
{
	struct control_backend *backend = &control->backends[running->spec->uid];
	const struct health_findings *before = &backend->findings;

	finding_log(running, "backend_rebinding", (struct finding){ before->rebinding, before->rebinding_reason },
		    (struct finding){ now->rebinding, now->rebinding_reason });
	finding_log(running, "backend_cid", (struct finding){ before->cid, before->cid_reason },
		    (struct finding){ now->cid, now->cid_reason });
	pool_of(control, running)->probe_sessions_lost += more_lost(before, now);
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
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "backend_state", pool, name,
					       LOG_FIELDS(LOG_TEXT("state", backend_admin_name(now.admin)),
							  LOG_TEXT("was", backend_admin_name(before->admin)),
							  LOG_TEXT("by", "backend")) },
			   "%s, as the backend says itself", backend_admin_name(now.admin));
	if (now.weight != before->weight)
		log_fields(
			&(struct log_what){ LOG_LEVEL_INFO, "backend_weight", pool, name,
					    LOG_FIELDS(LOG_NUMBER("weight", now.weight),
						       LOG_NUMBER("was", before->weight), LOG_TEXT("by", "backend")) },
			"%u, as the backend says itself", now.weight);
}

static void probe_count(struct control *control, const struct running_backend *running,
			const struct health_result *result)
{
	struct control_pool *pool = pool_of(control, running);

	control->backends[running->spec->uid].probes[result->ok]++;
	pool->probes[result->ok]++;
	if (result->ok)
		probe_times_add(&pool->probe_times, result->took_us);
}

void probe_results_take(void *ctx, uint16_t uid, const struct health_result *result)
{
	struct control *control = ctx;
	struct control_backend *backend = &control->backends[uid];
	const struct in_force before = in_force(control, uid);
	struct running_backend running;
	unsigned due = 0;

	/* What the address before has to say decides nothing about the new one. */
	if (!running_backend_find(control, uid, &running) || backend->has_moved)
		return;
	if (result->unasked && strcmp(backend->reason, result->reason) != 0)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "health", running.pool->name, running.conf->name,
					       LOG_FIELDS(LOG_TEXT("reason", result->reason)) },
			   "not probed: %s", result->reason);
	snprintf(backend->reason, sizeof backend->reason, "%s", result->reason);
	if (result->unasked)
		return;
	if (result->tunnelled)
		worker_hear_version(control->workers, control->worker_count, uid, result->version);
	backend->took_us = result->took_us;
	probe_count(control, &running, result);
	if (result->findings)
		findings_take(control, &running, result->findings);
	if (!control->states[uid].probed)
		due = SETTLE_IDS; /* now it is known what it claims */
	if (backend_state_probe(&control->states[uid], result->ok))
		due |= SETTLE_TABLE;
	if (result->words)
		due |= steer(control, &running, result);
	changes_log(control, &running, &before, result->reason);
	if (due)
		settle_mark(control, due);
	if (!result->ok && running.conf->host)
		resolve_now(control->resolve,
			    &(struct resolve_name){ running.conf->host, conf_pool_asks_v6(running.pool) });
}

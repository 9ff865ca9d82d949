#include "control/control_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"

void control_addresses_plan(const struct control *control, const struct conf *conf, struct table_spec *plan)
{
	size_t at = 0;

	for (size_t i = 0; i < conf->pool_count; i++) {
		for (size_t j = 0; j < conf->pools[i].backend_count; j++, at++) {
			const char *host = conf->pools[i].backends[j].host;

			if (host)
				(void)saved_address(control->saved, host, conf_pool_asks_v6(&conf->pools[i]),
						    plan->backends[at].addr.ip);
		}
	}
}

void control_names(struct control *control)
{
	struct resolve_name *names = calloc(control->plan.backend_count + 1, sizeof *names);
	size_t count = 0;
	int err = names ? 0 : -ENOMEM;

	for (size_t i = 0; names && i < control->conf->pool_count; i++) {
		const struct conf_pool *pool = &control->conf->pools[i];

		for (size_t j = 0; j < pool->backend_count; j++)
			if (pool->backends[j].host)
				names[count++] =
					(struct resolve_name){ pool->backends[j].host, conf_pool_asks_v6(pool) };
	}
	/* Without names nobody asks the DNS for anything. */
	if (!err && count && !control->resolve)
		err = resolve_new(&control->resolve, control->base, control_on_name, control);
	if (!err && control->resolve)
		err = resolve_set_names(control->resolve, names, count);
	if (err && !control->watch.names_due)
		log_event(LOG_LEVEL_ERROR, "names", NULL, NULL, "the DNS is not asked: %s", strerror(-err));
	control->watch.names_due = err != 0;
	free(names);
}

/* A name that gives no address, or is of somebody else than before: said once. */
static void name_is_bad(struct control *control, const struct control_place *place, const char *reason)
{
	struct control_backend *backend = &control->backends[place->plan->uid];
	const bool known = !addr_is_wildcard(&place->plan->addr);

	if (strcmp(backend->name_reason, reason) != 0)
		log_event(LOG_LEVEL_WARNING, "backend_name", place->pool->name, place->conf->name, "%s: %s%s",
			  place->conf->host, reason, known ? "; the last good address stays" : "");
	snprintf(backend->name_reason, sizeof backend->name_reason, "%s", reason);
	if (known)
		return;
	/* That was the probe. */
	control->states[place->plan->uid].probed = true;
	snprintf(backend->reason, sizeof backend->reason, "no address yet");
}

/* Returns true if that is another address than before. */
static bool name_is_good(struct control *control, const struct control_place *place, const uint8_t ip[static 16])
{
	struct control_backend *backend = &control->backends[place->plan->uid];
	struct addr now = { .port = place->conf->addr.port };
	char text[ADDR_TEXT_OCTETS], before[ADDR_TEXT_OCTETS];

	if (backend->name_reason[0] && !addr_is_wildcard(&place->plan->addr))
		log_event(LOG_LEVEL_INFO, "backend_name", place->pool->name, place->conf->name, "%s: answered again",
			  place->conf->host);
	backend->name_reason[0] = '\0';
	memcpy(now.ip, ip, sizeof now.ip);
	if (addr_equal(&now, &place->plan->addr))
		return false;
	log_event(LOG_LEVEL_INFO, "backend_address", place->pool->name, place->conf->name, "%s is %s, before: %s",
		  place->conf->host, addr_format(&now, text),
		  addr_is_wildcard(&place->plan->addr) ? "unknown" : addr_format(&place->plan->addr, before));
	place->plan->addr = now;
	backend_state_renew(&control->states[place->plan->uid]);
	return true;
}

void control_on_name(void *ctx, const struct resolve_name *name, const struct resolve_answer *answer)
{
	struct control *control = ctx;
	bool moved = false;

	for (size_t at = 0; at < control->plan.backend_count; at++) {
		struct control_place place = control_place_at(control, at);

		if (!place.conf->host || strcasecmp(place.conf->host, name->host) != 0 ||
		    conf_pool_asks_v6(place.pool) != name->v6)
			continue;
		if (answer->good)
			moved |= name_is_good(control, &place, answer->ip);
		else
			name_is_bad(control, &place, answer->reason);
	}
	if (!moved) {
		if (!answer->good) /* nobody claims anything there */
			control_ids_follow(control);
		return;
	}
	(void)saved_set_address(control->saved, name->host, name->v6, answer->ip);
	(void)control_publish(control);
	control_probe(control);
}

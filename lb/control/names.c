#include "control/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "control/running.h"
#include "control/state.h"

void names_recall(const struct control *control, const struct conf *conf, struct table_spec *spec)
{
	size_t at = 0;

	for (size_t i = 0; i < conf->pool_count; i++) {
		for (size_t j = 0; j < conf->pools[i].backend_count; j++, at++) {
			const struct resolve_name name = { conf->pools[i].backends[j].host,
							   conf_pool_asks_v6(&conf->pools[i]) };

			if (name.host)
				(void)saved_address(control->saved, &name, spec->backends[at].addr.ip);
		}
	}
}

int names_follow(struct control *control)
{
	struct resolve_name *names = calloc(control->spec.backend_count + 1, sizeof *names);
	size_t count = 0;
	int err = names ? 0 : -ENOMEM;

	for (size_t at = 0; names && at < control->spec.backend_count; at++) {
		const struct running_backend backend = running_backend_at(control, at);

		if (backend.conf->host)
			names[count++] = (struct resolve_name){ backend.conf->host, conf_pool_asks_v6(backend.pool) };
	}
	/* As long as no backend has a name, the DNS is not needed. */
	if (!err && count && !control->resolve)
		err = resolve_new(&control->resolve, control->base, names_on_answer, control);
	if (!err && control->resolve)
		err = resolve_set_names(control->resolve, names, count);
	free(names);
	return err;
}

/* The name gives no good address. Each new reason is logged once. */
static void name_is_bad(struct control *control, const struct running_backend *running, const char *reason)
{
	struct control_backend *backend = &control->backends[running->spec->uid];
	const bool known = !addr_is_wildcard(&running->spec->addr);

	if (strcmp(backend->name_reason, reason) != 0)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "backend_name", running->pool->name,
					       running->conf->name,
					       LOG_FIELDS(LOG_TEXT("host", running->conf->host),
							  LOG_TEXT("reason", reason)) },
			   "%s: %s%s", running->conf->host, reason, known ? "; the last good address stays" : "");
	snprintf(backend->name_reason, sizeof backend->name_reason, "%s", reason);
	if (known)
		return;
	/* There is nothing to probe, so this counts as the probe. */
	control->states[running->spec->uid].probed = true;
	snprintf(backend->reason, sizeof backend->reason, "no address yet");
}

/* Returns true if the address is another than before. */
static bool name_is_good(struct control *control, const struct running_backend *running, const uint8_t ip[static 16])
{
	struct control_backend *backend = &control->backends[running->spec->uid];
	struct addr now = { .port = running->conf->addr.port };
	char text[ADDR_TEXT_OCTETS], before[ADDR_TEXT_OCTETS];

	if (backend->name_reason[0] && !addr_is_wildcard(&running->spec->addr))
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "backend_name", running->pool->name, running->conf->name,
					       LOG_FIELDS(LOG_TEXT("host", running->conf->host),
							  LOG_TEXT("phase", "over")) },
			   "%s: resolves again", running->conf->host);
	backend->name_reason[0] = '\0';
	memcpy(now.ip, ip, sizeof now.ip);
	if (addr_equal(&now, &running->spec->addr))
		return false;
	log_fields(
		&(struct log_what){ LOG_LEVEL_INFO, "backend_address", running->pool->name, running->conf->name,
				    LOG_FIELDS(LOG_TEXT("host", running->conf->host),
					       LOG_TEXT("address", addr_format(&now, text)),
					       LOG_TEXT("was", addr_is_wildcard(&running->spec->addr)
								       ? ""
								       : addr_format(&running->spec->addr, before))) },
		"%s is now %s; before it was %s", running->conf->host, addr_format(&now, text),
		addr_is_wildcard(&running->spec->addr) ? "unknown" : addr_format(&running->spec->addr, before));
	running->spec->addr = now;
	backend->has_moved = true;
	backend_state_renew(&control->states[running->spec->uid]);
	return true;
}

void names_on_answer(void *ctx, const struct resolve_name *name, const struct resolve_answer *answer)
{
	struct control *control = ctx;
	bool moved = false;

	for (size_t at = 0; at < control->spec.backend_count; at++) {
		struct running_backend running = running_backend_at(control, at);

		if (!running.conf->host || strcasecmp(running.conf->host, name->host) != 0 ||
		    conf_pool_asks_v6(running.pool) != name->v6)
			continue;
		if (answer->good)
			moved |= name_is_good(control, &running, answer->ip);
		else
			name_is_bad(control, &running, answer->reason);
	}
	if (moved) {
		(void)saved_set_address(control->saved, name, answer->ip);
		settle_mark(control, SETTLE_TABLE | SETTLE_TARGETS);
	} else if (!answer->good) { /* it is known now that nobody claims anything there */
		settle_mark(control, SETTLE_IDS);
	}
}

#include "control/changes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "common/plural.h"
#include "control/running.h"
#include "control/state.h"
#include "control/view.h"

/* One backend of the configuration that will run. */
struct next {
	const struct conf_pool *pool;
	const struct conf_backend *conf;
	uint16_t uid;
	enum backend_admin wish;
	uint16_t weight;
};

static void added_log(const struct next *next)
{
	const struct conf_backend *conf = next->conf;
	char text[ADDR_TEXT_OCTETS];

	log_fields(&(struct log_what){ LOG_LEVEL_INFO, "backend_added", next->pool->name, conf->name,
				       LOG_FIELDS(LOG_TEXT("address",
							   conf->host ? conf->host : addr_format(&conf->addr, text)),
						  LOG_TEXT("state", backend_admin_name(next->wish)),
						  LOG_NUMBER("weight", next->weight),
						  LOG_NUMBER("pool_backends", next->pool->backend_count)) },
		   "at %s, %s, weight %u; the pool has %zu now",
		   conf->host ? conf->host : addr_format(&conf->addr, text), backend_admin_name(next->wish),
		   next->weight, next->pool->backend_count);
}

static void changed_log(const struct next *next, enum backend_admin wish, uint16_t weight, const char *why)
{
	if (next->wish != wish)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "backend_state", next->pool->name, next->conf->name,
					       LOG_FIELDS(LOG_TEXT("state", backend_admin_name(next->wish)),
							  LOG_TEXT("was", backend_admin_name(wish)),
							  LOG_TEXT("by", why)) },
			   "%s, by %s", backend_admin_name(next->wish), why);
	if (next->weight != weight)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "backend_weight", next->pool->name, next->conf->name,
					       LOG_FIELDS(LOG_NUMBER("weight", next->weight), LOG_NUMBER("was", weight),
							  LOG_TEXT("by", why)) },
			   "%u, by %s", next->weight, why);
}

/* A start tells what is not as the file says, and a reload what is not as it was. */
static void next_log(struct control *control, const struct next *next)
{
	struct running_backend before;

	if (!control->conf)
		changed_log(next, next->conf->admin, next->conf->weight, "a command from before the start");
	else if (!running_backend_find(control, next->uid, &before))
		added_log(next);
	else
		changed_log(next, control->states[next->uid].wish, control->weights[next->uid], "the configuration");
}

static bool stays(const struct apply_step *step, uint16_t uid)
{
	for (size_t at = 0; at < step->spec.backend_count; at++)
		if (step->spec.backends[at].uid == uid)
			return true;
	return false;
}

/* 0: the pool is gone as well. */
static size_t left_in(const struct conf *conf, const char *pool)
{
	for (size_t i = 0; i < conf->pool_count; i++)
		if (strcmp(conf->pools[i].name, pool) == 0)
			return conf->pools[i].backend_count;
	return 0;
}

static void removed_log(struct control *control, const struct apply_step *step, size_t at)
{
	char last[48] = "no CID seen";
	struct view_backend backend;

	view_backend(control, at, &backend);
	if (backend.cid_at_s)
		snprintf(last, sizeof last, "last CID %" PRId64 " s ago", backend.cid_ago_s);
	log_fields(&(struct log_what){ LOG_LEVEL_INFO, "backend_removed", backend.pool_name, backend.name,
				       LOG_FIELDS(LOG_NUMBER("flows", backend.flows),
						  LOG_NUMBER("pool_backends", left_in(step->conf, backend.pool_name)),
						  backend.cid_at_s ? (struct log_field)LOG_NUMBER("last_cid_s",
												  backend.cid_ago_s)
								   : (struct log_field){ .key = NULL }) },
		   "%" PRIu64 " flow%s, %s; the pool has %zu now", backend.flows, PLURAL(backend.flows), last,
		   left_in(step->conf, backend.pool_name));
}

void changes_log(struct control *control, const struct apply_step *step)
{
	size_t at = 0;

	for (size_t i = 0; i < control->spec.backend_count; i++)
		if (!stays(step, control->spec.backends[i].uid))
			removed_log(control, step, i);
	for (size_t i = 0; i < step->conf->pool_count; i++) {
		const struct conf_pool *pool = &step->conf->pools[i];

		for (size_t j = 0; j < pool->backend_count; j++, at++)
			next_log(control, &(struct next){ pool, &pool->backends[j], step->spec.backends[at].uid,
							  step->states[at].wish, step->weights[at] });
	}
}

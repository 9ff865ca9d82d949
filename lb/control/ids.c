#include "control/ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "common/hex.h"
#include "control/drain.h"
#include "control/running.h"
#include "control/state.h"

int ids_to_spec(const struct control *control, const struct conf *conf, struct table_spec *spec)
{
	int err = 0;

	for (size_t i = 0; !err && i < conf->pool_count; i++)
		if (cid_id_octets(&conf->pools[i].layout))
			err = table_spec_set_ids(spec, i, &control->pools[spec->pools[i].uid].claims);
	return err;
}

struct seeding {
	struct control *control;
	const struct conf_pool *pool;
	const struct snapshot_pool_spec *spec;
};

static bool is_configured(const struct conf_backend *backend, const struct server_id *id)
{
	return backend->has_id && claims_id_compare(&backend->id, id) == 0;
}

static bool is_configured_for_any(const struct conf_pool *pool, const struct server_id *id)
{
	for (size_t i = 0; i < pool->backend_count; i++)
		if (is_configured(&pool->backends[i], id))
			return true;
	return false;
}

/* What the configuration says of the claims of a backend. */
static struct claims_backend claims_backend_of(const struct conf_backend *backend)
{
	return (struct claims_backend){
		.has_id = backend->has_id,
		.id = backend->id,
		.may_claim_any = backend->may_claim_any,
		.may_claim = backend->may_claim,
		.may_claim_count = backend->may_claim_count,
	};
}

bool ids_may_claim(const struct conf_backend *backend, const struct server_id *id)
{
	const struct claims_backend of = claims_backend_of(backend);

	return claims_may(&of, id);
}

/* Passes over what a backend has that may not claim it any more, if another one is configured for it. */
static int seed(void *ctx, const struct saved_id *kept)
{
	const struct seeding *seeding = ctx;
	const struct conf_pool *pool = seeding->pool;
	struct claims *claims = &seeding->control->pools[seeding->spec->uid].claims;
	char hex[2 * LBCID_MAX_ID_OCTETS + 1];
	size_t at = 0;

	while (at < pool->backend_count && strcmp(pool->backends[at].name, kept->backend) != 0)
		at++;
	if (at == pool->backend_count || kept->id.len != cid_id_octets(&pool->layout) ||
	    claims->count == pool->backend_count * (1 + STEERING_IDS))
		return 0;
	if (!ids_may_claim(&pool->backends[at], &kept->id) && is_configured_for_any(pool, &kept->id)) {
		log_fields(
			&(struct log_what){ LOG_LEVEL_WARNING, "id_refused", pool->name, kept->backend,
					    LOG_FIELDS(LOG_TEXT("id", ids_format(&kept->id, hex)),
						       LOG_TEXT("reason", "it had it before the start, and may_claim "
									  "of its entry does not name it")) },
			"had server id %s before the start, and may_claim of its entry does not name it: it goes back",
			ids_format(&kept->id, hex));
		return 0;
	}
	return claims_seed(claims, &kept->id, seeding->spec->backends[at].uid);
}

int ids_recall(struct control *control, const struct conf *conf, const struct table_spec *spec)
{
	int err = 0;

	for (size_t i = 0; !err && i < conf->pool_count; i++) {
		struct seeding seeding = { control, &conf->pools[i], &spec->pools[i] };

		if (cid_id_octets(&conf->pools[i].layout))
			err = saved_each_id(control->saved, conf->pools[i].name, seed, &seeding);
	}
	return err;
}

struct settling {
	struct control *control;
	const struct conf_pool *pool;
	uint16_t pool_uid;
	bool *moved;
};

static const char *name_of(struct control *control, uint16_t uid)
{
	struct running_backend backend;

	return running_backend_find(control, uid, &backend) ? backend.conf->name : NULL;
}

static void on_claim(void *ctx, enum claims_event event, const struct server_id *id, uint16_t a, uint16_t b)
{
	const struct settling *settling = ctx;
	const char *first = name_of(settling->control, a), *second = name_of(settling->control, b);
	char hex[2 * LBCID_MAX_ID_OCTETS + 1];

	if (event == CLAIMS_MOVED) {
		*settling->moved = true;
		drain_forget(settling->control, b);
		settling->control->pools[settling->pool_uid].id_moves++;
	}
	if (!log_quota_take(&settling->control->pools[settling->pool_uid].id_lines, clock_s()))
		return;
	ids_format(id, hex);
	switch (event) {
	case CLAIMS_MOVED:
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "id_moved", settling->pool->name, second,
					       LOG_FIELDS(LOG_TEXT("id", hex), LOG_TEXT("from", first ? first : "")) },
			   "now owns server id %s, which belonged to %s before", hex, first ? first : "nobody");
		return;
	case CLAIMS_CONTESTED:
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "id_contested", settling->pool->name, first,
					       LOG_FIELDS(LOG_TEXT("id", hex),
							  LOG_TEXT("claimed_by", second ? second : "")) },
			   "server id %s is also claimed by %s and stays where it is", hex,
			   second ? second : "another");
		return;
	case CLAIMS_SETTLED:
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "id_settled", settling->pool->name, first,
					       LOG_FIELDS(LOG_TEXT("id", hex)) },
			   "server id %s is no longer contested", hex);
		return;
	}
}

/* Keeps over restarts which ids do not belong to the backends that they are configured for. */
static int pool_keep(struct control *control, const struct conf_pool *pool, const struct snapshot_pool_spec *spec)
{
	const struct claims *claims = &control->pools[spec->uid].claims;
	struct saved_id *ids = calloc(claims->count + 1, sizeof *ids);
	const struct conf_backend *of_uid[STATS_BACKENDS] = { NULL };
	size_t count = 0;
	int err = ids ? 0 : -ENOMEM;

	for (size_t i = 0; i < pool->backend_count; i++)
		of_uid[spec->backends[i].uid] = &pool->backends[i];
	for (size_t i = 0; ids && i < claims->count; i++) {
		const struct claims_entry *entry = &claims->entries[i];
		const struct conf_backend *owner = entry->owner == CLAIMS_NOBODY ? NULL : of_uid[entry->owner];

		if (owner && !is_configured(owner, &entry->id))
			ids[count++] = (struct saved_id){ entry->id, owner->name };
	}
	if (!err)
		err = saved_set_ids(control->saved, pool->name, ids, count);
	free(ids);
	return err;
}

static int pool_settle(struct control *control, size_t at, bool *moved)
{
	const struct conf_pool *pool = &control->conf->pools[at];
	const struct snapshot_pool_spec *spec = &control->spec.pools[at];
	struct settling settling = { control, pool, spec->uid, moved };
	struct claims_backend *backends;
	bool failed = true;

	if (cid_id_octets(&pool->layout) == 0)
		return saved_set_ids(control->saved, pool->name, NULL, 0);
	backends = calloc(pool->backend_count, sizeof *backends);
	for (size_t i = 0; backends && i < pool->backend_count; i++) {
		const struct backend_state *state = &control->states[spec->backends[i].uid];

		backends[i] = claims_backend_of(&pool->backends[i]);
		backends[i].uid = spec->backends[i].uid;
		backends[i].serves =
			backend_state_health(state) == BACKEND_UP && backend_state_admin(state) != BACKEND_MAINT;
		backends[i].unheard = !state->probed && backend_state_admin(state) != BACKEND_MAINT;
		backends[i].claims = state->steering.ids;
		backends[i].claim_count = state->steering.id_count;
	}
	if (backends)
		(void)claims_settle(&control->pools[spec->uid].claims, backends, pool->backend_count, on_claim,
				    &settling, &failed);
	free(backends);
	return failed ? -ENOMEM : pool_keep(control, pool, spec);
}

int ids_settle(struct control *control, bool *moved)
{
	int err = 0;

	*moved = false;
	for (size_t i = 0; !err && i < control->conf->pool_count; i++)
		err = pool_settle(control, i, moved);
	return err;
}

void ids_drop(struct control *control, const struct conf *conf, const struct table_spec *spec)
{
	for (size_t i = 0; i < conf->pool_count; i++) {
		struct claims *claims = &control->pools[spec->pools[i].uid].claims;

		if (claims->count && claims->entries[0].id.len != cid_id_octets(&conf->pools[i].layout))
			claims_free(claims);
	}
}

void ids_tick(struct control *control)
{
	for (size_t i = 0; i < control->spec.pool_count; i++) {
		const uint64_t more = log_quota_more(&control->pools[control->spec.pools[i].uid].id_lines, clock_s());

		if (more)
			log_fields(
				&(struct log_what){ LOG_LEVEL_WARNING, "id_moved", control->conf->pools[i].name, NULL,
						    LOG_FIELDS(LOG_NUMBER("left_out", more),
							       LOG_TEXT("reason", "claims moved, refused, contested or "
										  "settled within one minute")) },
				"more claims of server ids moved, refused, contested or settled within a minute: "
				"%" PRIu64,
				more);
	}
}

size_t ids_contested(const struct control *control, uint16_t pool)
{
	const struct claims *claims = &control->pools[pool].claims;
	size_t contested = 0;

	for (size_t i = 0; i < claims->count; i++)
		contested += claims->entries[i].contested;
	return contested;
}

const char *ids_format(const struct server_id *id, char hex[static 2 * LBCID_MAX_ID_OCTETS + 1])
{
	return hex_write(hex, HEX_TEXT_OCTETS(LBCID_MAX_ID_OCTETS), id->octets, id->len);
}

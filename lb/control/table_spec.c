#include "control/table_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"

static int make_backend(struct snapshot_backend *out, const struct conf_backend *conf, uint16_t pool, struct uids *uids)
{
	*out = (struct snapshot_backend){
		.name = conf->name,
		.uid = uids_give(uids, pool, conf->name),
		.weight = conf->weight,
		.addr = conf->addr,
		.health = BACKEND_UP,
		.admin = conf->admin,
	};
	return out->uid == UIDS_FULL ? -ENOSPC : 0;
}

static struct snapshot_id *ids_of_file(const struct conf_pool *conf, size_t *count)
{
	struct snapshot_id *ids = calloc(conf->backend_count + 1, sizeof *ids);

	*count = 0;
	for (size_t i = 0; ids && i < conf->backend_count; i++)
		if (conf->backends[i].has_id)
			ids[(*count)++] = (struct snapshot_id){ conf->backends[i].id, (uint16_t)i };
	return ids;
}

static int add_pool(struct table_spec *spec, const struct conf_pool *conf, struct uids *pools, struct uids *backends)
{
	struct snapshot_backend *first = spec->backends + spec->backend_count;
	struct snapshot_pool_spec pool_spec = {
		.name = conf->name,
		.uid = uids_give(pools, 0, conf->name),
		.protocol = conf->protocol,
		.affinity = conf->affinity,
		.unknown_cid = conf->unknown_cid,
		.all_down = conf->all_down,
		.layout = conf->layout,
		.backends = first,
		.backend_count = conf->backend_count,
	};

	if (pool_spec.uid == UIDS_FULL)
		return -ENOSPC;
	for (size_t i = 0; i < conf->backend_count; i++) {
		int err = make_backend(&first[i], &conf->backends[i], pool_spec.uid, backends);
		if (err)
			return err;
	}
	pool_spec.ids = spec->of_file[spec->pool_count] = ids_of_file(conf, &pool_spec.id_count);
	if (!pool_spec.ids)
		return -ENOMEM;
	spec->backend_count += conf->backend_count;
	spec->pools[spec->pool_count++] = pool_spec;
	return 0;
}

int table_spec_make(struct table_spec *out, const struct conf *conf, struct uids *pools, struct uids *backends)
{
	size_t backend_count = 0;
	int err = 0;

	for (size_t i = 0; i < conf->pool_count; i++)
		backend_count += conf->pools[i].backend_count;
	*out = (struct table_spec){
		.pools = calloc(conf->pool_count + 1, sizeof *out->pools),
		.backends = calloc(backend_count + 1, sizeof *out->backends),
		.hops = calloc(backend_count + 1, sizeof *out->hops),
		.of_file = calloc(conf->pool_count + 1, sizeof(struct snapshot_id *)),
		.ids = calloc(conf->pool_count + 1, sizeof(struct snapshot_id *)),
		.learned = calloc(conf->pool_count + 1, sizeof *out->learned),
	};
	if (!out->pools || !out->backends || !out->hops || !out->of_file || !out->ids || !out->learned)
		err = -ENOMEM;
	for (size_t i = 0; !err && i < conf->pool_count; i++)
		err = add_pool(out, &conf->pools[i], pools, backends);
	if (err)
		table_spec_free(out);
	return err;
}

/* The backends of a pool by uid: index in the pool, or SNAPSHOT_NO_BACKEND. */
struct by_uid {
	uint16_t at[STATS_BACKENDS];
};

static void by_uid_fill(struct by_uid *by, const struct snapshot_pool_spec *pool)
{
	memset(by, 0xff, sizeof *by);
	_Static_assert(SNAPSHOT_NO_BACKEND == UINT16_MAX, "two octets 0xff");
	for (size_t i = 0; i < pool->backend_count; i++)
		by->at[pool->backends[i].uid] = (uint16_t)i;
}

static uint16_t by_uid_get(const struct by_uid *by, uint16_t uid)
{
	return uid == CLAIMS_NOBODY ? SNAPSHOT_NO_BACKEND : by->at[uid];
}

int table_spec_set_ids(struct table_spec *spec, size_t pool, const struct claims *claims)
{
	struct snapshot_pool_spec *pool_spec = &spec->pools[pool];
	struct snapshot_id *ids = calloc(pool_spec->backend_count + claims->count, sizeof *ids);
	struct by_uid by;
	size_t count = 0;

	if (!ids)
		return -ENOMEM;
	by_uid_fill(&by, pool_spec);
	for (const struct snapshot_id *entry = spec->of_file[pool]; entry->id.len > 0; entry++)
		if (by_uid_get(&by, claims_owner(claims, &entry->id)) == SNAPSHOT_NO_BACKEND)
			ids[count++] = *entry;
	for (size_t i = 0; i < claims->count; i++) {
		const uint16_t backend = by_uid_get(&by, claims->entries[i].owner);

		if (backend != SNAPSHOT_NO_BACKEND)
			ids[count++] = (struct snapshot_id){ claims->entries[i].id, backend };
	}
	free(spec->ids[pool]);
	pool_spec->ids = spec->ids[pool] = ids;
	pool_spec->id_count = count;
	return 0;
}

void table_spec_free(struct table_spec *spec)
{
	for (size_t i = 0; i < spec->pool_count; i++) {
		free(spec->of_file[i]);
		free(spec->ids[i]);
	}
	free(spec->of_file);
	free(spec->ids);
	free(spec->learned);
	free(spec->pools);
	free(spec->backends);
	free(spec->hops);
	*spec = (struct table_spec){ 0 };
}

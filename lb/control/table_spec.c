#include "control/table_spec.h"

#include <errno.h>
#include <stdlib.h>

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
		.of_file = calloc(conf->pool_count + 1, sizeof(struct snapshot_id *)),
		.ids = calloc(conf->pool_count + 1, sizeof(struct snapshot_id *)),
	};
	if (!out->pools || !out->backends || !out->of_file || !out->ids)
		err = -ENOMEM;
	for (size_t i = 0; !err && i < conf->pool_count; i++)
		err = add_pool(out, &conf->pools[i], pools, backends);
	if (err)
		table_spec_free(out);
	return err;
}

static uint16_t backend_of_uid(const struct snapshot_pool_spec *pool, uint16_t uid)
{
	for (size_t i = 0; i < pool->backend_count; i++)
		if (pool->backends[i].uid == uid)
			return (uint16_t)i;
	return SNAPSHOT_NO_BACKEND;
}

/* True if the id has an owner in this pool, according to `claims`. */
static bool is_claimed(const struct snapshot_pool_spec *pool_spec, const struct claims *claims,
		       const struct server_id *id)
{
	return backend_of_uid(pool_spec, claims_owner(claims, id)) != SNAPSHOT_NO_BACKEND;
}

int table_spec_set_ids(struct table_spec *spec, size_t pool, const struct claims *claims)
{
	struct snapshot_pool_spec *pool_spec = &spec->pools[pool];
	struct snapshot_id *ids = calloc(pool_spec->backend_count + claims->count, sizeof *ids);
	size_t count = 0;

	if (!ids)
		return -ENOMEM;
	for (const struct snapshot_id *entry = spec->of_file[pool]; entry->id.len > 0; entry++)
		if (!is_claimed(pool_spec, claims, &entry->id))
			ids[count++] = *entry;
	for (size_t i = 0; i < claims->count; i++) {
		const uint16_t backend = backend_of_uid(pool_spec, claims->entries[i].owner);

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
	free(spec->pools);
	free(spec->backends);
	*spec = (struct table_spec){ 0 };
}
